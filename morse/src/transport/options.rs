//! What may be said in an address.

use std::path::PathBuf;
use std::time::Duration;

use ipfi_arq::{Config as LinkConfig, HalfDuplex};
use ipfi_transport::{Line, Medium, OptionValue};

use super::air;
use super::manners::Manners;
use super::station::Choice;
use crate::channel;
use crate::modem::{self, Band, Mode, Plain};

ipfi_transport::choices! {
    /// How bytes are sent; see [`Mode`].
    pub enum Manner {
        /// By what arrives, beginning with `room`.
        Auto = "auto",
        /// One tone at the speed of the hand.
        Plain = "plain",
        /// For halls and noise.
        Rescue = "rescue",
        /// For rooms.
        Room = "room",
        /// For rooms, close by.
        Brisk = "brisk",
        /// For little echo and little noise.
        Fast = "fast",
        /// For cables.
        Cable = "cable",
    }
}

impl Manner {
    fn choice(self, duplex: Duplex) -> Choice {
        Choice::Fixed(match self {
            // A link that takes no turns is by cable.
            Self::Auto if duplex != Duplex::Half => Mode::Cable,
            Self::Auto => return Choice::Ladder(Mode::Room),
            Self::Plain => Mode::Plain,
            Self::Rescue => Mode::Rescue,
            Self::Room => Mode::Room,
            Self::Brisk => Mode::Brisk,
            Self::Fast => Mode::Fast,
            Self::Cable => Mode::Cable,
        })
    }
}

ipfi_transport::choices! {
    /// Who may send when.
    pub enum Duplex {
        /// One side at a time, in turns.
        Half = "half",
        /// Both at once: who dials as with `low`, who listens as with `high`.
        Full = "full",
        /// Both at once: this side in the lower half of the band, the other one in the upper.
        Low = "low",
        /// Both at once: this side in the upper half of the band, the other one in the lower.
        High = "high",
    }
}

ipfi_transport::options! {
    /// Options of `morse:` and `morse-listen:`.
    pub struct MorseOptions {
        /// How bytes are sent: `auto` follows what arrives, from `room` on; `plain` is Morse that
        /// people read.
        mode: Manner = "auto",
        /// Words per minute of `plain` (PARIS), 5 to 60.
        wpm: f64 = "20",
        /// The tone of `plain` in hertz, 300 to 3000.
        tone: f64 = "700",
        /// Where the tones of all other modes lie, as LOW-HIGH in hertz; by default where each mode has
        /// them, and 800-17800 for both directions. Both sides have to say the same.
        band: Range = "",
        /// `half`: the sides take turns. `full`, for cables: both send at the same time, in half of
        /// the band each, `morse:` in the lower one and `morse-listen:` in the upper; where both
        /// dial, one side says `low` and the other `high`. `auto` is then `cable`.
        duplex: Duplex = "half",
        /// How loud, in dB below full scale, -60 to 0.
        level: f64 = "-3",
        /// The sound device to hear by; by default that of the system.
        capture: Option<String> = "",
        /// The sound device to speak by; by default that of the system.
        playback: Option<String> = "",
        /// Hears from a file or named pipe, or `-` for standard input: WAV, or raw 32-bit floats
        /// (little-endian) at 48 kHz.
        r#in: Option<PathBuf> = "",
        /// Speaks into a file or named pipe, or `-` for standard output: WAV if it ends so, else
        /// raw.
        out: Option<PathBuf> = "",
        /// Stations take in only those that say the same; others on the air are noise to them.
        channel: String = "common",
        /// An air simulated for all processes on this machine that name it, instead of sound.
        air: Option<String> = "",
        /// What a simulated air does to what is heard, as `snr=10/room=0.5:3`: what `--air` of `morse
        /// encode` takes, with slashes for commas and colons for slashes.
        weather: Weather = "",
        /// Keys a transmitter while sending: `rts:DEVICE` or `dtr:DEVICE` of a serial port.
        ptt: Option<String> = "",
        /// How long a transmitter needs before the first tone.
        lead: Duration = "100ms",
        /// The pause between two that talk, more than the sound devices delay; by default what the
        /// mode needs.
        guard: Option<Duration> = "",
        /// Looks for the other side for this long; none: for ever.
        connect: Option<Duration> = "none",
        /// Gives the other side up when an answer is overdue for this long; by default what the
        /// mode needs.
        dead: Option<Duration> = "",
        /// Writes the letters to the standard error, as they are sent and as they are read.
        show: bool = "no",
    }
}

/// How long sound takes at most from one program through two usual cards into the other, and until
/// it is noticed there.
const CARDS: Duration = Duration::from_millis(200);

/// A simulated air as one word of an address: the items of [`channel::Air`] with `/` between them
/// in place of commas and `:` in place of slashes.
#[derive(Clone, Debug, PartialEq)]
pub struct Weather(pub(crate) Option<channel::Air>);

impl OptionValue for Weather {
    const PLACEHOLDER: &'static str = "ITEMS";

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let items = text.replace('/', ",").replace(':', "/");
        let air = items.parse().map_err(|error| format!("items as snr=10/room=0.5:3; {error}"))?;
        Ok(Self(Some(air)))
    }
}

/// A band as it is written in an address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range(Option<Band>);

impl OptionValue for Range {
    const PLACEHOLDER: &'static str = "LOW-HIGH";

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let hertz = |text: &str| text.parse().ok().filter(|hertz: &f64| hertz.is_finite());
        let limits = text.split_once('-').and_then(|(low, high)| hertz(low).zip(hertz(high)));
        match limits {
            Some((low, high)) if low < high => Ok(Self(Some(Band { low, high }))),
            _ => Err("two frequencies in hertz, the lower one first, as in 1000-9000".into()),
        }
    }
}

/// What two directions share by default: sound cards of 44.1 kHz let it through.
const BOTH: Band = Band { low: 800.0, high: 17_800.0 };

impl MorseOptions {
    /// The modem that sends.
    pub(crate) fn sends(&self) -> modem::Config {
        self.modem(self.halves().map_or(self.band.0, |(own, _)| Some(own)))
    }

    /// The modem that hears.
    pub(crate) fn hears(&self) -> modem::Config {
        self.modem(self.halves().map_or(self.band.0, |(_, other)| Some(other)))
    }

    fn modem(&self, band: Option<Band>) -> modem::Config {
        let mut config = modem::Config::new(air::RATE);
        config.level_db = self.level;
        config.plain = Plain { wpm: self.wpm, tone: self.tone };
        config.band = band;
        config
    }

    /// Of two directions at once the own one and the other one.
    fn halves(&self) -> Option<(Band, Band)> {
        let (low, high) = self.band.0.unwrap_or(BOTH).halves();
        match self.duplex {
            Duplex::Half => None,
            Duplex::Full | Duplex::Low => Some((low, high)),
            Duplex::High => Some((high, low)),
        }
    }

    pub(crate) fn is_full_duplex(&self) -> bool {
        self.duplex != Duplex::Half
    }

    pub(crate) fn choice(&self) -> Choice {
        self.mode.choice(self.duplex)
    }

    /// Says why there is no such band, or no room for the mode in it.
    pub(crate) fn check_band(&self) -> Result<(), String> {
        let whole = self.band.0.unwrap_or(BOTH);
        let Some(own) = self.sends().band else { return Ok(()) };
        if self.mode == Manner::Plain {
            return Err(
                "plain is one tone, as tone=HERTZ says: leave out band and duplex, or choose \
                        another mode"
                    .into(),
            );
        }
        self.modem(Some(whole)).check().map_err(|error| error.to_string())?;
        let modes = match self.choice() {
            Choice::Fixed(mode) => vec![mode],
            Choice::Ladder(_) => Mode::ALL[1..].to_vec(),
        };
        let needs = |mode| self.sends().needs_hertz(mode);
        let needed = modes.into_iter().map(needs).fold(0.0, f64::max);
        if own.width() >= needed {
            return Ok(());
        }
        let (needed, both) = if self.is_full_duplex() {
            (2.0 * needed + Band::GAP, " for both directions")
        } else {
            (needed, "")
        };
        let Band { low, high } = whole;
        let (mode, has) = (self.mode, whole.width());
        let others = match self.mode {
            Manner::Auto | Manner::Cable | Manner::Room => ", or mode=rescue, brisk or fast",
            Manner::Plain | Manner::Rescue | Manner::Brisk | Manner::Fast => "",
        };
        Err(format!(
            "mode={mode} needs {needed} Hz{both}, and from {low} to {high} there are {has}: choose a wider \
             band{others}"
        ))
    }

    /// Says that a device or file of so many samples a second cannot carry the band.
    pub(crate) fn check_rate(&self, rate: u32, what: &str) -> std::io::Result<()> {
        let [sends, hears] = [self.sends(), self.hears()].map(|modem| modem.band);
        let highest =
            [sends, hears].into_iter().flatten().map(|band| band.high).fold(0.0, f64::max);
        let most = f64::from(rate) * 0.45;
        if highest <= most {
            return Ok(());
        }
        let text = format!(
            "{what} has {rate} samples a second, which carry up to {most} Hz: choose a band that ends below, not \
             at {highest} Hz"
        );
        Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, text))
    }

    pub(crate) fn manners(&self, by_card: bool) -> Manners {
        let devices = if by_card { CARDS } else { Duration::ZERO };
        let is_full_duplex = self.is_full_duplex();
        Manners { modem: self.sends(), is_full_duplex, guard: self.guard, devices }
    }

    /// What the link is told at first; the rest it learns from the [`Desk`](super::desk::Desk).
    pub(crate) fn link(&self, line: &Line) -> LinkConfig {
        let nothing =
            Medium { packet: 0, overhead: 0, guard: Duration::ZERO, burst: Duration::ZERO };
        let Medium { packet, overhead, guard, burst } = line.medium.unwrap_or(nothing);
        let rate = line.bytes_per_second.unwrap_or(1);
        let mut config = if self.is_full_duplex() {
            LinkConfig::full_duplex(rate, packet, overhead)
        } else {
            LinkConfig::half_duplex(rate, packet, HalfDuplex { guard, burst, preamble: overhead })
        };
        config.connect_timeout = self.connect;
        if let Some(dead) = self.dead {
            config.dead_after = dead;
        }
        config
    }
}
