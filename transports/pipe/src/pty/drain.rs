//! Waiting until the other program has read everything.

use std::{os::fd::OwnedFd, path::PathBuf, time::Duration};

use rustix::{fs::OFlags, io::ioctl_fionread};
use tokio::time::sleep;

use super::hung_up;
use crate::path::open_at;

/// How often we look whether everything was read.
const LOOK: Duration = Duration::from_millis(5);
/// How many looks must find nothing: the kernel moves bytes from one queue to another.
const LOOKS: u32 = 3;
/// How many looks without any change mean that nobody reads: a second.
const PATIENCE: u32 = 200;

/// Keeps the master open until the other program has read everything.
pub(super) async fn drain(master: OwnedFd, path: PathBuf) {
    if hung_up(&master).unwrap_or(true) {
        return;
    }
    let Ok(slave) = open_at(&path, OFlags::RDONLY, None) else { return };
    let (mut before, mut same) = (0, 0);
    loop {
        let Ok(left) = ioctl_fionread(&slave) else { return };
        same = if left == before { same + 1 } else { 0 };
        before = left;
        if same >= if left == 0 { LOOKS } else { PATIENCE } {
            return;
        }
        sleep(LOOK).await;
    }
}
