//! The sound card: capture and playback, through cpal (feature `audio`).
//!
//! Programs see one channel of `f32` at the rate they ask for; formats, channels and rates of the
//! device are converted here, outside the callbacks, which only move samples through wait-free
//! rings. [`Capture`] and [`Playback`] belong to the thread that opens them: it is the one that is
//! woken.
//!
//! ```no_run
//! use ipfi_morse::{audio::Playback, keyer::Interval, synth::{Tone, render}};
//! let mut playback = Playback::open(None, 48_000)?;
//! playback.write(&render([Interval::down(0.5)], &Tone::default(), 0.5, 48_000)?)?;
//! playback.finish()?; // returns when the last sample has been heard
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use thiserror::Error;

mod capture;
mod devices;
mod playback;

pub use capture::{Capture, Captured};
pub use devices::{Device, Direction, devices};
pub use playback::Playback;

/// Why there is no sound.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AudioError {
    /// The machine has no sound card, or no sound server runs.
    #[error(
        "no sound device {direction}: plug one in, or start PipeWire or PulseAudio (the system \
         says: {cause})"
    )]
    NoDevice {
        /// What for.
        direction: Direction,
        /// What the system says.
        cause: String,
    },
    /// No device has this name.
    #[error("there is no sound device `{name}` {direction}: `morse devices` lists those there are")]
    UnknownDevice {
        /// The name asked for.
        name: String,
        /// What for.
        direction: Direction,
    },
    /// Several devices have this in their names.
    #[error("several sound devices {direction} are called `{name}`: {matches}")]
    AmbiguousDevice {
        /// The name asked for.
        name: String,
        /// What for.
        direction: Direction,
        /// Their names.
        matches: String,
    },
    /// The device would not be opened or failed later.
    #[error("the sound device `{device}` failed: {cause}")]
    Device {
        /// The device.
        device: String,
        /// What the system says.
        cause: String,
    },
    /// The device neither takes nor gives samples any more.
    #[error("the sound device `{0}` has stopped: it may be suspended or held by another program")]
    Stalled(String),
}

/// How long a device may stay silent before it counts as stopped.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the callbacks share with the program. They touch nothing that locks, but for an error.
#[derive(Debug)]
struct Shared {
    /// The thread to wake. Waking does not lock.
    owner: Thread,
    /// Samples that had no room in the ring, since last asked (capture).
    lost: AtomicU64,
    /// Whether the device has reported a gap since the last block.
    gap: AtomicBool,
    /// Blocks of silence played for want of samples (playback).
    underruns: AtomicU64,
    /// No more samples will come (playback).
    closing: AtomicBool,
    /// The last sample has been heard (playback).
    done: AtomicBool,
    /// Counts callbacks, to see whether the device lives.
    beats: AtomicU64,
    /// The error that ended the stream.
    failure: Mutex<Option<cpal::Error>>,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            owner: std::thread::current(),
            lost: AtomicU64::new(0),
            gap: AtomicBool::new(false),
            underruns: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            done: AtomicBool::new(false),
            beats: AtomicU64::new(0),
            failure: Mutex::new(None),
        })
    }

    /// Called at the end of each callback.
    fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
        self.owner.unpark();
    }

    /// Called by cpal when something went wrong.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list of cpal is open")]
    fn fail(&self, error: cpal::Error) {
        match error.kind() {
            // A gap is not the end.
            cpal::ErrorKind::Xrun => self.gap.store(true, Ordering::Release),
            cpal::ErrorKind::DeviceChanged | cpal::ErrorKind::RealtimeDenied => {}
            _ => {
                let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(error);
            }
        }
        self.owner.unpark();
    }

    fn failed(&self, device: &str) -> Result<(), AudioError> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match &*failure {
            Some(error) => Err(failure_of(device, error)),
            None => Ok(()),
        }
    }

    /// Sleeps until `ready`, and gives up when the device fails or stops.
    #[expect(clippy::disallowed_methods, reason = "a device that has stopped wakes nobody")]
    fn wait(&self, device: &str, mut ready: impl FnMut() -> bool) -> Result<(), AudioError> {
        let mut pulse = Pulse::new();
        while !ready() {
            self.check(device, &mut pulse)?;
            std::thread::park_timeout(PATIENCE);
        }
        Ok(())
    }

    /// Whether the device has failed, or has stopped since the `pulse` began.
    fn check(&self, device: &str, pulse: &mut Pulse) -> Result<(), AudioError> {
        self.failed(device)?;
        let beats = self.beats.load(Ordering::Relaxed);
        if pulse.beats != beats {
            *pulse = Pulse { beats, ..Pulse::new() };
        }
        if pulse.since.elapsed() < PATIENCE {
            return Ok(());
        }
        Err(AudioError::Stalled(device.into()))
    }
}

/// When a device was last seen alive.
#[derive(Debug)]
struct Pulse {
    beats: u64,
    since: Instant,
}

impl Pulse {
    #[expect(clippy::disallowed_methods, reason = "a device that has stopped wakes nobody")]
    fn new() -> Self {
        Self { beats: 0, since: Instant::now() }
    }
}

fn failure_of(device: &str, error: &cpal::Error) -> AudioError {
    AudioError::Device { device: device.into(), cause: error.to_string() }
}
