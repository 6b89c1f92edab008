//! The one file that knows tokio-serial, whose traps it keeps away from the rest: its `flush`
//! blocks the thread in `tcdrain`, its `shutdown` forgets what is queued, and its errors have no
//! number.

use std::{
    fs, io,
    ops::RangeInclusive,
    os::{fd::OwnedFd, unix::fs::FileTypeExt},
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    io::Errno,
    termios::{ControlModes, OptionalActions, Termios, tcgetattr, tcsetattr},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_serial::{ClearBuffer, SerialPort, SerialStream};

use crate::{
    error::Error,
    latency,
    options::{DataBits, Flow, Framing, Parity, SerialOptions, StopBits},
};

/// The major numbers of pseudo-terminals (Linux, Documentation/admin-guide/devices.txt).
#[cfg(target_os = "linux")]
const PTYS: RangeInclusive<i64> = 136..=143;
/// Those of macOS.
#[cfg(not(target_os = "linux"))]
const PTYS: RangeInclusive<i64> = 16..=16;

/// The mode that makes the parity bit stick, where there is one.
#[cfg(target_os = "linux")]
const STICKY: ControlModes = ControlModes::CMSPAR;
#[cfg(not(target_os = "linux"))]
const STICKY: ControlModes = ControlModes::empty();

/// A port that is open, set up and, if asked for, locked.
#[derive(Debug)]
pub(crate) struct OpenPort {
    stream: SerialStream,
    /// The device.
    pub(crate) path: PathBuf,
    /// How it was asked to be.
    pub(crate) options: SerialOptions,
    /// No line but a program is behind it, so that closing never waits.
    pub(crate) is_pty: bool,
}

impl OpenPort {
    /// Opens `path`. Blocks for as long as the driver does; needs the runtime's context.
    pub(crate) fn open(path: &Path, options: &SerialOptions) -> Result<Self, Error> {
        let is_pty = look(path)?;
        let held = hold(path, options.lock)?;
        let framing = options.framing();
        // The descriptor that is held sets what tokio-serial cannot, and while it is open, DTR
        // does not fall and rise again.
        let stream = SerialStream::open(&builder(path, options));
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(error) if error.kind == tokio_serial::ErrorKind::NoDevice => {
                drop(held);
                return Err(Error::busy(path.to_owned()));
            }
            Err(error) => return Err(Error::Io(error.into())),
        };
        finish(&held, framing, options.hangup)
            .and_then(|()| tcgetattr(&held))
            .map_err(|errno| Error::opening(path, errno.into()))
            .and_then(|made| verify(path, options.baud.rate, framing, &made, is_pty))?;
        // A pty has no such lines, and some adapters have none either.
        if let Some(level) = options.dtr {
            let _ = stream.write_data_terminal_ready(level);
        }
        if let Some(level) = options.rts {
            let _ = stream.write_request_to_send(level);
        }
        if options.low_latency {
            latency::shorten(path);
        }
        Ok(Self { stream, path: path.to_owned(), options: options.clone(), is_pty })
    }

    /// Reads what has arrived. 0 bytes mean that the device is gone.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }

    /// Hands bytes to the driver.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    /// How many bytes wait in the driver. Those in the chip's own queue are not counted.
    pub(crate) fn queued(&self) -> io::Result<usize> {
        Ok(self.stream.bytes_to_write()? as usize)
    }

    /// How many bytes have arrived and can be read now.
    pub(crate) fn arrived(&self) -> io::Result<usize> {
        Ok(self.stream.bytes_to_read()? as usize)
    }

    /// Closes without waiting for bytes that nobody will take any more.
    pub(crate) fn close_at_once(self) {
        let _ = self.stream.clear(ClearBuffer::All);
    }
}

/// Looks at what is there without opening it, and says whether it is a pty.
fn look(path: &Path) -> Result<bool, Error> {
    let metadata = fs::metadata(path).map_err(|error| Error::opening(path, error))?;
    let kind = metadata.file_type();
    let (what, instead) = match () {
        () if kind.is_char_device() => {
            let device = rustix::fs::stat(path).map_err(|e| Error::opening(path, e.into()))?;
            return Ok(PTYS.contains(&i64::from(rustix::fs::major(device.st_rdev))));
        }
        () if kind.is_file() => ("a regular file", "; `file:` opens it as it is"),
        () if kind.is_dir() => ("a directory", ""),
        () if kind.is_fifo() => ("a named pipe", "; `pipe:` opens it"),
        () if kind.is_socket() => ("a socket", "; `unix:` connects to it"),
        () => return Err(Error::other_device(path.to_owned())),
    };
    Err(Error::NotAPort { path: path.to_owned(), what, instead })
}

/// Opens the terminal a first time, to learn what stands in the way in the system's own numbers,
/// and to touch nothing if somebody else has it.
fn hold(path: &Path, lock: bool) -> Result<OwnedFd, Error> {
    let failed = |errno: Errno| Error::opening(path, errno.into());
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let held = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    tcgetattr(&held).map_err(failed)?;
    // tokio-serial would first take TIOCEXCL away from the one who has the lock.
    let operation = if lock {
        FlockOperation::NonBlockingLockExclusive
    } else {
        FlockOperation::NonBlockingLockShared
    };
    match rustix::fs::flock(&held, operation) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            drop(held);
            return Err(Error::busy(path.to_owned()));
        }
        Err(errno) => return Err(failed(errno)),
    }
    rustix::fs::flock(&held, FlockOperation::Unlock).map_err(failed)?;
    Ok(held)
}

fn builder(path: &Path, options: &SerialOptions) -> tokio_serial::SerialPortBuilder {
    let framing = options.framing();
    tokio_serial::new(path.to_string_lossy(), options.baud.rate)
        .exclusive(options.lock)
        .data_bits(match framing.data {
            DataBits::Five => tokio_serial::DataBits::Five,
            DataBits::Six => tokio_serial::DataBits::Six,
            DataBits::Seven => tokio_serial::DataBits::Seven,
            DataBits::Eight => tokio_serial::DataBits::Eight,
        })
        .parity(match framing.parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even | Parity::Space => tokio_serial::Parity::Even,
            Parity::Odd | Parity::Mark => tokio_serial::Parity::Odd,
        })
        .stop_bits(match framing.stop {
            StopBits::One => tokio_serial::StopBits::One,
            StopBits::Two => tokio_serial::StopBits::Two,
        })
        .flow_control(match options.flow {
            Flow::None => tokio_serial::FlowControl::None,
            Flow::RtsCts => tokio_serial::FlowControl::Hardware,
            Flow::XonXoff => tokio_serial::FlowControl::Software,
        })
}

/// Sets what tokio-serial has no words for.
fn finish(held: &OwnedFd, framing: Framing, hangup: Option<bool>) -> Result<(), Errno> {
    let mut termios = tcgetattr(held)?;
    let before = termios.control_modes;
    let sticks = matches!(framing.parity, Parity::Mark | Parity::Space);
    termios.control_modes.set(STICKY, sticks);
    if let Some(hangup) = hangup {
        termios.control_modes.set(ControlModes::HUPCL, hangup);
    }
    if termios.control_modes == before {
        return Ok(());
    }
    tcsetattr(held, OptionalActions::Now, &termios)
}

/// Drivers change what they cannot do into something else without a word.
fn verify(
    path: &Path,
    rate: u32,
    framing: Framing,
    made: &Termios,
    is_pty: bool,
) -> Result<(), Error> {
    let actual = made.output_speed();
    // Two ends that differ by more than about 4 % misread a character's last bits, and the other
    // end has its own share of that.
    if rate.abs_diff(actual) > rate.div_ceil(33) {
        return Err(Error::Baud { path: path.to_owned(), wanted: rate, actual });
    }
    let actual = shape(made.control_modes);
    if actual != framing && !is_pty {
        let (wanted, actual) = (framing.to_string(), actual.to_string());
        return Err(Error::Framing { path: path.to_owned(), wanted, actual });
    }
    Ok(())
}

/// The shape of a character as the driver has it.
fn shape(modes: ControlModes) -> Framing {
    let has = |mode| modes.contains(mode);
    let size = modes & ControlModes::CSIZE;
    let odd = has(ControlModes::PARODD);
    Framing {
        data: if size == ControlModes::CS8 {
            DataBits::Eight
        } else if size == ControlModes::CS7 {
            DataBits::Seven
        } else if size == ControlModes::CS6 {
            DataBits::Six
        } else {
            DataBits::Five
        },
        parity: match (has(ControlModes::PARENB), !STICKY.is_empty() && has(STICKY)) {
            (false, _) => Parity::None,
            (true, false) if odd => Parity::Odd,
            (true, false) => Parity::Even,
            (true, true) if odd => Parity::Mark,
            (true, true) => Parity::Space,
        },
        stop: if has(ControlModes::CSTOPB) { StopBits::Two } else { StopBits::One },
    }
}
