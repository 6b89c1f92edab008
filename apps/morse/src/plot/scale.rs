//! Where time and frequency lie in a row of a picture, and what every row has: the spectrogram and
//! its two scales.

use super::canvas::{Canvas, Colour, LETTER, heat};
use crate::spectrum::Spectrum;

pub(super) const BACKGROUND: Colour = [16, 18, 24];
pub(super) const PANEL: Colour = [26, 29, 37];
pub(super) const GRID: Colour = [58, 64, 78];
pub(super) const DIM: Colour = [140, 148, 164];
pub(super) const BRIGHT: Colour = [236, 239, 244];
pub(super) const READ: Colour = [166, 226, 110];

/// Margins and heights in pixels.
pub(super) const LEFT: usize = 72;
pub(super) const RIGHT: usize = 20;
pub(super) const TOP: usize = 76;
pub(super) const SPECTROGRAM: usize = 150;
pub(super) const LETTERS: usize = 26;
pub(super) const TIMES: usize = 30;
const MOST_ROWS: usize = 20;

/// What a picture is called, and where in the recording it begins.
#[derive(Debug)]
pub(super) struct Title {
    pub(super) name: String,
    /// Seconds.
    pub(super) from: f64,
    pub(super) text: String,
}

/// Rows of a picture, which share its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    /// Their height in pixels.
    pub(super) height: usize,
    /// Pixels for the seconds of each.
    pub(super) across: usize,
    pub(super) span: f64,
    /// What is added to the seconds on the scale.
    pub(super) offset: f64,
    /// Frequencies shown.
    pub(super) band: (f64, f64),
}

impl Rows {
    /// As many as it takes to give so many seconds a row each, but not too many.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 20")]
    pub(super) fn count(seconds: f64, easy: f64) -> usize {
        ((seconds / easy).ceil() as usize).clamp(1, MOST_ROWS)
    }

    pub(super) fn scale(&self, row: usize) -> Scale {
        Scale {
            top: TOP + row * self.height,
            across: self.across,
            start: row as f64 * self.span,
            span: self.span,
            offset: self.offset,
            low: self.band.0,
            high: self.band.1,
        }
    }
}

/// A row of a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Where it is, and how many pixels it has for its time.
    pub(super) top: usize,
    pub(super) across: usize,
    /// Seconds from the beginning of the samples, and how many there are.
    pub(super) start: f64,
    pub(super) span: f64,
    /// What is added to them on the scale.
    pub(super) offset: f64,
    /// Frequencies shown.
    pub(super) low: f64,
    pub(super) high: f64,
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels")]
impl Scale {
    pub(super) fn x(&self, time: f64) -> Option<usize> {
        let part = (time - self.start) / self.span;
        (0.0..=1.0).contains(&part).then(|| LEFT + (part * self.across as f64) as usize)
    }

    pub(super) fn time(&self, column: usize) -> f64 {
        self.start + (column as f64 + 0.5) / self.across as f64 * self.span
    }

    pub(super) fn y(&self, hz: f64) -> usize {
        let part = (self.high - hz) / (self.high - self.low);
        self.top + (part * (SPECTROGRAM - 1) as f64).round() as usize
    }

    pub(super) fn draw_heat(&self, canvas: &mut Canvas, columns: &[Vec<f32>], range: (f32, f32)) {
        let (floor, peak) = range;
        for (column, levels) in columns.iter().enumerate() {
            for (y, level) in levels.iter().enumerate() {
                let heat = heat((level - floor) / (peak - floor));
                canvas.set(LEFT + column, self.top + y, heat);
            }
        }
    }

    pub(super) fn draw_frequencies(&self, canvas: &mut Canvas) {
        let step = round_step((self.high - self.low) / 4.0);
        let mut hz = (self.low / step).ceil() * step;
        while hz <= self.high {
            let y = self.y(hz);
            canvas.fill(LEFT - 6, y, 5, 1, DIM);
            let label = format!("{hz:.0}");
            let width = label.len() * LETTER;
            canvas.text(LEFT - 10 - width, y.saturating_sub(3), 1, DIM, &label);
            hz += step;
        }
        canvas.text(8, self.top + 12, 1, DIM, "Hz");
    }

    pub(super) fn draw_times(&self, canvas: &mut Canvas, top: usize) {
        canvas.fill(LEFT, top, self.across, 1, GRID);
        let step = round_step(self.span / 12.0);
        let digits = if step < 0.1 { 2 } else { usize::from(step < 1.0) };
        let mut tick = ((self.start + self.offset) / step).ceil();
        while let Some(x) = self.x(tick * step - self.offset) {
            canvas.fill(x, top, 1, 5, DIM);
            let label = format!("{:.digits$}", tick * step);
            canvas.text(x.saturating_sub(label.len() * LETTER / 2), top + 8, 1, DIM, &label);
            tick += 1.0;
        }
        canvas.text(8, top + 8, 1, DIM, "s");
    }
}

/// The levels of sound in dB: for each column of pixels, `step` seconds apart, from the highest
/// frequency down. Spectra are of so many seconds each.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = ">= 0")]
pub(super) fn spectrogram(
    (samples, rate): (&[f32], u32),
    seconds: f64,
    (low, high): (f64, f64),
    columns: usize,
    step: f64,
) -> Vec<Vec<f32>> {
    let mut spectrum = Spectrum::new(rate, seconds, 10.0);
    let half = spectrum.span() as f64 / 2.0;
    (0..columns)
        .map(|column| {
            let begin = (column as f64 + 0.5) * step * f64::from(rate) - half;
            let begin = (begin.max(0.0) as usize).min(samples.len());
            let lines = spectrum.of(&samples[begin..]);
            let hz = |y: usize| high - (high - low) * y as f64 / (SPECTROGRAM - 1) as f64;
            (0..SPECTROGRAM).map(|y| spectrum.at(&lines, hz(y))).collect()
        })
        .collect()
}

/// What is shown as black and as white: the noise, and the loudest.
pub(super) fn range(columns: &[Vec<f32>]) -> (f32, f32) {
    let mut levels: Vec<f32> = columns.iter().flatten().step_by(7).copied().collect();
    levels.sort_by(f32::total_cmp);
    let at = |part: usize| levels.get(levels.len() * part / 1000).copied().unwrap_or(-100.0);
    let peak = at(998);
    let floor = at(700).max(peak - 60.0);
    (floor, peak.max(floor + 20.0))
}

/// A round number near this one: 1, 2 or 5 times a power of ten.
fn round_step(wanted: f64) -> f64 {
    let power = 10f64.powf(wanted.max(1e-6).log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0].map(|n| n * power);
    nice.into_iter().find(|&n| n >= wanted).unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        let steps = [0.013, 0.3, 1.0, 3.3, 70.0, 2e5].map(round_step);
        assert_eq!(format!("{steps:?}"), "[0.02, 0.5, 1.0, 5.0, 100.0, 200000.0]");
    }
}
