//! Serial ports: `serial:/dev/ttyUSB0,baud=9600`.
//!
//! ```
//! use ipfi_serial::Serial;
//! use ipfi_transport::Registry;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let registry = Registry::new().with(Serial::new());
//! let properties = registry.check(&"serial:/dev/ttyUSB0,baud=115200e71".parse()?).await?;
//! assert!(properties.exclusive && !properties.reliable);
//!
//! let error = registry.dial(&"serial:/dev/ttyNONE".parse()?).await.err().unwrap();
//! assert!(error.to_string().contains("there is no device `/dev/ttyNONE`"));
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A port is found anew at each dial, so that `serial:by-id=...` and `serial:usb=...` lead to the
//! device wherever it came back. A serial line has no end: its streams end with an error of the
//! kind [`ConnectionReset`](std::io::ErrorKind::ConnectionReset) when the device is gone, and by
//! then its descriptor is closed, so that the device can come back under the same name.

#![cfg(unix)]

mod drain;
mod error;
mod latency;
mod list;
mod location;
mod options;
mod port;
mod stream;

use std::io;

use ipfi_transport::{BoxStream, Place, Properties, Transport};

pub use list::{Port, Usb, ports};
pub use options::{Baud, DataBits, Flow, Framing, Given, Parity, SerialOptions, StopBits};

use error::Error;
use location::Location;
use port::OpenPort;
use stream::SerialStream;

/// The transport `serial:DEVICE`, over ports of this machine.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Serial;

impl Serial {
    /// The ports of this machine.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Transport for Serial {
    const SCHEME: &'static str = "serial";
    const SUMMARY: &'static str = "a serial port";
    const EXAMPLES: &'static [&'static str] = &[
        "serial:/dev/ttyUSB0,baud=9600",
        "serial:/dev/ttyS0,baud=115200e71,flow=rtscts",
        "serial:by-id=usb-FTDI_FT232R_USB_UART_A10K1234-if00-port0",
        "serial:usb=0403:6001:A10K1234",
    ];
    const RELIABLE: bool = false;
    const EXCLUSIVE: bool = true;
    const ENDLESS: bool = true;
    type Options = SerialOptions;

    async fn dial(&self, location: &str, options: SerialOptions) -> io::Result<BoxStream> {
        let location: Location = location.parse().map_err(Error::Usage)?;
        // Drivers of USB adapters talk to the device while it is opened.
        let open = move || OpenPort::open(&location.resolve()?, &options);
        let port = tokio::task::spawn_blocking(open).await.map_err(io::Error::other)??;
        Ok(Box::new(SerialStream::new(port)))
    }

    fn check(&self, location: &str, _: &SerialOptions) -> Result<(), String> {
        location.parse::<Location>().map(drop)
    }

    fn properties(&self, _: &str, options: &SerialOptions) -> Properties {
        let mut properties = Properties::new(options.reliable, Self::EXCLUSIVE);
        properties.endless = Self::ENDLESS;
        properties
    }

    fn places(&self) -> Vec<Place> {
        ports().iter().map(|port| Place::new(port.location(), port.about())).collect()
    }
}
