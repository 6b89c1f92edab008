//! What can be set for one bridge: the same list for the command line and for the config file.

use std::time::Duration;

use clap::{Args, ValueEnum};
use ipfi_transport::OptionValue;
use serde::{Deserialize, Deserializer};

/// What a second peer gets while the far side has one already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnBusy {
    /// A reset.
    #[default]
    Reject,
    /// A place in the queue.
    Wait,
    /// The far side; the first peer gets a reset.
    Kick,
    /// The same: all see what the far side says, and write in turns.
    Share,
}

/// What to do when an end is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnLoss {
    /// Open it again, for as long as it takes.
    Retry,
    /// End the program.
    Exit,
}

/// What happens to bytes for an end that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WhileDown {
    /// They wait, and so does whoever sends them.
    #[default]
    Wait,
    /// They are thrown away.
    Discard,
}

/// What can be set for one bridge.
#[derive(Args, Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Settings {
    /// What a second peer gets while the far side (a serial port, a terminal) has one already
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub(crate) on_busy: OnBusy,

    /// What to do when an end is cut: devices are reopened and anything else ends the program,
    /// unless said here; `retry` tries from the start
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) on_loss: Option<OnLoss>,

    /// What happens to bytes for an end that is not there
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub(crate) while_down: WhileDown,

    /// Ends a half-closed pair after this long without a byte; 0 for never
    #[arg(long, value_parser = time, default_value = "60s", value_name = "TIME")]
    #[serde(deserialize_with = "time_text")]
    pub(crate) linger: Duration,

    /// Ends a pair after this long without a byte in either direction; 0 for never
    #[arg(long, value_parser = time, default_value = "0s", value_name = "TIME")]
    #[serde(deserialize_with = "time_text")]
    pub(crate) idle: Duration,

    /// Serves one peer, then ends
    #[arg(long)]
    pub(crate) once: bool,

    /// How many peers are served at once; more wait in the queue of the system
    #[arg(long, default_value_t = 1024, value_name = "N", value_parser = at_least_one)]
    #[serde(deserialize_with = "number")]
    pub(crate) max_peers: usize,

    /// Copies bytes where the kernel could pass them on itself (splice)
    #[arg(long)]
    pub(crate) no_splice: bool,

    /// Shows what passes as a hex dump; `-` is standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<String>,

    /// Shows what goes through the air as letters, on standard error in place of the meter: what
    /// is sent behind `->`, what is read behind `<-`
    #[arg(long)]
    pub(crate) show_morse: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            on_busy: OnBusy::default(),
            on_loss: None,
            while_down: WhileDown::default(),
            linger: Duration::from_secs(60),
            idle: Duration::ZERO,
            once: false,
            max_peers: 1024,
            no_splice: false,
            trace: None,
            show_morse: false,
        }
    }
}

fn time(text: &str) -> Result<Duration, String> {
    Duration::parse(text).map_err(|good| format!("it takes {good}"))
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=1_000_000) => Ok(n),
        _ => Err("it takes a whole number from 1 to 1000000".into()),
    }
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let number = i64::deserialize(deserializer)?;
    at_least_one(&number.to_string()).map_err(serde::de::Error::custom)
}

fn time_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    time(&text).map_err(serde::de::Error::custom)
}
