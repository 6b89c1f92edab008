//! What others add to the wanted signal.

use std::f64::consts::TAU;

use super::air::{Air, Disturbance, NoiseColour, amplitude};
use crate::alphabet::Code;
use crate::keyer::Keyer;
use crate::noise::{Noise, Pink};
use crate::synth::{Synth, Tone};
use crate::text::Token;
use crate::timing::Timing;

mod voice;

/// Something that sounds without end.
#[derive(Debug)]
pub(super) enum Source {
    White { deviation: f64, noise: Noise },
    Pink { deviation: f64, noise: Noise, filter: Box<Pink> },
    Tones(Vec<Oscillator>),
    Station { amplitude: f64, synth: Box<Synth<Keyer<RandomText>>> },
    Clicks(Clicks),
    Voice(Box<voice::Voice>),
}

impl Source {
    /// All that the air says, each with a seed of its own.
    pub(super) fn all(air: &Air, rate: f64, noise: &mut impl FnMut() -> Noise) -> Vec<Self> {
        let reference = air.amplitude();
        let mut sources = Vec::new();
        let hiss = noise();
        if let Some(snr_db) = air.snr_db {
            // The tone's power is half its amplitude squared; noise fills half the sample rate.
            let power = reference * reference / 2.0 * 10f64.powf(-snr_db / 10.0) * rate / 5000.0;
            let deviation = power.sqrt();
            sources.push(match air.noise {
                NoiseColour::White => Self::White { deviation, noise: hiss },
                NoiseColour::Pink => Self::Pink {
                    deviation: deviation / Pink::gain(300.0, 2800.0, rate),
                    noise: hiss,
                    filter: Box::default(),
                },
            });
        }
        let disturbances = air.disturbances.iter();
        sources.extend(disturbances.map(|d| Self::new(d, reference, rate, noise())));
        sources
    }

    fn new(disturbance: &Disturbance, reference: f64, rate: f64, mut noise: Noise) -> Self {
        match *disturbance {
            Disturbance::Carrier { hz, level_db } => {
                let amplitude = reference * amplitude(level_db);
                Self::Tones(vec![Oscillator::new(hz, amplitude, rate, &mut noise)])
            }
            Disturbance::Hum { hz, level_db } => {
                // Power supplies hum at even multiples, bad earth at odd ones.
                let harmonics =
                    [(1.0, 1.0), (2.0, 0.7), (3.0, 0.5), (4.0, 0.3), (5.0, 0.3), (6.0, 0.2)];
                let power: f64 = harmonics.iter().map(|(_, part)| part * part).sum();
                let scale = reference * amplitude(level_db) / power.sqrt();
                let tone = |&(n, part): &(f64, f64)| {
                    Oscillator::new(hz * n, part * scale, rate, &mut noise)
                };
                Self::Tones(harmonics.iter().map(tone).collect())
            }
            Disturbance::Morse { hz, wpm, level_db } => {
                let tone = Tone { hz, level_db: 0.0, edge: None };
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "was u32"
                )]
                let synth = Timing::new(wpm).ok().and_then(|timing| {
                    let keyer = Keyer::new(RandomText { noise, left: 0 }, timing);
                    Synth::new(keyer, &tone, timing.dot(), rate as u32).ok()
                });
                match synth {
                    Some(synth) => Self::Station {
                        amplitude: reference * amplitude(level_db),
                        synth: Box::new(synth),
                    },
                    None => Self::Tones(Vec::new()), // Air::check keeps this from happening
                }
            }
            Disturbance::Clicks { per_second, level_db } => Self::Clicks(Clicks {
                rate: per_second / rate,
                amplitude: reference * amplitude(level_db),
                decay: (-1.0 / (0.0005 * rate)).exp(),
                left: 0.0,
                noise,
            }),
            Disturbance::Voice { level_db } => Self::Voice(Box::new(voice::Voice::new(
                reference * amplitude(level_db),
                rate,
                noise,
            ))),
        }
    }

    pub(super) fn next(&mut self) -> f64 {
        match self {
            Self::White { deviation, noise } => *deviation * noise.gaussian(),
            Self::Pink { deviation, noise, filter } => *deviation * filter.next(noise.gaussian()),
            Self::Tones(tones) => tones.iter_mut().map(Oscillator::next).sum(),
            Self::Station { amplitude, synth } => {
                let mut sample = [0.0];
                synth.render(&mut sample);
                *amplitude * f64::from(sample[0])
            }
            Self::Clicks(clicks) => clicks.next(),
            Self::Voice(voice) => voice.next(),
        }
    }
}

/// A steady sine.
#[derive(Debug)]
pub(super) struct Oscillator {
    amplitude: f64,
    phase: f64,
    step: f64,
}

impl Oscillator {
    fn new(hz: f64, amplitude: f64, rate: f64, noise: &mut Noise) -> Self {
        Self { amplitude, phase: TAU * noise.uniform(), step: TAU * hz / rate }
    }

    fn next(&mut self) -> f64 {
        self.phase = (self.phase + self.step) % TAU;
        self.amplitude * self.phase.sin()
    }
}

/// Groups of five letters and digits without end.
#[derive(Clone, Debug)]
pub(super) struct RandomText {
    noise: Noise,
    left: u32,
}

impl Iterator for RandomText {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if self.left == 0 {
            self.left = 5;
            return Some(Token::Space);
        }
        self.left -= 1;
        let choice = 36.0 * self.noise.uniform();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 35")]
        let character = char::from_digit(choice as u32, 36).unwrap_or('E');
        Code::of(character).map(Token::Code)
    }
}

/// Bursts of noise that begin at once and die within a millisecond.
#[derive(Debug)]
pub(super) struct Clicks {
    rate: f64,
    amplitude: f64,
    decay: f64,
    left: f64,
    noise: Noise,
}

impl Clicks {
    fn next(&mut self) -> f64 {
        if self.noise.uniform() < self.rate {
            self.left += self.amplitude * (0.5 + self.noise.uniform());
        }
        if self.left < 1e-9 {
            return 0.0;
        }
        self.left *= self.decay;
        self.left * (2.0 * self.noise.uniform() - 1.0)
    }
}
