//! The sound card as the medium.

use std::io;
use std::time::Duration;

use tokio::sync::oneshot;

use super::MorseOptions;
use super::air::{BLOCK, RATE};
use super::ptt::Keyer;
use super::station::Station;
use crate::audio::{AudioError, Capture, Captured, Playback};
use crate::wav::Channel;

/// Sound given out ahead of the card: more than a busy machine lets us wait.
const AHEAD: Duration = Duration::from_millis(240);
/// What it takes from there until own sound has been heard by the capture device: two periods each
/// way of a usual sound server.
const DELAY: Duration = Duration::from_millis(180);
/// How long this thread sleeps at most: the link may have something to say.
const A_WHILE: Duration = Duration::from_millis(20);
/// A hole in what is heard is filled with so much silence at most, so that what follows stays in
/// step.
const LONGEST_GAP: u64 = RATE as u64;

/// Runs a station by the sound card, on a thread of its own; says by which devices.
pub(crate) async fn start(station: Station, options: &MorseOptions) -> io::Result<String> {
    let (capture, playback) = (options.capture.clone(), options.playback.clone());
    let mut keyer = Keyer::open(options.ptt.as_deref())?;
    let lead = if options.ptt.is_some() { options.lead } else { Duration::ZERO };
    let (opened, is_open) = oneshot::channel();
    let run = move || {
        let open = || -> Result<_, AudioError> {
            Ok((
                Capture::open(capture.as_deref(), RATE, Channel::Mix)?,
                Playback::open(playback.as_deref(), RATE)?,
            ))
        };
        let (capture, playback) = match open() {
            Ok(both) => both,
            Err(error) => {
                let _ = opened.send(Err(explain(&error)));
                return;
            }
        };
        let via = format!("{} and {}", capture.device(), playback.device());
        if opened.send(Ok(via)).is_err() {
            return;
        }
        let mut station = station.delays(lead, AHEAD + DELAY);
        if let Err(error) = carry(&mut station, capture, playback, &mut keyer) {
            station.end(error.to_string());
        }
    };
    std::thread::Builder::new().name("morse".into()).spawn(run)?;
    is_open.await.map_err(|_| io::Error::other("the sound device failed while it was opened"))?
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most need no more words")]
fn explain(error: &AudioError) -> io::Error {
    let (kind, way_out) = match error {
        AudioError::NoDevice { .. } => {
            (io::ErrorKind::NotFound, "; or join programs of this machine by air=NAME")
        }
        AudioError::UnknownDevice { .. } => (io::ErrorKind::NotFound, ": `morse devices`"),
        AudioError::AmbiguousDevice { .. } => (io::ErrorKind::InvalidInput, ""),
        _ => (io::ErrorKind::NotFound, ""),
    };
    io::Error::new(kind, format!("{error}{way_out}"))
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Sound(#[from] AudioError),
    #[error("the transmitter cannot be keyed any more: {0}")]
    Key(#[from] io::Error),
}

/// Both devices wake this thread, whenever they have given or taken a block.
fn carry(
    station: &mut Station,
    mut capture: Capture,
    mut playback: Playback,
    keyer: &mut Keyer,
) -> Result<(), Failure> {
    let (mut heard, mut out) = (Vec::new(), [0.0; BLOCK]);
    playback.start()?;
    while !station.is_over() {
        heard.clear();
        if let Captured::Gap { samples } = capture.read_within(&mut heard, A_WHILE)? {
            heard.resize(samples.min(LONGEST_GAP) as usize, 0.0);
        }
        station.step(&heard, &mut []);
        keyer.set(station.is_sending())?;
        // The clock of what is sent is the card's, and it runs ahead: however late this thread is
        // next time, the sound has no hole.
        while station.is_sending() && playback.ahead() < AHEAD {
            station.step(&[], &mut out);
            playback.write(&out)?;
        }
    }
    keyer.set(false)?;
    Ok(playback.finish()?)
}
