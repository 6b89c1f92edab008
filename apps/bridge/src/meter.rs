//! The live meter: both directions, totals and state, on the last lines of a terminal.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{Instant, interval};

use crate::stats::{Stats, bytes};

const TICK: Duration = Duration::from_millis(500);

/// The lines on the screen. Whoever prints something else holds the lock, clears them before and
/// draws them after.
static SCREEN: Mutex<String> = Mutex::new(String::new());

/// Whether there is a meter at all.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// Draws the meter until it is dropped. Nothing is drawn when standard error is not a terminal, nor
/// of no bridges.
pub(crate) async fn run(bridges: Vec<Arc<Stats>>) {
    if bridges.is_empty() || !std::io::stderr().is_terminal() {
        return std::future::pending().await;
    }
    SHOWN.store(true, Relaxed);
    let _cleared = Clear;
    let mut before: Vec<_> = bridges.iter().map(|_| (0, 0)).collect();
    let mut then = Instant::now();
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        let seconds = (now - then).as_secs_f64().max(0.001);
        then = now;
        let columns = columns();
        let lines = bridges.iter().zip(&mut before).flat_map(|(stats, before)| {
            let totals = (stats.a_to_b.load(Relaxed), stats.b_to_a.load(Relaxed));
            let rates = (rate(totals.0 - before.0, seconds), rate(totals.1 - before.1, seconds));
            *before = totals;
            let mut lines = health(stats, columns);
            lines.insert(0, line(stats, totals, rates));
            lines
        });
        draw(&lines.collect::<Vec<_>>(), columns);
    }
}

/// Runs `print` with the meter out of the way.
pub(crate) fn aside(print: impl FnOnce()) {
    if !SHOWN.load(Relaxed) {
        return print();
    }
    let screen = SCREEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(erase(&screen).as_bytes());
    drop(err);
    print();
    let _ = std::io::stderr().write_all(screen.as_bytes());
}

/// Puts new lines in the place of the old ones.
fn draw(lines: &[String], columns: usize) {
    let cut = |line: &String| line.chars().take(columns.saturating_sub(1)).collect::<String>();
    let text = lines.iter().map(cut).collect::<Vec<_>>().join("\n");
    let mut screen = SCREEN.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = std::io::stderr().write_all((erase(&screen) + &text).as_bytes());
    *screen = text;
}

/// Clears as many lines as `text` has, and stands where it began (ECMA-48: CPL, ED).
fn erase(text: &str) -> String {
    match text.matches('\n').count() {
        _ if text.is_empty() => String::new(),
        0 => "\r\x1b[J".into(),
        lines => format!("\x1b[{lines}F\x1b[J"),
    }
}

fn columns() -> usize {
    #[cfg(target_os = "linux")]
    if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stderr())
        && size.ws_col > 0
    {
        return size.ws_col.into();
    }
    80
}

fn rate(bytes: u64, seconds: f64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a figure for people, and not negative"
    )]
    let rate = (bytes as f64 / seconds) as u64;
    rate
}

fn line(stats: &Stats, totals: (u64, u64), rates: (u64, u64)) -> String {
    let mut line = String::new();
    if !stats.name.is_empty() {
        let _ = write!(line, "{}  ", stats.name);
    }
    let _ = write!(
        line,
        "-> {}/s ({})  <- {}/s ({})  ",
        bytes(rates.0),
        bytes(totals.0),
        bytes(rates.1),
        bytes(totals.1),
    );
    let _ = match (stats.down.load(Relaxed), stats.active.load(Relaxed)) {
        (0, 1) => write!(line, "1 peer"),
        (0, n) => write!(line, "{n} peers"),
        (_, n) => write!(line, "DOWN, {} tries, {n} peers", stats.tries.load(Relaxed)),
    };
    line
}

/// How the links at the ends fare, on as many lines as it takes.
fn health(stats: &Stats, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (name, value) in stats.health() {
        let word = format!("  {name} {value}");
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < columns => line.push_str(&word),
            Some(_) | None => lines.push(word),
        }
    }
    lines
}

struct Clear;

impl Drop for Clear {
    fn drop(&mut self) {
        draw(&[], 0);
        SHOWN.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::Facing;
    use ipfi_transport::{Reading, Value};

    #[tokio::test]
    async fn shows_rates_totals_and_state() {
        let stats = Stats::new("", "a".into(), "b".into());
        stats.active.store(2, Relaxed);
        let up = line(&stats, (10_000, 3), (2048, 0));
        stats.down.store(1, Relaxed);
        stats.tries.store(7, Relaxed);
        insta::assert_snapshot!(format!("{up}\n{}", line(&stats, (0, 0), (0, 0))));
    }

    #[tokio::test]
    async fn shows_all_readings_on_a_narrow_terminal() {
        let stats = Stats::new("", "a".into(), "b".into());
        assert_eq!(health(&stats, 40), Vec::<String>::new());
        let fec = Reading::new("fec", Value::Text("light".into()));
        let frame = Reading::new("frame", Value::Count(440));
        let goodput = Reading::new("goodput", Value::Rate(9342.0));
        stats.set_health(Facing::A, vec![goodput, frame, fec]);
        assert_eq!(health(&stats, 40), ["  goodput 9342 B/s  frame 440", "  fec light"]);
    }

    #[test]
    fn erases_what_it_drew() {
        assert_eq!(erase(""), "");
        assert_eq!(erase("one"), "\r\x1b[J");
        assert_eq!(erase("one\ntwo\nthree"), "\x1b[2F\x1b[J");
    }
}
