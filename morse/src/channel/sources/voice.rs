use std::f64::consts::{PI, TAU};

use crate::noise::Noise;

/// Somebody speaks: about four syllables a second, each a vowel (pulses of a throat through three
/// formants, G. E. Peterson and H. L. Barney, 1952) or a hiss, in phrases with pauses between.
#[derive(Debug)]
pub(in crate::channel) struct Voice {
    amplitude: f64,
    rate: f64,
    noise: Noise,
    formants: [Resonator; 3],
    /// Of the throat's pulses, 0 to 1.
    phase: f64,
    pitch: f64,
    sound: Sound,
    /// Samples since the sound began, and how many it has.
    at: f64,
    length: f64,
    syllables: u32,
}

#[derive(Debug, PartialEq)]
enum Sound {
    Vowel,
    Hiss,
    Pause,
}

/// Formants of men's vowels, hertz.
const VOWELS: [[f64; 3]; 6] = [
    [270.0, 2290.0, 3010.0],
    [530.0, 1840.0, 2480.0],
    [660.0, 1720.0, 2410.0],
    [730.0, 1090.0, 2440.0],
    [570.0, 840.0, 2410.0],
    [300.0, 870.0, 2240.0],
];

impl Voice {
    pub(super) fn new(amplitude: f64, rate: f64, noise: Noise) -> Self {
        let mut voice = Self {
            amplitude,
            rate,
            noise,
            formants: Default::default(),
            phase: 0.0,
            pitch: 120.0,
            sound: Sound::Pause,
            at: 0.0,
            length: 0.0,
            syllables: 0,
        };
        voice.turn();
        voice
    }

    /// Goes on to another sound.
    fn turn(&mut self) {
        self.at = 0.0;
        if self.syllables == 0 {
            self.sound = Sound::Pause;
            self.length = (0.3 + 0.9 * self.noise.uniform()) * self.rate;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "3 to 14")]
            let syllables = (3.0 + 12.0 * self.noise.uniform()) as u32;
            self.syllables = syllables;
            return;
        }
        self.syllables -= 1;
        if self.sound != Sound::Hiss && self.noise.uniform() < 0.4 {
            self.sound = Sound::Hiss;
            self.length = (0.05 + 0.07 * self.noise.uniform()) * self.rate;
            return;
        }
        self.sound = Sound::Vowel;
        self.length = (0.1 + 0.2 * self.noise.uniform()) * self.rate;
        self.pitch = (self.pitch * (1.0 + 0.12 * self.noise.gaussian())).clamp(85.0, 220.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 5")]
        let vowel = VOWELS[(self.noise.uniform() * VOWELS.len() as f64) as usize];
        for (formant, hz) in self.formants.iter_mut().zip(vowel) {
            formant.tune(hz, 60.0 + hz / 30.0, self.rate);
        }
    }

    pub(super) fn next(&mut self) -> f64 {
        if self.at >= self.length {
            self.turn();
        }
        let swell = (PI * self.at / self.length).sin();
        self.at += 1.0;
        let throat = match self.sound {
            Sound::Pause => 0.0,
            Sound::Hiss => return self.amplitude * 0.3 * swell * self.noise.gaussian(),
            Sound::Vowel => {
                // Pitch falls a little within each syllable.
                self.phase += self.pitch * (1.1 - 0.2 * self.at / self.length) / self.rate;
                if self.phase >= 1.0 {
                    self.phase -= 1.0;
                    (self.rate / self.pitch).sqrt()
                } else {
                    0.0
                }
            }
        };
        // The first formant is the strongest.
        let weights = [1.0, 0.4, 0.2];
        let sum: f64 = self.formants.iter_mut().zip(weights).map(|(f, w)| w * f.next(throat)).sum();
        self.amplitude * swell * sum
    }
}

/// A formant: a resonator of two poles whose response to white noise has unit power.
#[derive(Debug, Default)]
struct Resonator {
    first: f64,
    second: f64,
    gain: f64,
    before: [f64; 2],
}

impl Resonator {
    fn tune(&mut self, hz: f64, width: f64, rate: f64) {
        let hz = hz.min(0.45 * rate);
        let radius = (-PI * width / rate).exp();
        self.first = 2.0 * radius * (TAU * hz / rate).cos();
        self.second = -radius * radius;
        // The variance of a second-order autoregression (Box and Jenkins, section 3.2.4)
        let (a, b) = (self.first, self.second);
        self.gain = ((1.0 + b) * ((1.0 - b).powi(2) - a * a) / (1.0 - b)).max(0.0).sqrt();
    }

    fn next(&mut self, input: f64) -> f64 {
        let out = self.gain * input + self.first * self.before[0] + self.second * self.before[1];
        self.before = [out, self.before[0]];
        out
    }
}
