//! From the key to the receiver's antenna or microphone: chirp, drift, fading, echoes.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use super::air::{Air, Fading, Room, amplitude};
use crate::noise::Noise;

/// The way of the wanted signal.
#[derive(Debug)]
pub(super) struct Way {
    modulator: Option<Modulator>,
    fading: Sine,
    echoes: Option<Echoes>,
}

impl Way {
    pub(super) fn new(air: &Air, rate: f64, noise: &mut impl FnMut() -> Noise) -> Self {
        let (doppler, echoes) = (noise(), noise());
        Self {
            modulator: Modulator::new(air, rate, doppler),
            fading: Sine::new(air.fading, rate),
            echoes: air.room.map(|room| Echoes::new(room, rate, echoes)),
        }
    }

    pub(super) fn pass(&mut self, sample: f64) -> f64 {
        let sample = match &mut self.modulator {
            Some(modulator) => modulator.pass(sample),
            None => sample,
        };
        let sample = sample * self.fading.next();
        match &mut self.echoes {
            Some(echoes) => echoes.pass(sample),
            None => sample,
        }
    }
}

/// Moves the signal in pitch and phase: the analytic signal (by a Hilbert filter) times a phasor.
#[derive(Debug)]
struct Modulator {
    /// Odd taps of the Hilbert filter, from the middle outwards.
    taps: Vec<f64>,
    history: Vec<f64>,
    at: usize,
    rate: f64,
    phase: f64,
    /// The shift of pitch now, and its change with each sample, in hertz.
    shift: f64,
    drift: f64,
    chirp: Chirp,
    doppler: Vec<Ray>,
}

/// One of the paths of which Rayleigh fading is the sum.
#[derive(Debug)]
struct Ray {
    amplitude: f64,
    phase: f64,
    step: f64,
}

/// Watches the envelope: each mark begins high and settles.
#[derive(Debug)]
struct Chirp {
    hz: f64,
    decay: f64,
    /// The amplitude above which the key is down.
    threshold: f64,
    down: bool,
    left: f64,
}

impl Chirp {
    fn next(&mut self, envelope: f64) -> f64 {
        if !self.down && envelope > self.threshold {
            self.down = true;
            self.left = 1.0;
        } else if self.down && envelope < self.threshold / 2.0 {
            self.down = false;
        }
        self.left *= self.decay;
        self.hz * self.left
    }
}

impl Modulator {
    fn new(air: &Air, rate: f64, mut noise: Noise) -> Option<Self> {
        let doppler: Vec<Ray> = match air.fading {
            Fading::Rayleigh { spread } => {
                const RAYS: u32 = 48;
                (0..RAYS)
                    .map(|_| Ray {
                        amplitude: f64::from(RAYS).recip().sqrt(),
                        phase: TAU * noise.uniform(),
                        step: TAU * noise.gaussian() * spread / 2.0 / rate,
                    })
                    .collect()
            }
            Fading::None | Fading::Sine { .. } => Vec::new(),
        };
        if doppler.is_empty() && air.drift == 0.0 && air.chirp == 0.0 {
            return None;
        }
        // Down to 100 Hz: five milliseconds on either side.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "3 to 1920")]
        let half = (rate / 400.0).ceil() as usize;
        let taps: Vec<f64> = (0..half)
            .map(|i| {
                let n = (2 * i + 1) as f64;
                let edge = n / (2 * half) as f64;
                let window = 0.42 + 0.5 * (PI * edge).cos() + 0.08 * (TAU * edge).cos();
                2.0 / (PI * n) * window
            })
            .collect();
        Some(Self {
            history: vec![0.0; 4 * half + 1],
            at: 0,
            taps,
            rate,
            phase: 0.0,
            shift: 0.0,
            drift: air.drift / rate,
            chirp: Chirp {
                hz: air.chirp,
                decay: (-1.0 / (air.chirp_seconds * rate)).exp(),
                threshold: air.amplitude() * 0.3,
                down: false,
                left: 0.0,
            },
            doppler,
        })
    }

    fn pass(&mut self, sample: f64) -> f64 {
        let len = self.history.len();
        self.history[self.at] = sample;
        self.at = (self.at + 1) % len;
        let ago = |n: usize| self.history[(self.at + len - 1 - n) % len];
        let middle = 2 * self.taps.len();
        let real = ago(middle);
        // Without drift, chirp or Doppler this is the signal delayed by `middle` samples.
        let imaginary: f64 = self
            .taps
            .iter()
            .enumerate()
            .map(|(i, tap)| tap * (ago(middle + 2 * i + 1) - ago(middle - 2 * i - 1)))
            .sum();
        let hz = self.shift + self.chirp.next(real.hypot(imaginary));
        self.shift += self.drift;
        self.phase = (self.phase + TAU * hz / self.rate) % TAU;
        let (mut gain, mut quadrature) = (1.0, 0.0);
        if !self.doppler.is_empty() {
            (gain, quadrature) = (0.0, 0.0);
            for ray in &mut self.doppler {
                ray.phase += ray.step;
                let (sin, cos) = ray.phase.sin_cos();
                gain += ray.amplitude * cos;
                quadrature += ray.amplitude * sin;
            }
        }
        let (sin, cos) = self.phase.sin_cos();
        let turned = (real * cos - imaginary * sin, real * sin + imaginary * cos);
        turned.0 * gain - turned.1 * quadrature
    }
}

/// Fading like a sine.
#[derive(Debug)]
struct Sine {
    depth_db: f64,
    phase: f64,
    step: f64,
}

impl Sine {
    fn new(fading: Fading, rate: f64) -> Self {
        let (depth_db, period) = match fading {
            Fading::Sine { depth_db, period } => (depth_db, period),
            Fading::None | Fading::Rayleigh { .. } => (0.0, 1.0),
        };
        Self { depth_db, phase: -FRAC_PI_2, step: TAU / (period * rate) }
    }

    fn next(&mut self) -> f64 {
        if self.depth_db == 0.0 {
            return 1.0;
        }
        self.phase = (self.phase + self.step) % TAU;
        // from 0 dB down to -depth
        amplitude(-self.depth_db * (0.5 + 0.5 * self.phase.sin()))
    }
}

/// The tail of a room: "velvet" noise, single echoes of either sign at random times, which sounds
/// and filters like Gaussian noise (Karjalainen and Järveläinen, AES 2007) and is quick to run.
#[derive(Debug)]
struct Echoes {
    /// How many samples ago, and how strong.
    tail: Vec<(usize, f64)>,
    history: Vec<f64>,
    at: usize,
}

impl Echoes {
    fn new(room: Room, rate: f64, mut noise: Noise) -> Self {
        const DENSITY: f64 = 3000.0; // echoes a second
        let spacing = rate / DENSITY.min(rate);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded above"
        )]
        let samples = (room.rt60 * rate).ceil() as usize;
        let mut tail = Vec::new();
        let mut slot = spacing;
        while slot < samples as f64 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
            let ago = ((slot + noise.uniform() * spacing) as usize).clamp(1, samples);
            let decay = amplitude(-60.0 * ago as f64 / (room.rt60 * rate));
            let sign = if noise.uniform() < 0.5 { -1.0 } else { 1.0 };
            tail.push((ago, sign * decay));
            slot += spacing;
        }
        let energy: f64 = tail.iter().map(|(_, gain)| gain * gain).sum();
        let scale = amplitude(-room.drr_db) / energy.sqrt().max(1e-12);
        for (_, gain) in &mut tail {
            *gain *= scale;
        }
        Self { tail, history: vec![0.0; samples + 1], at: 0 }
    }

    fn pass(&mut self, sample: f64) -> f64 {
        let len = self.history.len();
        self.history[self.at] = sample;
        let (older, newer) = (self.at + len, self.at);
        let echoes = self.tail.iter().map(|&(ago, gain)| {
            let index = if ago <= newer { newer - ago } else { older - ago };
            gain * self.history[index]
        });
        let heard = sample + echoes.sum::<f64>();
        self.at = (self.at + 1) % len;
        heard
    }
}
