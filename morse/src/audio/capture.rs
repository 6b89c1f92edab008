use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{FromSample, SizedSample};

use super::devices::{self, Direction};
use super::{AudioError, Pulse, Shared};
use crate::resample::Resampler;
use crate::wav::Channel;

/// In the ring, a sample that is none marks a gap: sound never contains it.
const GAP: f32 = f32::NAN;

/// Seconds of sound that a program may fall behind.
const RING_SECONDS: usize = 4;

/// Sound from a microphone or radio.
pub struct Capture {
    /// Runs until it is dropped.
    _stream: cpal::Stream,
    ring: rtrb::Consumer<f32>,
    shared: Arc<Shared>,
    device: String,
    device_rate: u32,
    resampler: Option<Resampler>,
    /// Samples of the device on their way out of the ring.
    block: Vec<f32>,
    /// A gap that was met behind samples already handed out.
    gap_due: bool,
    pulse: Pulse,
    own_thread: PhantomData<*const ()>,
}

/// What [`Capture::read`] brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "samples or none")]
pub enum Captured {
    /// Samples, appended to what was given.
    Samples,
    /// The sound has a hole here: an overrun. At least so many samples are missing; the device
    /// does not always say.
    Gap {
        /// Samples known to be missing, at the rate asked for.
        samples: u64,
    },
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Capture {
    /// Opens a device by a name of [`devices`](super::devices()), or the default one, and starts
    /// it. Samples come at `rate` a second, whatever the device's own.
    pub fn open(device: Option<&str>, rate: u32, channel: Channel) -> Result<Self, AudioError> {
        let (device, supported, name) = devices::open(device, Direction::Capture)?;
        let config = supported.config();
        let device_rate = config.sample_rate;
        let (producer, ring) = rtrb::RingBuffer::new(RING_SECONDS * device_rate as usize);
        let shared = Shared::new();
        let channels = usize::from(config.channels.max(1));
        let chosen = match channel {
            Channel::Mix => None,
            Channel::One(n) if (1..=config.channels).contains(&n) => Some(usize::from(n) - 1),
            Channel::One(n) => {
                let cause = format!("there is no channel {n}: it has {channels}");
                return Err(AudioError::Device { device: name, cause });
            }
        };
        let intake = Intake { producer, shared: Arc::clone(&shared), channels, chosen, gap: false };
        let stream = intake.stream(&device, &supported);
        let started = stream.and_then(|stream| stream.play().map(|()| stream));
        let stream = started.map_err(|error| super::failure_of(&name, &error))?;
        let resampler =
            (device_rate != rate).then(|| Resampler::new(f64::from(device_rate), f64::from(rate)));
        Ok(Self {
            _stream: stream,
            ring,
            shared,
            device: name,
            device_rate,
            resampler,
            block: Vec::new(),
            gap_due: false,
            pulse: Pulse::new(),
            own_thread: PhantomData,
        })
    }

    /// The name of the device.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The device's own sample rate.
    #[must_use]
    pub fn device_rate(&self) -> u32 {
        self.device_rate
    }

    /// Waits for sound and appends what there is.
    pub fn read(&mut self, samples: &mut Vec<f32>) -> Result<Captured, AudioError> {
        if std::mem::take(&mut self.gap_due) {
            return Ok(self.gap());
        }
        let before = samples.len();
        while samples.len() == before {
            let ring = &self.ring;
            self.shared.wait(&self.device, || !ring.is_empty())?;
            self.block.clear();
            let mut gap = false;
            if let Ok(chunk) = self.ring.read_chunk(self.ring.slots()) {
                let mut taken = 0;
                let (first, second) = chunk.as_slices();
                for &sample in first.iter().chain(second) {
                    taken += 1;
                    gap = sample.is_nan();
                    if gap {
                        break;
                    }
                    self.block.push(sample);
                }
                chunk.commit(taken);
            }
            match &mut self.resampler {
                Some(resampler) => resampler.process(&self.block, samples),
                None => samples.extend_from_slice(&self.block),
            }
            if gap {
                if samples.len() == before {
                    return Ok(self.gap());
                }
                self.gap_due = true;
            }
        }
        Ok(Captured::Samples)
    }

    /// As [`read`](Self::read), but comes back without samples when none have come for `patience`,
    /// or when another device of this thread wants something.
    #[expect(clippy::disallowed_methods, reason = "a device that has stopped wakes nobody")]
    pub fn read_within(
        &mut self,
        samples: &mut Vec<f32>,
        patience: Duration,
    ) -> Result<Captured, AudioError> {
        if self.ring.is_empty() && !self.gap_due {
            std::thread::park_timeout(patience);
            if self.ring.is_empty() {
                self.shared.check(&self.device, &mut self.pulse)?;
                return Ok(Captured::Samples);
            }
        }
        self.read(samples)
    }

    fn gap(&self) -> Captured {
        let lost = self.shared.lost.swap(0, Ordering::AcqRel);
        let rate = self.resampler.as_ref().map_or(1.0, Resampler::ratio);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        Captured::Gap { samples: (lost as f64 * rate) as u64 }
    }
}

/// The side of the callback.
struct Intake {
    producer: rtrb::Producer<f32>,
    shared: Arc<Shared>,
    channels: usize,
    chosen: Option<usize>,
    /// A mark for a gap is due before the next sample.
    gap: bool,
}

impl Intake {
    fn stream(
        self,
        device: &cpal::Device,
        supported: &cpal::SupportedStreamConfig,
    ) -> Result<cpal::Stream, cpal::Error> {
        let config = devices::blocks(supported);
        devices::build_by_format!(supported, self.build(device, config), "read")
    }

    fn build<T>(
        mut self,
        device: &cpal::Device,
        config: cpal::StreamConfig,
    ) -> Result<cpal::Stream, cpal::Error>
    where
        T: SizedSample,
        f32: FromSample<T>,
    {
        let shared = Arc::clone(&self.shared);
        device.build_input_stream(
            config,
            move |frames: &[T], _| self.take(frames),
            move |error| shared.fail(error),
            None,
        )
    }

    /// In the callback: no allocation, no lock.
    fn take<T>(&mut self, frames: &[T])
    where
        T: SizedSample,
        f32: FromSample<T>,
    {
        self.gap |= self.shared.gap.swap(false, Ordering::AcqRel);
        let mut lost = 0;
        for frame in frames.chunks_exact(self.channels) {
            if self.gap {
                // A sample after the gap needs a place behind the mark.
                if self.producer.slots() < 2 {
                    lost += 1;
                    continue;
                }
                let _ = self.producer.push(GAP);
                self.gap = false;
            }
            let sample = if let Some(n) = self.chosen {
                f32::from_sample_(frame[n])
            } else {
                let sum: f32 = frame.iter().map(|&s| f32::from_sample_(s)).sum();
                sum / self.channels as f32
            };
            if self.producer.push(if sample.is_nan() { 0.0 } else { sample }).is_err() {
                lost += 1;
                self.gap = true;
            }
        }
        if lost > 0 {
            self.shared.lost.fetch_add(lost, Ordering::AcqRel);
        }
        self.shared.beat();
    }
}
