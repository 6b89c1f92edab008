//! Waiting until the other program has read everything.

use std::{os::fd::OwnedFd, path::PathBuf, time::Duration};

use rustix::{event::PollFlags, fs::OFlags, io::ioctl_fionread};
use tokio::time::sleep;

use super::poll_now;
use crate::path::open_at;

/// How often we look whether everything was read.
const LOOK: Duration = Duration::from_millis(5);
/// How many looks must find nothing: a tenth of a second. A program that has just emptied the
/// queue fills it from another one, of which the kernel tells nobody, when it runs next.
const LOOKS: u32 = 20;
/// How many looks without any change mean that nobody reads: a second.
const PATIENCE: u32 = 200;

/// Keeps the master open until the other program has read everything, or nobody does.
pub(super) async fn drain(master: OwnedFd, path: PathBuf) {
    // Even if no program has it open just now: one may come for the rest.
    if let Ok(slave) = open_at(&path, OFlags::RDONLY, None) {
        all_read(&slave).await;
    }
    drop(master);
}

async fn all_read(slave: &OwnedFd) {
    let (mut before, mut same) = (0, 0);
    // To poll it makes the kernel move what it can between the two queues.
    while let (Ok(_), Ok(left)) = (poll_now(slave, PollFlags::IN), ioctl_fionread(slave)) {
        same = if left == before { same + 1 } else { 0 };
        before = left;
        if same >= if left == 0 { LOOKS } else { PATIENCE } {
            return;
        }
        sleep(LOOK).await;
    }
}
