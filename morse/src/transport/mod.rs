//! The transport `morse:`: a reliable stream of bytes by sound (feature `transport`).
//!
//! A [modem] makes Morse of packets, the half-duplex profile of [`ipfi_arq`] repeats
//! those that are lost and passes the turn from side to side. Both sides hear everybody: one of two
//! stations may dial and the other listen, or both dial.
//!
//! On a cable both may send at once, each in a half of the band, if both say `duplex=full` (or, where both dial,
//! one `low` and the other `high`). Nobody waits for a turn then, so that a question is answered while the other side talks, and two
//! transfers that meet take as long as one. What a side sends does not disturb what it hears, even if it comes back by
//! the cable as loudly as the other side: the other half is all that it listens to.
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
mod options;
#[cfg(feature = "audio")]
mod ptt;
mod shared;
mod station;
mod stream;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use ipfi_arq::random_id;
use ipfi_transport::{BoxFuture, BoxStream, Listener, Properties, Transport};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::channel;
use crate::modem;

pub use air::Air;
use desk::Desk;
pub use options::{Duplex, Manner, MorseOptions, Range, Weather};
pub use shared::Bystander;
use station::Station;
use stream::MorseStream;

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
        mut options: MorseOptions,
        turn: Option<OwnedSemaphorePermit>,
    ) -> io::Result<BoxStream> {
        let other = match options.duplex {
            Duplex::Half => "is another `morse:` on",
            Duplex::Full if turn.is_none() => "is a `morse-listen:` on, with duplex=full",
            Duplex::Full => "is a `morse:` on, with duplex=full",
            Duplex::Low => "is another `morse:` on, with duplex=high",
            Duplex::High => "is another `morse:` on, with duplex=low",
        };
        let is_plain = options.mode == Manner::Plain;
        let same = if is_plain { "channel, tone and speed" } else { "channel and band" };
        if options.duplex == Duplex::Full {
            options.duplex = if turn.is_none() { Duplex::Low } else { Duplex::High };
        }
        let choice = options.choice();
        let manners = options.manners(self.is_by_card(&options));
        let desk = Desk::new(choice.first(), choice.burst(1), manners);
        let station = station(&options, desk.clone()).map_err(invalid)?;
        let station = station.show(options.show).channel(&options.channel).holding(turn);
        let via = self.sound(station, &options).await?;
        let link = options.link(&desk.line());
        let link = ipfi_arq::connect(Box::new(desk.packets(via)), link, random_id()).await;
        let link = link.map_err(|error| unanswered(error, other, same))?;
        Ok(Box::new(MorseStream::new(link, desk)))
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

fn station(options: &MorseOptions, desk: Desk) -> Result<Station, modem::ConfigError> {
    let station = Station::new(&options.sends(), &options.hears(), options.choice(), desk)?;
    Ok(if options.is_full_duplex() { station.full_duplex() } else { station })
}

/// What the link says of nobody's answer, in the words of an address.
fn unanswered(error: io::Error, other: &str, same: &str) -> io::Error {
    if error.kind() != io::ErrorKind::TimedOut {
        return error;
    }
    let text = format!(
        "nobody answers by sound: {other}, on the same {same}, and does each hear the other?"
    );
    io::Error::new(error.kind(), text)
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
        "morse:,mode=fast,band=300-2700",
        "morse:,duplex=full",
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
        options.check_band()?;
        let desk = Desk::new(options.choice().first(), 1, options.manners(false));
        station(options, desk).map(drop).map_err(|error| error.to_string())?;
        receiver(options).map(drop).map_err(|error| error.to_string())?;
        let by_card = self.is_by_card(options);
        for (name, given) in [("capture", &options.capture), ("playback", &options.playback)] {
            if given.is_some() && !by_card {
                return Err(format!("{name} names a sound device, and there is another medium"));
            }
        }
        let Some(ptt) = &options.ptt else { return Ok(()) };
        if options.is_full_duplex() {
            return Err("ptt keys a transmitter for turns, which duplex=half takes".into());
        }
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
