//! The sound card as the medium.

use std::io;
use std::time::Duration;

use tokio::sync::oneshot;

use super::MorseOptions;
use super::air::RATE;
use super::ptt::Keyer;
use super::station::Station;
use crate::audio::{AudioError, Capture, Captured, Playback};
use crate::wav::Channel;

/// Sound given out ahead, so that the card does not run dry between two blocks from it.
const AHEAD: Duration = Duration::from_millis(80);
/// What a card and its system delay besides: two periods each way of a usual sound server.
const DELAY: Duration = Duration::from_millis(90);

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
                let _ =
                    opened.send(Err(io::Error::new(io::ErrorKind::NotFound, error.to_string())));
                return;
            }
        };
        let via = format!("{} and {}", capture.device(), playback.device());
        if opened.send(Ok(via)).is_err() {
            return;
        }
        let mut station = station.delays(lead + AHEAD, DELAY);
        if let Err(why) = carry(&mut station, capture, playback, &mut keyer) {
            station.end(why);
        }
    };
    std::thread::Builder::new().name("morse".into()).spawn(run)?;
    is_open.await.map_err(|_| io::Error::other("the sound device failed while it was opened"))?
}

fn carry(
    station: &mut Station,
    mut capture: Capture,
    mut playback: Playback,
    keyer: &mut Keyer,
) -> Result<(), String> {
    let (mut heard, mut out) = (Vec::new(), Vec::new());
    playback.start().map_err(|error| error.to_string())?;
    while !station.is_over() {
        heard.clear();
        let captured = capture.read(&mut heard).map_err(|error| error.to_string())?;
        if let Captured::Gap { .. } = captured {
            continue; // What is missing is as good as silence: the link repeats.
        }
        out.resize(heard.len(), 0.0);
        station.step(&heard, &mut out);
        keyer.set(station.is_sending()).map_err(|error| error.to_string())?;
        if station.is_sending() {
            playback.write(&out).map_err(|error| error.to_string())?;
        }
    }
    keyer.set(false).map_err(|error| error.to_string())?;
    playback.finish().map_err(|error| error.to_string())
}
