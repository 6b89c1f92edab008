//! `morse train`: sends, and checks what you type.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use clap::Args;
use ipfi_morse::alphabet::Code;
use ipfi_morse::text;

use crate::encode::dots_and_dashes;
use crate::exit::Usage;
use crate::sending::Sending;
use crate::sink::Sink;

mod drill;
mod material;
mod score;

use drill::Drill;
use score::{Pair, Score};

/// Sends random groups or words and checks what you type.
///
/// Type what you hear and press Enter; an empty line sends it again; Ctrl-D ends and tells how
/// well it went. What you miss comes more often. Lessons follow Koch: full speed from the first two
/// letters on, one more when nine of ten are right.
#[derive(Debug, Args)]
pub(crate) struct Train {
    #[command(flatten)]
    what: What,

    /// How many groups or words
    #[arg(long, short = 'n', default_value_t = 10, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,

    /// Characters in a group
    #[arg(long, default_value_t = 5, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=50))]
    length: u32,

    /// Shows dots and dashes instead of playing them
    #[arg(long)]
    show: bool,

    /// The sound device to play on; `morse devices` lists them
    #[arg(long, value_name = "NAME", conflicts_with = "show")]
    device: Option<String>,

    #[command(flatten)]
    sending: Sending,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
#[command(next_help_heading = "What is sent")]
struct What {
    /// Groups of the first N characters of Koch's order: K M U R E S N A P T L W I ...
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=41))]
    koch: Option<u8>,

    /// Groups of these characters
    #[arg(long, value_name = "CHARACTERS")]
    chars: Option<String>,

    /// English words and what amateurs say
    #[arg(long)]
    words: bool,

    /// Call signs
    #[arg(long)]
    calls: bool,
}

impl What {
    fn drill(&self, length: u32, seed: u64) -> anyhow::Result<Drill> {
        let groups = |characters: Vec<char>| Drill::groups(characters, length as usize, seed);
        if self.words {
            return Ok(Drill::words(material::WORDS, seed));
        }
        if self.calls {
            return Ok(Drill::calls(seed));
        }
        if let Some(n) = self.koch {
            return Ok(groups(material::KOCH.chars().take(usize::from(n)).collect()));
        }
        let Some(chars) = &self.chars else {
            return Ok(groups(('A'..='Z').chain('0'..='9').collect()));
        };
        let mut chosen: Vec<char> = Vec::new();
        for c in chars.chars().filter(|c| !c.is_whitespace()) {
            let c = c.to_uppercase().next().unwrap_or(c);
            if Code::of(c).is_none() {
                text::parse(&c.to_string())?; // says that it has no code
            }
            if !chosen.contains(&c) {
                chosen.push(c);
            }
        }
        if chosen.is_empty() {
            return Err(Usage("`--chars` needs at least one character").into());
        }
        Ok(groups(chosen))
    }
}

impl Train {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let seed = self.sending.seed.unwrap_or_else(|| fastrand::u64(..));
        let mut station = self.sending.station()?;
        let mut drill = self.what.drill(self.length, seed)?;
        let mut sink = if self.show {
            None
        } else {
            Some(Sink::loudspeaker(self.device.as_deref(), self.sending.rate)?)
        };
        let mut lines = io::stdin().lock().lines();
        let mut out = io::stdout();
        let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        writeln!(out, "Type what you hear; an empty line sends it again; Ctrl-D ends.\n")?;
        let score = Arc::new(Mutex::new(Score::default()));
        let so_far = Arc::clone(&score);
        let koch = self.what.koch;
        ctrlc::set_handler(move || {
            // Nobody may be reading any more.
            let _ = write!(io::stdout(), "\n{}", verdict(&so_far, koch));
            std::process::exit(130);
        })
        .context("cannot watch for Ctrl-C")?;
        'groups: for number in 1..=self.count {
            let sent = drill.next();
            let tokens = text::parse_lossy(&sent);
            let typed = loop {
                let prompt = format!("{number:>4}/{}  ", self.count);
                if let Some(sink) = &mut sink {
                    // Before the sound: who types along sees it where it belongs.
                    write!(out, "{prompt}")?;
                    out.flush()?;
                    station.wait(0.3, |block| sink.write(block))?;
                    station.send(&tokens, |block| sink.write(block))?;
                    station.wait(0.1, |block| sink.write(block))?;
                    sink.flush()?;
                } else {
                    write!(out, "{:>9}  {}\n{prompt}", "", dots_and_dashes(&tokens))?;
                    out.flush()?;
                }
                match lines.next() {
                    None => {
                        writeln!(out)?;
                        break 'groups;
                    }
                    Some(line) => {
                        let line = line?.trim().to_uppercase();
                        if !line.is_empty() {
                            break line;
                        }
                    }
                }
            };
            let pairs = score::compare(&sent, &typed);
            drill.learn(&pairs);
            let right = pairs.iter().filter(|pair| pair.right()).count();
            let shown = mark(&pairs, colour);
            let width = usize::try_from(self.count.ilog10() + 7).unwrap_or(8);
            if right == pairs.len() {
                writeln!(out, "{:>width$}{shown}  right", "")?;
            } else {
                writeln!(out, "{:>width$}{shown}  {right} of {}", "", sent.chars().count())?;
            }
            score.lock().unwrap_or_else(PoisonError::into_inner).add(&pairs);
        }
        if let Some(sink) = sink {
            sink.finish()?;
        }
        out.write_all(verdict(&score, koch).as_bytes())?;
        Ok(())
    }
}

/// How it went, and what to do next.
fn verdict(score: &Mutex<Score>, koch: Option<u8>) -> String {
    let score = score.lock().unwrap_or_else(PoisonError::into_inner);
    let mut text = score.summary();
    if let Some(advice) = koch.and_then(|n| material::advice(n, score.percent())) {
        text.push_str(&advice);
        text.push('\n');
    }
    text
}

/// What was sent, with what was missed in red, or in brackets where there is no colour.
fn mark(pairs: &[Pair], colour: bool) -> String {
    let (before, after) = if colour { ("\x1b[1;31m", "\x1b[0m") } else { ("[", "]") };
    let mut shown = String::new();
    for pair in pairs {
        match (pair.sent, pair.right()) {
            (Some(c), true) => shown.push(c),
            (Some(c), false) => shown.extend(before.chars().chain([c]).chain(after.chars())),
            (None, _) => {} // typed, but not sent
        }
    }
    shown
}
