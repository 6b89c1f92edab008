//! Lines for people, on standard error: one for each change of state.

use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::meter;

const QUIET: u8 = 0;
const NORMAL: u8 = 1;
const VERBOSE: u8 = 2;

static LEVEL: AtomicU8 = AtomicU8::new(NORMAL);

pub(crate) fn set_level(quiet: bool, verbose: bool) {
    let level = if quiet {
        QUIET
    } else if verbose {
        VERBOSE
    } else {
        NORMAL
    };
    LEVEL.store(level, Ordering::Relaxed);
}

pub(crate) fn error(text: &str) {
    print(text);
}

pub(crate) fn say(text: &str) {
    if LEVEL.load(Ordering::Relaxed) >= NORMAL {
        print(text);
    }
}

pub(crate) fn detail(text: impl FnOnce() -> String) {
    if LEVEL.load(Ordering::Relaxed) >= VERBOSE {
        print(&text());
    }
}

/// Prints something that was asked for, without the name of the program.
pub(crate) fn report(text: &str) {
    write(text);
}

fn print(text: &str) {
    // A name or a message from a peer cannot move the cursor.
    let clean: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    write(&format!("ipfi-bridge: {clean}"));
}

/// Goes on if nobody hears it: terminals are closed, and readers leave.
fn write(line: &str) {
    meter::aside(|| {
        let _ = writeln!(std::io::stderr(), "{line}");
    });
}
