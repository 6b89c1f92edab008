//! The serial ports of this machine.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// A serial port of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Port {
    /// The device, such as `/dev/ttyUSB0`. Its number may be another one tomorrow.
    pub path: PathBuf,
    /// Its stable name in `/dev/serial/by-id`, if udev gave it one.
    pub by_id: Option<String>,
    /// The USB adapter that it belongs to, if it does.
    pub usb: Option<Usb>,
    /// The driver in the kernel, such as `ftdi_sio`.
    pub driver: Option<String>,
}

impl Port {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, by_id: None, usb: None, driver: None }
    }

    /// The location that finds it again: its stable name if it has one, else its path.
    #[must_use]
    pub fn location(&self) -> String {
        match &self.by_id {
            Some(name) => format!("by-id={name}"),
            None => self.path.display().to_string(),
        }
    }

    /// What it is, beside its [`location`](Self::location).
    pub(crate) fn about(&self) -> String {
        let what = match (&self.usb, &self.driver) {
            (Some(usb), _) => usb.to_string(),
            (None, Some(driver)) => format!("driver {driver}"),
            (None, None) => String::new(),
        };
        match &self.by_id {
            Some(_) => format!("{}: {what}", self.path.display()),
            None => what,
        }
    }
}

/// What a USB adapter says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usb {
    /// The vendor's number.
    pub vendor: u16,
    /// The vendor's number for the product.
    pub product: u16,
    /// The serial number, if the maker paid for one.
    pub serial: Option<String>,
    /// The vendor's name.
    pub manufacturer: Option<String>,
    /// The product's name.
    pub name: Option<String>,
}

impl Usb {
    pub(crate) fn new(vendor: u16, product: u16, serial: Option<String>) -> Self {
        Self { vendor, product, serial, manufacturer: None, name: None }
    }
}

/// For people: `FTDI FT232R USB UART (USB 0403:6001, serial A10K1234)`.
impl fmt::Display for Usb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in [&self.manufacturer, &self.name].into_iter().flatten() {
            write!(f, "{name} ")?;
        }
        write!(f, "(USB {:04x}:{:04x}", self.vendor, self.product)?;
        match &self.serial {
            Some(serial) => write!(f, ", serial {serial})"),
            None => write!(f, ")"),
        }
    }
}

/// The serial ports that exist now, in the order of their paths.
///
/// Those that the kernel only reserves a name for, such as `ttyS3` on a machine with one UART,
/// are left out.
///
/// ```
/// for port in ipfi_serial::ports() {
///     println!("serial:{}", port.location());
/// }
/// ```
#[must_use]
pub fn ports() -> Vec<Port> {
    ports_in(Path::new("/sys/class/tty"), Path::new("/dev"))
}

fn ports_in(sys: &Path, dev: &Path) -> Vec<Port> {
    let links = links(&dev.join("serial/by-id"));
    let terminals = fs::read_dir(sys).into_iter().flatten().flatten();
    let mut ports: Vec<_> = terminals
        .filter_map(|terminal| {
            let (entry, name) = (terminal.path(), terminal.file_name());
            let path = dev.join(&name);
            let device = entry.join("device").canonicalize().ok();
            let bluetooth = name.to_string_lossy().starts_with("rfcomm");
            let reserved = word(&entry, "type").is_some_and(|uart| uart == "0");
            if (device.is_none() && !bluetooth) || reserved || !path.exists() {
                return None;
            }
            let mut port = Port::new(path.clone());
            let path = path.canonicalize().unwrap_or(path);
            port.by_id = links.iter().find(|(_, to)| *to == path).map(|(name, _)| name.clone());
            if let Some(device) = device {
                port.usb = device.ancestors().take(6).find_map(usb);
                port.driver = device.ancestors().take(4).find_map(driver);
            }
            Some(port)
        })
        .collect();
    // ttyUSB2 before ttyUSB10.
    ports.sort_by_key(|port| (port.path.as_os_str().len(), port.path.clone()));
    ports
}

/// The names in a directory of symbolic links, and where they lead.
fn links(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut links: Vec<_> = entries
        .filter_map(|entry| {
            let target = entry.path().canonicalize().ok()?;
            Some((entry.file_name().into_string().ok()?, target))
        })
        .collect();
    links.sort();
    links
}

fn driver(device: &Path) -> Option<String> {
    let driver = device.join("driver").canonicalize().ok()?;
    // Since Linux 6.5 a layer that all UARTs share stands between the port and its driver.
    if driver.ancestors().any(|folder| folder.ends_with("serial-base")) {
        return None;
    }
    Some(driver.file_name()?.to_str()?.to_owned())
}

/// The adapter whose folder this is, if it is one.
fn usb(folder: &Path) -> Option<Usb> {
    let id = |file| u16::from_str_radix(&word(folder, file)?, 16).ok();
    let mut usb = Usb::new(id("idVendor")?, id("idProduct")?, word(folder, "serial"));
    usb.manufacturer = word(folder, "manufacturer");
    usb.name = word(folder, "product");
    Some(usb)
}

/// What a file of sysfs says, if it says anything. Names come from the device: control characters
/// could play tricks with a terminal.
fn word(folder: &Path, file: &str) -> Option<String> {
    let bytes = fs::read(folder.join(file)).ok()?;
    let text: String =
        String::from_utf8_lossy(&bytes).trim().chars().filter(|c| !c.is_control()).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Files with their contents, below `root`.
    fn tree<const N: usize>(root: &Path, files: [(&str, &str); N]) {
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn finds_what_exists_and_names_it() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        tree(
            root.path(),
            [
                ("devices/usb/1-1/idVendor", "0403\n"),
                ("devices/usb/1-1/idProduct", "6001\n"),
                ("devices/usb/1-1/serial", "A10K\u{1b}[2J1234\n"),
                ("devices/usb/1-1/manufacturer", "FTDI\n"),
                ("devices/usb/1-1/product", "FT232R USB UART\n"),
                ("devices/usb/1-1/1-1:1.0/ttyUSB0/x", ""),
                ("drivers/ftdi_sio/x", ""),
                ("devices/pnp/00/base/x", ""),
                ("drivers/pnp-serial/x", ""),
                ("drivers/serial-base/port/x", ""),
                ("class/ttyUSB0/x", ""),
                ("class/ttyS0/type", "4\n"),
                ("class/ttyS1/type", "0\n"),
                ("class/tty1/x", ""),
                ("class/ttyUSB10/x", ""),
                ("dev/ttyUSB0", ""),
                ("dev/ttyUSB10", ""),
                ("dev/ttyS0", ""),
                ("dev/ttyS1", ""),
                ("dev/tty1", ""),
                ("dev/serial/by-id/x", ""),
            ],
        );
        let link = |to: &str, from: &str| symlink(at(to), at(from)).unwrap();
        link("devices/usb/1-1/1-1:1.0/ttyUSB0", "class/ttyUSB0/device");
        link("devices/usb/1-1/1-1:1.0/ttyUSB0", "class/ttyUSB10/device");
        link("drivers/ftdi_sio", "devices/usb/1-1/1-1:1.0/ttyUSB0/driver");
        link("drivers/pnp-serial", "devices/pnp/00/driver");
        link("drivers/serial-base/port", "devices/pnp/00/base/driver");
        link("devices/pnp/00/base", "class/ttyS0/device");
        link("devices/pnp/00/base", "class/ttyS1/device");
        link("dev/ttyUSB0", "dev/serial/by-id/usb-FTDI_1234");

        let ports = ports_in(&at("class"), &at("dev"));
        let names: Vec<_> = ports.iter().map(|p| p.path.file_name().unwrap()).collect();
        assert_eq!(names, ["ttyS0", "ttyUSB0", "ttyUSB10"]);
        let port = &ports[1];
        assert_eq!(port.driver.as_deref(), Some("ftdi_sio"));
        assert_eq!(port.location(), "by-id=usb-FTDI_1234");
        assert!(
            port.about()
                .ends_with("dev/ttyUSB0: FTDI FT232R USB UART (USB 0403:6001, serial A10K[2J1234)")
        );
        let usb = port.usb.as_ref().unwrap();
        assert_eq!((usb.vendor, usb.product), (0x403, 0x6001));
        assert_eq!(usb.serial.as_deref(), Some("A10K[2J1234"));
        assert_eq!(usb.name.as_deref(), Some("FT232R USB UART"));
        assert!(ports[0].usb.is_none());
        assert_eq!(ports[0].about(), "driver pnp-serial");
        assert!(ports[0].location().ends_with("dev/ttyS0"));
    }

    #[test]
    fn a_machine_without_sysfs_has_no_ports() {
        assert_eq!(ports_in(Path::new("/nonexistent"), Path::new("/nonexistent")), []);
    }
}
