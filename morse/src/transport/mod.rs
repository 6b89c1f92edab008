//! The transport `morse:`: a reliable stream of bytes by sound (feature `transport`).
//!
//! A [modem] makes Morse of packets, the half-duplex profile of [`ipfi_arq`] repeats
//! those that are lost and passes the turn from side to side. Both sides hear everybody: one of two
//! stations may dial and the other listen, or both dial.
//!
//! ```
//! use ipfi_morse::transport::{Air, Morse};
//! use ipfi_transport::Registry;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
//! // Two stations on an air of their own; without one, `morse:` is the sound card.
//! let registry = Registry::new().with(Morse::on(Air::new()));
//! let (here, there) = ("morse:,mode=cable".parse()?, "morse:,mode=cable".parse()?);
//! let (mut here, mut there) = tokio::try_join!(registry.dial(&here), registry.dial(&there))?;
//! here.write_all(b"CQ").await?;
//! let mut heard = [0; 2];
//! there.read_exact(&mut heard).await?;
//! assert_eq!(&heard, b"CQ");
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates and packets of a modem are small and never negative"
)]

mod air;
mod desk;
#[cfg(feature = "audio")]
mod device;
mod files;
mod manners;
#[cfg(feature = "audio")]
mod ptt;
mod shared;
mod station;
mod stream;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ipfi_arq::{Config as LinkConfig, HalfDuplex, random_id};
use ipfi_transport::{
    BoxFuture, BoxStream, Line, Listener, Medium, OptionValue, Properties, Transport,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::channel;
use crate::modem::{self, Mode, Plain};

pub use air::Air;
use desk::Desk;
use manners::Manners;
pub use shared::Bystander;
use station::{Choice, Station};
use stream::MorseStream;

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
    fn choice(self) -> Choice {
        Choice::Fixed(match self {
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
        /// What a simulated air does to what is heard, as `snr=10/room=0.5:3`; see `morse air`.
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
pub struct Weather(Option<channel::Air>);

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

impl MorseOptions {
    fn modem(&self) -> modem::Config {
        let mut config = modem::Config::new(air::RATE);
        config.level_db = self.level;
        config.plain = Plain { wpm: self.wpm, tone: self.tone };
        config
    }

    fn manners(&self, by_card: bool) -> Manners {
        let devices = if by_card { CARDS } else { Duration::ZERO };
        Manners { plain: self.modem().plain, guard: self.guard, devices }
    }

    /// What the link is told at first; the rest it learns from the [`Desk`].
    fn link(&self, line: &Line) -> LinkConfig {
        let nothing =
            Medium { packet: 0, overhead: 0, guard: Duration::ZERO, burst: Duration::ZERO };
        let Medium { packet, overhead, guard, burst } = line.medium.unwrap_or(nothing);
        let medium = HalfDuplex { guard, burst, preamble: overhead };
        let rate = line.bytes_per_second.unwrap_or(1);
        let mut config = LinkConfig::half_duplex(rate, packet, medium);
        config.connect_timeout = self.connect;
        if let Some(dead) = self.dead {
            config.dead_after = dead;
        }
        config
    }
}

/// The transport `morse:` and `morse-listen:`.
#[derive(Clone, Debug, Default)]
pub struct Morse {
    air: Option<Air>,
}

impl Morse {
    /// By the sound card, by files, or on an air that an option names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// On this simulated air, whatever the options say.
    #[must_use]
    pub fn on(air: Air) -> Self {
        Self { air: Some(air) }
    }

    async fn open(
        &self,
        options: MorseOptions,
        turn: Option<OwnedSemaphorePermit>,
    ) -> io::Result<BoxStream> {
        let choice = options.mode.choice();
        let manners = options.manners(self.is_by_card(&options));
        let desk = Desk::new(choice.first(), choice.burst(1), manners);
        let config = options.modem();
        let station = Station::new(&config, choice, desk.clone()).map_err(invalid)?;
        let station = station.show(options.show).channel(&options.channel).holding(turn);
        let via = self.sound(station, &options).await?;
        let link = options.link(&desk.line());
        let link = ipfi_arq::connect(Box::new(desk.packets(via)), link, random_id());
        Ok(Box::new(MorseStream::new(link.await?, desk)))
    }

    fn is_by_card(&self, options: &MorseOptions) -> bool {
        let has_air = self.air.is_some() || options.air.is_some();
        !has_air && options.r#in.is_none() && options.out.is_none()
    }

    /// Gives the station its sound; says where.
    async fn sound(&self, station: Station, options: &MorseOptions) -> io::Result<String> {
        if let Some(air) = &self.air {
            let seat = air.join()?;
            tokio::spawn(stream::on_air(station, shared::Place::Here(seat), receiver(options)?));
            return Ok("a simulated air".into());
        }
        if let Some(name) = &options.air {
            let place = shared::join(name).await?;
            tokio::spawn(stream::on_air(station, place, receiver(options)?));
            return Ok(format!("the air `{name}`"));
        }
        if options.r#in.is_some() || options.out.is_some() {
            return files::start(station, options);
        }
        #[cfg(feature = "audio")]
        return device::start(station, options).await;
        #[cfg(not(feature = "audio"))]
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this program is built without sound cards: use air=NAME, or in=FILE,out=FILE, or build \
             it with the feature `audio`",
        ))
    }
}

/// What the weather does to what one station hears.
fn receiver(options: &MorseOptions) -> io::Result<Option<channel::Channel>> {
    let Some(mut air) = options.weather.0.clone() else { return Ok(None) };
    air.level_db = options.level;
    let seed = u64::from(random_id());
    channel::Channel::new(&air, air::RATE, seed).map(Some).map_err(invalid)
}

fn invalid(error: impl std::error::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error.to_string())
}

impl Transport for Morse {
    const SCHEME: &'static str = "morse";
    const SUMMARY: &'static str = "Morse code by sound, with turns and repeats";
    const EXAMPLES: &'static [&'static str] = &[
        "morse:",
        "morse:,mode=plain,wpm=25,tone=600",
        "morse:,mode=cable,show=yes",
        "morse:,air=test,weather=snr=10",
        "morse-listen:,ptt=rts:/dev/ttyUSB0",
    ];
    const EXCLUSIVE: bool = true;
    const LISTENS: bool = true;
    type Options = MorseOptions;

    fn check(&self, location: &str, options: &MorseOptions) -> Result<(), String> {
        if !location.is_empty() {
            return Err("it takes options only, as in morse:,mode=room".into());
        }
        if let Some(name) = options.air.as_ref().filter(|name| !shared::is_name(name)) {
            return Err(format!("`{name}` names no air: use up to 40 letters, digits, - and _"));
        }
        let desk = Desk::new(Mode::Room, 1, options.manners(false));
        let station = Station::new(&options.modem(), Choice::Fixed(Mode::Room), desk);
        station.map(drop).map_err(|error| error.to_string())?;
        receiver(options).map(drop).map_err(|error| error.to_string())?;
        let by_card = self.is_by_card(options);
        for (name, given) in [("capture", &options.capture), ("playback", &options.playback)] {
            if given.is_some() && !by_card {
                return Err(format!("{name} names a sound device, and there is another medium"));
            }
        }
        let Some(ptt) = &options.ptt else { return Ok(()) };
        if !by_card {
            return Err(
                "ptt keys a transmitter while the sound card speaks, which it does not".into()
            );
        }
        #[cfg(feature = "audio")]
        ptt::Line::parse(ptt)?;
        #[cfg(not(feature = "audio"))]
        let _ = ptt;
        Ok(())
    }

    fn properties(&self, _: &str, _: &MorseOptions) -> Properties {
        Properties::new(true, true)
    }

    async fn dial(&self, _: &str, options: MorseOptions) -> io::Result<BoxStream> {
        self.open(options, None).await
    }

    async fn listen(&self, _: &str, options: MorseOptions) -> io::Result<Box<dyn Listener>> {
        let turns = Arc::new(Semaphore::new(1));
        Ok(Box::new(MorseListener { morse: self.clone(), options, turns, opening: None }))
    }
}

type Opening = Pin<Box<dyn Future<Output = io::Result<BoxStream>> + Send>>;

/// One peer after the other: the medium has room for one.
struct MorseListener {
    morse: Morse,
    options: MorseOptions,
    turns: Arc<Semaphore>,
    opening: Option<Opening>,
}

impl Listener for MorseListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async {
            let (morse, options) = (&self.morse, &self.options);
            let opening = self.opening.get_or_insert_with(|| {
                let (morse, options) = (morse.clone(), options.clone());
                let turns = self.turns.clone();
                Box::pin(async move {
                    // Two stations of one listener would talk to the same peer.
                    let turn = turns.acquire_owned().await.map_err(io::Error::other)?;
                    morse.open(options, Some(turn)).await
                })
            });
            let stream = opening.await;
            self.opening = None;
            stream
        })
    }
}
