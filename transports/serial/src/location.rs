//! The part of an address that says which port.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{
    error::Error,
    list::{self, Port},
};

/// Which port. Only [`resolve`](Self::resolve) looks at the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// A device by its path.
    Path(PathBuf),
    /// A name that udev gave it in `/dev/serial/by-id` or `/dev/serial/by-path`.
    Link { kind: &'static str, name: String },
    /// An adapter by its USB vendor and product, in hexadecimal, and its serial number.
    Usb { vendor: u16, product: u16, serial: Option<String> },
}

const USB: &str = "`usb=` takes VENDOR:PRODUCT in hexadecimal and, if need be, :SERIAL, as in \
                   usb=0403:6001:A10K1234";

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("give a device, as in `serial:/dev/ttyUSB0`; `ipfi-bridge ports` lists \
                        those there are"
                .into());
        }
        for kind in ["by-id", "by-path"] {
            if let Some(name) = text.strip_prefix(kind).and_then(|rest| rest.strip_prefix('=')) {
                if name.is_empty() || name.contains('/') {
                    return Err(format!("`{kind}=` takes a name in `/dev/serial/{kind}`"));
                }
                return Ok(Self::Link { kind, name: name.into() });
            }
        }
        if let Some(usb) = text.strip_prefix("usb=") {
            let mut parts = usb.splitn(3, ':');
            let mut id = || {
                let digits = parts.next().unwrap_or_default();
                let plain = digits.len() <= 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                let id = plain.then(|| u16::from_str_radix(digits, 16).ok());
                id.flatten().ok_or_else(|| USB.to_owned())
            };
            let (vendor, product) = (id()?, id()?);
            let serial = parts.next().map(Into::into);
            return Ok(Self::Usb { vendor, product, serial });
        }
        // `serial:ttyUSB0` can mean only one thing.
        let path = if text.contains('/') { text.into() } else { Path::new("/dev").join(text) };
        Ok(Self::Path(path))
    }
}

impl Location {
    /// The device that it is now.
    pub(crate) fn resolve(&self) -> Result<PathBuf, Error> {
        match self {
            Self::Path(path) => Ok(path.clone()),
            Self::Link { kind, name } => {
                let link = Path::new("/dev/serial").join(kind).join(name);
                match link.canonicalize() {
                    Ok(path) => Ok(path),
                    Err(_) => Err(Error::NoSuchName { kind, name: name.clone() }),
                }
            }
            Self::Usb { vendor, product, serial } => {
                choose(&list::ports(), *vendor, *product, serial.as_deref())
            }
        }
    }
}

fn choose(
    ports: &[Port],
    vendor: u16,
    product: u16,
    serial: Option<&str>,
) -> Result<PathBuf, Error> {
    let matches = |port: &&Port| {
        port.usb.as_ref().is_some_and(|usb| {
            (usb.vendor, usb.product) == (vendor, product)
                && serial.is_none_or(|serial| usb.serial.as_deref() == Some(serial))
        })
    };
    let id = || match serial {
        Some(serial) => format!("{vendor:04x}:{product:04x}:{serial}"),
        None => format!("{vendor:04x}:{product:04x}"),
    };
    let found: Vec<_> = ports.iter().filter(matches).collect();
    match found.as_slice() {
        [port] => Ok(port.path.clone()),
        [] => Err(Error::NoSuchUsb { id: id() }),
        many => Err(Error::ManyUsb {
            id: id(),
            locations: many.iter().map(|port| port.location()).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::Usb;

    #[test]
    fn reads_every_form() {
        let read = |text: &str| text.parse::<Location>();
        assert_eq!(read("/dev/ttyS1"), Ok(Location::Path("/dev/ttyS1".into())));
        assert_eq!(read("ttyS1"), Ok(Location::Path("/dev/ttyS1".into())));
        assert_eq!(read("./x"), Ok(Location::Path("./x".into())));
        assert_eq!(read("by-id=a-b"), Ok(Location::Link { kind: "by-id", name: "a-b".into() }));
        assert_eq!(read("by-path=p"), Ok(Location::Link { kind: "by-path", name: "p".into() }));
        assert_eq!(
            read("usb=0403:6001:A:1"),
            Ok(Location::Usb { vendor: 0x403, product: 0x6001, serial: Some("A:1".into()) })
        );
        assert_eq!(
            read("usb=1a86:7523"),
            Ok(Location::Usb { vendor: 0x1a86, product: 0x7523, serial: None })
        );
        let error = |text| format!("{text}: {}", read(text).unwrap_err());
        insta::assert_snapshot!(
            [
                "",
                "by-id=",
                "by-id=../../etc/passwd",
                "by-path=a/b",
                "usb=",
                "usb=0403",
                "usb=+403:1"
            ]
            .map(error)
            .join("\n")
        );
    }

    #[test]
    fn usb_ids_choose_one_port() {
        let port = |path: &str, serial: &str, by_id: &str| {
            let mut port = Port::new(path.into());
            port.by_id = Some(by_id.into());
            port.usb = Some(Usb::new(0x403, 0x6001, Some(serial.into())));
            port
        };
        let ports = [
            Port::new("/dev/ttyS0".into()),
            port("/dev/ttyUSB0", "A1", "usb-a"),
            port("/dev/ttyUSB1", "A2", "usb-b"),
        ];
        let choose = |vendor, serial| choose(&ports, vendor, 0x6001, serial);
        assert_eq!(choose(0x403, Some("A2")).unwrap(), Path::new("/dev/ttyUSB1"));
        insta::assert_snapshot!(
            [choose(0x403, None), choose(0x403, Some("A3")), choose(0x1a86, None)]
                .map(|result| result.unwrap_err().to_string())
                .join("\n")
        );
    }
}
