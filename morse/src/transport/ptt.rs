//! Keying a transmitter by a line of a serial port ("push to talk").

use std::io;

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

type Lead = Box<dyn FnMut(bool) -> io::Result<()> + Send>;

/// Keys a transmitter, if there is one. It is let go when this is dropped.
#[derive(Default)]
pub(crate) struct Keyer {
    /// Sets the line.
    lead: Option<Lead>,
    down: bool,
}

impl Keyer {
    /// Opens what an option says, key up.
    pub(crate) fn open(ptt: Option<&str>) -> io::Result<Self> {
        let Some(text) = ptt else { return Ok(Self::default()) };
        let (line, device) =
            Line::parse(text).map_err(|text| io::Error::new(io::ErrorKind::InvalidInput, text))?;
        let name = device.to_owned();
        let failed = move |error: tokio_serial::Error| {
            let error = io::Error::from(error);
            io::Error::new(error.kind(), format!("the transmitter's port {name}: {error}"))
        };
        let port = tokio_serial::new(device, 9600).dtr_on_open(false).open();
        let mut port = port.map_err(&failed)?;
        Self::new(move |down| {
            match line {
                Line::Rts => port.write_request_to_send(down),
                Line::Dtr => port.write_data_terminal_ready(down),
            }
            .map_err(&failed)
        })
    }

    fn new(lead: impl FnMut(bool) -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let mut keyer = Self { lead: Some(Box::new(lead)), down: true };
        keyer.set(false)?;
        Ok(keyer)
    }

    /// Presses or releases the key.
    pub(crate) fn set(&mut self, down: bool) -> io::Result<()> {
        if self.down == down {
            return Ok(());
        }
        self.down = down;
        self.lead.as_mut().map_or(Ok(()), |lead| lead(down))
    }
}

impl Drop for Keyer {
    fn drop(&mut self) {
        // A transmitter that stays keyed blocks the channel for everybody.
        let _ = self.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn the_key_goes_up_at_the_start_with_each_change_and_at_the_end() {
        let line = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&line);
        let mut keyer = Keyer::new(move |down| {
            seen.lock().unwrap().push(down);
            Ok(())
        })
        .unwrap();
        for down in [false, true, true, false, false, true] {
            keyer.set(down).unwrap();
        }
        drop(keyer);
        assert_eq!(*line.lock().unwrap(), [false, true, false, true, false]);
        assert!(Keyer::open(None).unwrap().set(true).is_ok());
    }

    #[tokio::test]
    async fn a_port_without_the_line_is_named() {
        // A pseudo-terminal is a serial port in all but these lines.
        let (_master, port) = tokio_serial::SerialStream::pair().unwrap();
        let name = tokio_serial::SerialPort::name(&port).unwrap();
        for line in ["rts", "dtr"] {
            let error = Keyer::open(Some(&format!("{line}:{name}"))).err().unwrap().to_string();
            assert!(error.starts_with(&format!("the transmitter's port {name}: ")), "{error}");
        }
        let error = Keyer::open(Some("rts:/dev/none")).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
    }

    #[test]
    fn what_is_no_line_is_told_what_is() {
        for text in ["", "rts", "rts:", "cts:/dev/ttyS0", "/dev/ttyUSB0"] {
            let error = Line::parse(text).unwrap_err();
            assert!(error.contains("rts:DEVICE") && error.contains(text), "{error}");
        }
        assert_eq!(Line::parse("dtr:/dev/ttyS0"), Ok((Line::Dtr, "/dev/ttyS0")));
    }
}
