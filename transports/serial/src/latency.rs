//! How long an FTDI adapter keeps bytes to itself.
//!
//! Its timer is 16 ms from the factory, which is what a round trip then costs. The flag
//! `ASYNC_LOW_LATENCY` of the ioctl TIOCSSERIAL sets it to 1 ms and has no other effect in today's
//! kernels. Neither rustix nor nix has a safe call for it, and the one crate that has,
//! `serialport_low_latency`, would have everybody install libclang to build this program. So this
//! sets the timer itself (`ftdi_sio`, attribute `latency_timer`), for which the file must be ours to
//! write: as root, or with the udev rule
//! `ACTION=="add", SUBSYSTEM=="usb-serial", DRIVER=="ftdi_sio", ATTR{latency_timer}="1"`, which
//! does it for good.

use std::{fs, path::Path};

/// Sets the timer of the adapter behind `device` to 1 ms if it has one and we may.
pub(crate) fn shorten(device: &Path) {
    shorten_in(Path::new("/sys/class/tty"), device);
}

fn shorten_in(sys: &Path, device: &Path) {
    let device = device.canonicalize().unwrap_or_else(|_| device.to_owned());
    let Some(name) = device.file_name() else { return };
    let timer = sys.join(name).join("device/latency_timer");
    let now: Option<u8> = fs::read_to_string(&timer).ok().and_then(|ms| ms.trim().parse().ok());
    if now.is_some_and(|ms| ms > 1) {
        // Only speed is at stake: whoever may not write goes on with what there is.
        let _ = fs::write(timer, "1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortens_what_is_there() {
        let sys = tempfile::tempdir().unwrap();
        let folder = sys.path().join("ttyUSB0/device");
        fs::create_dir_all(&folder).unwrap();
        let timer = folder.join("latency_timer");
        fs::write(&timer, "16\n").unwrap();
        shorten_in(sys.path(), Path::new("/dev/ttyUSB0"));
        assert_eq!(fs::read_to_string(timer).unwrap(), "1");
        shorten_in(sys.path(), Path::new("/dev/ttyS0"));
        assert!(!sys.path().join("ttyS0").exists());
    }
}
