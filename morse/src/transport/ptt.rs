//! Keying a transmitter by a line of a serial port ("push to talk").

use std::io;

use tokio_serial::SerialPort;

/// The line of a serial port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Rts,
    Dtr,
}

impl Line {
    /// Reads `rts:DEVICE` or `dtr:DEVICE`.
    pub(crate) fn parse(text: &str) -> Result<(Self, &str), String> {
        match text.split_once(':') {
            Some(("rts", device)) if !device.is_empty() => Ok((Self::Rts, device)),
            Some(("dtr", device)) if !device.is_empty() => Ok((Self::Dtr, device)),
            _ => Err(format!(
                "ptt takes rts:DEVICE or dtr:DEVICE, as in rts:/dev/ttyUSB0, not `{text}`"
            )),
        }
    }
}

/// Keys a transmitter, if there is one. It is let go when this is dropped.
#[derive(Default)]
pub(crate) struct Keyer {
    port: Option<(Line, Box<dyn SerialPort>)>,
    down: bool,
}

impl Keyer {
    /// Opens what an option says, key up.
    pub(crate) fn open(ptt: Option<&str>) -> io::Result<Self> {
        let Some(text) = ptt else { return Ok(Self::default()) };
        let (line, device) =
            Line::parse(text).map_err(|text| io::Error::new(io::ErrorKind::InvalidInput, text))?;
        let failed = |error: tokio_serial::Error| {
            let error = io::Error::from(error);
            io::Error::new(error.kind(), format!("the transmitter's port {device}: {error}"))
        };
        let port = tokio_serial::new(device, 9600).dtr_on_open(false).open().map_err(failed)?;
        let mut keyer = Self { port: Some((line, port)), down: true };
        keyer.set(false)?;
        Ok(keyer)
    }

    /// Presses or releases the key.
    pub(crate) fn set(&mut self, down: bool) -> io::Result<()> {
        if self.down == down {
            return Ok(());
        }
        self.down = down;
        match &mut self.port {
            Some((Line::Rts, port)) => port.write_request_to_send(down).map_err(io::Error::from),
            Some((Line::Dtr, port)) => {
                port.write_data_terminal_ready(down).map_err(io::Error::from)
            }
            None => Ok(()),
        }
    }
}

impl Drop for Keyer {
    fn drop(&mut self) {
        // A transmitter that stays keyed blocks the channel for everybody.
        let _ = self.set(false);
    }
}
