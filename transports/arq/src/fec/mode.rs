//! When error correction pays.

use super::Kind;
use crate::config::Fec;
use crate::loss::LossEstimate;

/// How frames with much payload go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As they are.
    Off,
    /// As [`Kind::Light`].
    Light,
    /// As [`Kind::Strong`], and what is short as [`Kind::Short`].
    Strong,
}

impl Mode {
    pub(crate) fn kind(self) -> Option<Kind> {
        match self {
            Self::Off => None,
            Self::Light => Some(Kind::Light),
            Self::Strong => Some(Kind::Strong),
        }
    }
}

/// Bytes between two errors below which a mode is worth trying, and above which it is not any more.
const LIGHT_BELOW: u64 = 2500;
const OFF_ABOVE: u64 = 6000;
const STRONG_BELOW: u64 = 110;
const LIGHT_ABOVE: u64 = 160;
/// Verdicts on plain frames before the first change, and between two changes.
const LEAST_VERDICTS: u32 = 24;
/// Verdicts on coded frames until they are compared with plain ones.
const TRIAL: u32 = 24;
/// Verdicts on plain frames before a mode that did not pay is tried again; doubled each time.
const HOLD_OFF: u32 = 512;
/// Every so many coded frames one goes out plain, to see how the line does without.
const SAMPLE_EVERY: u32 = 8;
/// The goodput of light frames that all arrive, in thousandths.
const LIGHT_GOODPUT: u64 = 907;

/// Chooses the mode from what happens to plain and to coded frames.
#[derive(Debug)]
pub(crate) struct Switch {
    wanted: Fec,
    mode: Mode,
    /// Losses of plain frames, over a longer time than the size of frames follows.
    plain: LossEstimate,
    plain_verdicts: u32,
    /// Losses of coded frames in thousandths, fading.
    coded_losses: u64,
    coded_verdicts: u32,
    hold_off: u32,
    next_hold_off: u32,
    until_sample: u32,
}

impl Switch {
    pub(crate) fn new(wanted: Fec) -> Self {
        let mode = match wanted {
            Fec::Auto | Fec::Off => Mode::Off,
            Fec::Light => Mode::Light,
            Fec::Strong => Mode::Strong,
        };
        Self {
            wanted,
            mode,
            plain: LossEstimate::slow(),
            plain_verdicts: 0,
            coded_losses: 0,
            coded_verdicts: 0,
            hold_off: 0,
            next_hold_off: HOLD_OFF,
            until_sample: SAMPLE_EVERY,
        }
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the next long frame goes out plain although the mode is another.
    pub(crate) fn takes_sample(&mut self) -> bool {
        if self.wanted != Fec::Auto || self.mode == Mode::Off {
            return false;
        }
        self.until_sample = self.until_sample.checked_sub(1).unwrap_or(SAMPLE_EVERY);
        self.until_sample == 0
    }

    /// A frame of `bytes` has arrived or not.
    pub(crate) fn record(&mut self, bytes: usize, coded: bool, lost: bool) {
        if coded {
            let memory = u64::from(self.coded_verdicts.clamp(1, 64));
            let this = if lost { 1000 * 64 } else { 0 };
            self.coded_losses = (self.coded_losses * (memory - 1) + this) / memory;
            self.coded_verdicts = self.coded_verdicts.saturating_add(1);
        } else {
            self.plain.record(bytes, lost);
            self.plain_verdicts = self.plain_verdicts.saturating_add(1);
            self.hold_off = self.hold_off.saturating_sub(1);
        }
        if self.wanted == Fec::Auto {
            self.choose();
        }
    }

    fn choose(&mut self) {
        let between_errors = self.plain.bytes_per_error();
        let better = match self.mode {
            Mode::Off if self.hold_off > 0 || between_errors > LIGHT_BELOW => return,
            Mode::Off => Mode::Light,
            Mode::Light if between_errors < STRONG_BELOW => Mode::Strong,
            Mode::Light if between_errors > OFF_ABOVE => Mode::Off,
            Mode::Light if self.does_not_pay() => {
                self.hold_off = self.next_hold_off;
                self.next_hold_off = self.next_hold_off.saturating_mul(2);
                Mode::Off
            }
            Mode::Strong if between_errors > LIGHT_ABOVE => Mode::Light,
            Mode::Light | Mode::Strong => return,
        };
        if self.mode == Mode::Off && self.plain_verdicts < LEAST_VERDICTS {
            return;
        }
        self.mode = better;
        self.plain_verdicts = 0;
        self.coded_verdicts = 0;
        self.coded_losses = 0;
    }

    /// On a line that drops and inserts bytes a coded frame is lost as any other of its length.
    fn does_not_pay(&self) -> bool {
        let arrives = 1000u64.saturating_sub(self.coded_losses / 64);
        self.coded_verdicts >= TRIAL
            && LIGHT_GOODPUT * arrives / 1000 + 10 < self.plain.best_goodput()
    }
}
