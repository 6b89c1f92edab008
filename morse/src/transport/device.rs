//! The sound card as the medium.

use std::io;
use std::time::{Duration, Instant};

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
/// How long a device has to have worked to be waited for when it goes, and how long it may be away.
const WORKED: Duration = Duration::from_secs(1);
const AWAY: Duration = Duration::from_secs(10);
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
    let wanted = options.clone();
    let run = move || {
        let open = move || -> Result<Devices, AudioError> {
            Ok((
                Capture::open(capture.as_deref(), RATE, Channel::Mix)?,
                Playback::open(playback.as_deref(), RATE)?,
            ))
        };
        let devices = match open() {
            Ok(devices) => devices,
            Err(error) => {
                let _ = opened.send(Err(explain(&error)));
                return;
            }
        };
        let (hears, speaks) = (devices.0.device_rate(), devices.1.device_rate());
        if let Err(error) = wanted.check_rate(hears.min(speaks), "the sound device") {
            let _ = opened.send(Err(error));
            return;
        }
        let via = format!("{} and {}", devices.0.device(), devices.1.device());
        if opened.send(Ok(via)).is_err() {
            return;
        }
        let mut station = station.delays(lead, AHEAD + DELAY);
        if let Err(error) = work(&mut station, devices, open, &mut keyer) {
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

type Devices = (Capture, Playback);

/// Goes on with the devices when they come back: what was lost meanwhile the link repeats.
#[expect(clippy::disallowed_methods, reason = "a device that has gone has no clock")]
fn work(
    station: &mut Station,
    mut devices: Devices,
    open: impl Fn() -> Result<Devices, AudioError>,
    keyer: &mut Keyer,
) -> Result<(), Failure> {
    let mut away_since = None;
    loop {
        let begun = Instant::now();
        let gone = match carry(station, devices, keyer) {
            Err(Failure::Sound(why)) => why,
            ended => return ended,
        };
        keyer.set(false)?;
        if begun.elapsed() > WORKED {
            away_since = Some(Instant::now());
        }
        // One that never worked would fail for ever; one that comes back may take more than a try.
        devices = loop {
            match away_since {
                Some(since) if since.elapsed() < AWAY && !station.is_over() => {}
                _ => return Err(gone.into()),
            }
            std::thread::sleep(A_WHILE);
            if let Ok(devices) = open() {
                break devices;
            }
        };
    }
}

/// Both devices wake this thread, whenever they have given or taken a block.
fn carry(
    station: &mut Station,
    (mut capture, mut playback): Devices,
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
        while station.is_sending() && playback.ahead()? < AHEAD {
            station.step(&[], &mut out);
            playback.write(&out)?;
        }
    }
    keyer.set(false)?;
    Ok(playback.finish()?)
}
