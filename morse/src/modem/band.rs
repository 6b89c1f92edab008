//! A part of the spectrum, and a filter that keeps to it.

use std::f64::consts::{PI, TAU};

use crate::resample::kaiser;

/// A part of the spectrum to which a modem keeps: what it sends lies there, and what is elsewhere it does
/// not hear. Two modems in bands of their own do not disturb each other; see
/// [`Config::band`](super::Config::band).
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "two limits")]
pub struct Band {
    /// The lower limit, hertz.
    pub low: f64,
    /// The upper limit, hertz.
    pub high: f64,
}

impl Band {
    /// What has to be free between two bands for one to be silent in the other, hertz.
    pub const GAP: f64 = 1000.0;

    /// From limit to limit, hertz.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.high - self.low
    }

    /// Its two halves with [`GAP`](Self::GAP) between them, for stations that send at the same time.
    ///
    /// ```
    /// use ipfi_morse::modem::Band;
    /// let (low, high) = Band { low: 800.0, high: 17_800.0 }.halves();
    /// assert_eq!((low.low, low.high), (800.0, 8800.0));
    /// assert_eq!((high.low, high.high), (9800.0, 17_800.0));
    /// ```
    #[must_use]
    pub fn halves(&self) -> (Self, Self) {
        let half = (self.width() - Self::GAP) / 2.0;
        (Self { low: self.low, high: self.low + half }, Self { low: self.high - half, ..*self })
    }
}

/// Lets a band through and nothing else: a windowed sinc (Kaiser, 60 dB), of linear phase.
#[derive(Debug)]
pub(crate) struct BandPass {
    taps: Vec<f32>,
    /// The samples that still count, the oldest first.
    history: Vec<f32>,
}

/// Taps are taken in lanes, of which the compiler makes one.
const LANES: usize = 8;
/// Hertz from what passes to what does not.
const EDGE: f64 = 0.8 * Band::GAP;
/// Kaiser's beta for 60 dB.
const BETA: f64 = 5.65;

impl BandPass {
    pub(crate) fn new(band: Band, rate: u32) -> Self {
        let rate = f64::from(rate);
        // Kaiser's length for 60 dB, and zeros to fill the lanes.
        let half = ((60.0 - 7.95) / (2.285 * TAU * EDGE / rate) / 2.0).ceil() as usize;
        let count = 2 * half + 1;
        let sinc = |hertz: f64, n: f64| {
            let w = TAU * hertz.max(0.0) / rate;
            if n == 0.0 { w / PI } else { (w * n).sin() / (PI * n) }
        };
        let mut taps: Vec<f32> = (0..count)
            .map(|i| {
                let n = i as f64 - half as f64;
                let window = kaiser(n / (half as f64 + 1.0), BETA);
                let wide = sinc(band.high + EDGE / 2.0, n) - sinc(band.low - EDGE / 2.0, n);
                (wide * window) as f32
            })
            .collect();
        taps.resize(count.next_multiple_of(LANES), 0.0);
        let history = vec![0.0; taps.len() - 1];
        Self { taps, history }
    }

    /// Samples by which what comes out is late.
    pub(crate) fn delay(&self) -> usize {
        // The zeros come last, which is where the newest samples are.
        let zeros = self.taps.iter().rev().take_while(|&&tap| tap == 0.0).count();
        (self.taps.len() - zeros - 1) / 2 + zeros
    }

    /// Appends as many samples as there are.
    pub(crate) fn process(&mut self, sound: &[f32], out: &mut Vec<f32>) {
        self.history.extend_from_slice(sound);
        out.extend(self.history.windows(self.taps.len()).map(|piece| {
            let mut sums = [0.0f32; LANES];
            for (piece, taps) in piece.chunks_exact(LANES).zip(self.taps.chunks_exact(LANES)) {
                for lane in 0..LANES {
                    sums[lane] += piece[lane] * taps[lane];
                }
            }
            sums.iter().sum::<f32>()
        }));
        self.history.drain(..sound.len());
    }

    /// Appends the end of what was sent.
    pub(crate) fn finish(&mut self, out: &mut Vec<f32>) {
        self.process(&vec![0.0; self.taps.len() - 1], out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The amplitude that is left of a tone of 1.
    fn through(band: Band, hertz: f64) -> f32 {
        let mut filter = BandPass::new(band, 48_000);
        let tone = |i: usize| (TAU * hertz * i as f64 / 48_000.0).sin() as f32;
        let sound: Vec<f32> = (0..9600).map(tone).collect();
        let mut out = Vec::new();
        filter.process(&sound, &mut out);
        let late = &out[2400..];
        (2.0 * late.iter().map(|v| v * v).sum::<f32>() / late.len() as f32).sqrt()
    }

    #[test]
    fn a_band_passes_and_its_neighbour_does_not() {
        let (low, high) = Band { low: 800.0, high: 17_800.0 }.halves();
        for (own, other) in [(low, high), (high, low)] {
            for part in 0..=20 {
                let at = |band: Band| band.low + band.width() * f64::from(part) / 20.0;
                assert!((through(own, at(own)) - 1.0).abs() < 0.02, "{} Hz", at(own));
                assert!(through(own, at(other)) < 2e-3, "{} Hz", at(other));
            }
        }
    }

    #[test]
    fn the_delay_is_known_and_blocks_do_not_matter() {
        let band = Band { low: 1000.0, high: 9000.0 };
        let mut sound = vec![0.0; 1000];
        sound[100] = 1.0;
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        let mut filter = BandPass::new(band, 48_000);
        filter.process(&sound, &mut whole);
        let peak = whole.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        assert_eq!(peak, 100 + filter.delay());
        let mut filter = BandPass::new(band, 48_000);
        for piece in sound.chunks(7) {
            filter.process(piece, &mut pieces);
        }
        assert_eq!(whole, pieces);
    }
}
