use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{FromSample, SizedSample};

use super::devices::{self, Direction};
use super::{AudioError, Pulse, Shared};
use crate::resample::Resampler;

/// Milliseconds of sound between the program and the callback: enough for a busy machine, little
/// enough to type along with.
const RING_MS: usize = 400;

/// Sound to a loudspeaker or radio.
pub struct Playback {
    stream: cpal::Stream,
    ring: rtrb::Producer<f32>,
    shared: Arc<Shared>,
    device: String,
    device_rate: u32,
    resampler: Option<Resampler>,
    block: Vec<f32>,
    started: bool,
    pulse: Pulse,
    own_thread: PhantomData<*const ()>,
}

impl std::fmt::Debug for Playback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Playback").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Playback {
    /// Opens a device by a name of [`devices`](super::devices()), or the default one. Samples are
    /// written at `rate` a second, whatever the device's own.
    pub fn open(device: Option<&str>, rate: u32) -> Result<Self, AudioError> {
        let (device, supported, name) = devices::open(device, Direction::Playback)?;
        let config = supported.config();
        let frames = RING_MS * config.sample_rate as usize / 1000;
        let (ring, consumer) = rtrb::RingBuffer::new(frames);
        let shared = Shared::new();
        let outlet = Outlet {
            consumer,
            shared: Arc::clone(&shared),
            channels: usize::from(config.channels.max(1)),
            rate: f64::from(config.sample_rate),
            silent: 0,
            tail: 0,
        };
        let stream = outlet.stream(&device, &supported);
        let stream = stream.map_err(|error| super::failure_of(&name, &error))?;
        let resampler = (config.sample_rate != rate)
            .then(|| Resampler::new(f64::from(rate), f64::from(config.sample_rate)));
        Ok(Self {
            stream,
            ring,
            shared,
            device: name,
            device_rate: config.sample_rate,
            resampler,
            block: Vec::new(),
            started: false,
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

    /// Plays samples after those before, and waits while there is no room for them: at most
    /// 0.4 s are ahead of the device. The device is started by the first samples.
    pub fn write(&mut self, samples: &[f32]) -> Result<(), AudioError> {
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        match &mut self.resampler {
            Some(resampler) => resampler.process(samples, &mut block),
            None => block.extend_from_slice(samples),
        }
        let written = self.push(&block);
        self.block = block;
        written
    }

    fn push(&mut self, mut samples: &[f32]) -> Result<(), AudioError> {
        while !samples.is_empty() {
            (_, samples) = self.ring.push_partial_slice(samples);
            if samples.is_empty() {
                break;
            }
            self.start()?;
            let ring = &self.ring;
            self.shared.wait(&self.device, || !ring.is_full())?;
        }
        // Half a ring is a good lead; less would stutter at once.
        if self.ring.slots() <= self.ring.buffer().capacity() / 2 {
            self.start()?;
        }
        Ok(())
    }

    /// How much of what was written the device has not taken yet. Whoever waits until it is less
    /// is told when a device that was started will take no more.
    pub fn ahead(&mut self) -> Result<Duration, AudioError> {
        if self.started {
            self.shared.check(&self.device, &mut self.pulse)?;
        }
        let waiting = self.ring.buffer().capacity() - self.ring.slots();
        Ok(Duration::from_secs_f64(waiting as f64 / f64::from(self.device_rate)))
    }

    /// Starts the device, if it is not: what was written is heard from now on.
    pub fn start(&mut self) -> Result<(), AudioError> {
        if !self.started {
            self.stream.play().map_err(|error| super::failure_of(&self.device, &error))?;
            self.started = true;
            self.pulse = Pulse::new();
        }
        Ok(())
    }

    /// How often the device had nothing to play, after its start.
    #[must_use]
    pub fn underruns(&self) -> u64 {
        self.shared.underruns.load(Ordering::Relaxed)
    }

    /// Waits until all that was written has been heard, then closes the device.
    pub fn finish(mut self) -> Result<(), AudioError> {
        if let Some(mut resampler) = self.resampler.take() {
            let mut rest = Vec::new();
            resampler.finish(&mut rest);
            self.push(&rest)?;
        }
        self.start()?;
        self.shared.closing.store(true, Ordering::Release);
        let shared = Arc::clone(&self.shared);
        shared.wait(&self.device, || shared.done.load(Ordering::Acquire))
    }
}

/// The side of the callback.
struct Outlet {
    consumer: rtrb::Consumer<f32>,
    shared: Arc<Shared>,
    channels: usize,
    rate: f64,
    /// Frames of silence since the last sample.
    silent: usize,
    /// How many of them must follow until the last sample has left the device.
    tail: usize,
}

impl Outlet {
    fn stream(
        self,
        device: &cpal::Device,
        supported: &cpal::SupportedStreamConfig,
    ) -> Result<cpal::Stream, cpal::Error> {
        let config = devices::blocks(supported);
        devices::build_by_format!(supported, self.build(device, config), "written")
    }

    fn build<T>(
        mut self,
        device: &cpal::Device,
        config: cpal::StreamConfig,
    ) -> Result<cpal::Stream, cpal::Error>
    where
        T: SizedSample + FromSample<f32>,
    {
        let shared = Arc::clone(&self.shared);
        device.build_output_stream(
            config,
            move |frames: &mut [T], info: &cpal::OutputCallbackInfo| {
                let times = info.timestamp();
                let delay = times.playback.saturating_duration_since(times.callback);
                self.give(frames, delay.as_secs_f64());
            },
            move |error| shared.fail(error),
            None,
        )
    }

    /// In the callback: no allocation, no lock. `delay` is how long samples take from here to the
    /// ear, in seconds.
    fn give<T>(&mut self, frames: &mut [T], delay: f64)
    where
        T: SizedSample + FromSample<f32>,
    {
        let count = frames.len() / self.channels;
        for frame in frames.chunks_exact_mut(self.channels) {
            let sample = if let Ok(sample) = self.consumer.pop() {
                self.silent = 0;
                sample.clamp(-1.0, 1.0)
            } else {
                self.silent += 1;
                0.0
            };
            frame.fill(T::from_sample_(sample));
        }
        if self.silent == 0 {
            // Servers have buffers of their own behind what the driver reports: a block more.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "frames")]
            let delay = (delay.min(5.0) * self.rate) as usize;
            self.tail = delay + 2 * count;
        } else if self.shared.closing.load(Ordering::Acquire) {
            let tail = self.tail.max(4 * count);
            if self.silent >= tail {
                self.shared.done.store(true, Ordering::Release);
            }
        } else if self.silent <= count {
            self.shared.underruns.fetch_add(1, Ordering::Relaxed);
        }
        self.shared.beat();
    }
}
