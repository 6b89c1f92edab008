//! The receiver: level, clipping, a wrong clock, lost pieces.

use super::air::{Air, Dropouts, amplitude};
use crate::noise::Noise;
use crate::resample::Resampler;

/// What is between the antenna or microphone and the samples.
#[derive(Debug)]
pub(super) struct Receiver {
    gain: f32,
    offset: f32,
    clip: f32,
    clock: Option<Resampler>,
    dropouts: Option<(Dropouts, Noise)>,
    rate: f64,
    /// Samples until the current drop-out ends, or 0.
    out: u64,
}

impl Receiver {
    #[expect(clippy::cast_possible_truncation, reason = "sound is f32")]
    pub(super) fn new(air: &Air, rate: f64, noise: Noise) -> Self {
        let gain = amplitude(air.gain_db);
        let clip = air.clip_db.map_or(f64::INFINITY, |db| air.amplitude() * amplitude(db) * gain);
        Self {
            gain: gain as f32,
            offset: air.dc as f32,
            clip: clip as f32,
            clock: (air.ppm != 0.0).then(|| Resampler::new(1.0, 1.0 + air.ppm * 1e-6)),
            dropouts: air.dropouts.map(|dropouts| (dropouts, noise)),
            rate,
            out: 0,
        }
    }

    pub(super) fn hear(&mut self, block: &mut Vec<f32>, heard: &mut Vec<f32>) {
        for sample in block.iter_mut() {
            *sample = (*sample * self.gain).clamp(-self.clip, self.clip) + self.offset;
        }
        let before = heard.len();
        match &mut self.clock {
            Some(clock) => clock.process(block, heard),
            None => heard.append(block),
        }
        let Some((dropouts, noise)) = &mut self.dropouts else { return };
        let start = dropouts.per_minute / 60.0 / self.rate;
        let mut kept = before;
        for i in before..heard.len() {
            if self.out == 0 && noise.uniform() < start {
                let span = dropouts.longest - dropouts.shortest;
                let seconds = dropouts.shortest + span * noise.uniform();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "< 2^26"
                )]
                let samples = (seconds * self.rate) as u64;
                self.out = samples;
            }
            let silent = self.out > 0;
            self.out = self.out.saturating_sub(1);
            if !(silent && dropouts.lost) {
                heard[kept] = if silent { 0.0 } else { heard[i] };
                kept += 1;
            }
        }
        heard.truncate(kept);
    }

    pub(super) fn finish(&mut self, heard: &mut Vec<f32>) {
        if let Some(clock) = &mut self.clock {
            clock.finish(heard);
        }
    }
}
