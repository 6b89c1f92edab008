//! Lines for people, on standard error.

use std::{
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed},
};

use anstyle::{AnsiColor, Effects, Style};

const QUIET: u8 = 0;
const NORMAL: u8 = 1;
const VERBOSE: u8 = 2;

static LEVEL: AtomicU8 = AtomicU8::new(NORMAL);
/// There is a line that the next one replaces.
static PROGRESS: AtomicBool = AtomicBool::new(false);

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().effects(Effects::DIMMED);
const RED: Style = AnsiColor::Red.on_default().effects(Effects::BOLD);

pub(crate) fn set_level(quiet: bool, verbose: bool) {
    LEVEL.store(
        if quiet { QUIET } else { NORMAL + u8::from(verbose) * (VERBOSE - NORMAL) },
        Relaxed,
    );
}

/// Whether errors only are wanted.
pub(crate) fn is_quiet() -> bool {
    LEVEL.load(Relaxed) == QUIET
}

/// Whether this terminal shows colours and wants them (no-color.org).
pub(crate) fn is_colourful(out: &impl IsTerminal) -> bool {
    let set =
        |name| std::env::var_os(name).is_some_and(|value: std::ffi::OsString| !value.is_empty());
    out.is_terminal() && !set("NO_COLOR") && std::env::var("TERM").is_ok_and(|term| term != "dumb")
}

/// Text in a style, if standard output shows it.
pub(crate) fn styled(style: Style, text: &str) -> String {
    if is_colourful(&io::stdout()) { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

pub(crate) fn error(text: &str) {
    write(&mistake(text));
}

/// The line that says what went wrong.
pub(crate) fn mistake(text: &str) -> String {
    let style = if is_colourful(&io::stderr()) { RED } else { Style::new() };
    format!("{style}ipfi{style:#}: {}", clean(text))
}

pub(crate) fn say(text: &str) {
    if LEVEL.load(Relaxed) >= NORMAL {
        write(&format!("ipfi: {}", clean(text)));
    }
}

pub(crate) fn detail(text: impl FnOnce() -> String) {
    if LEVEL.load(Relaxed) >= VERBOSE {
        write(&format!("ipfi: {}", clean(&text())));
    }
}

/// Something that was asked for, without the name of the program.
pub(crate) fn report(text: &str) {
    write(text);
}

/// A name or a message from a peer cannot move the cursor, nor show what it says in another order.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) { '\u{fffd}' } else { c }).collect()
}

/// Whether it does something to a terminal in place of being seen there: a control character, or
/// one that says in which direction text runs (Unicode Standard Annex 9, section 2).
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A line that the next one replaces; only on a terminal.
pub(crate) fn progress(text: &str) {
    let was = PROGRESS.swap(!text.is_empty(), Relaxed);
    if (was || !text.is_empty()) && io::stderr().is_terminal() {
        let _ = write!(io::stderr(), "\r\x1b[K{text}");
    }
}

/// Takes the line away on which somebody typed Ctrl-C: the prompt comes there.
pub(crate) fn clear_line() {
    PROGRESS.store(true, Relaxed);
    progress("");
}

fn write(text: &str) {
    progress("");
    let _ = writeln!(io::stderr(), "{text}");
}
