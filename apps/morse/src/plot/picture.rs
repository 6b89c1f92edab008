//! What stands where in the picture: rows of time, each with a spectrogram, the envelope with the
//! marks that were read, and the letters under them.

use std::fmt::Write;

use ipfi_morse::decoder::Character;

use super::canvas::{Canvas, Colour, LETTER, heat};
use crate::spectrum::{Spectrum, amplitude};

const BACKGROUND: Colour = [16, 18, 24];
const PANEL: Colour = [26, 29, 37];
const GRID: Colour = [58, 64, 78];
const DIM: Colour = [140, 148, 164];
const BRIGHT: Colour = [236, 239, 244];
const TONE: Colour = [120, 220, 232];
const ENVELOPE: Colour = [97, 175, 239];
const READ: Colour = [166, 226, 110];
const DOUBTFUL: Colour = [255, 120, 90];

/// Margins and heights in pixels.
const LEFT: usize = 72;
const RIGHT: usize = 20;
const TOP: usize = 76;
const SPECTROGRAM: usize = 150;
const WAVE: usize = 54;
const MARKS: usize = 10;
const LETTERS: usize = 26;
const TIMES: usize = 30;
const ROW: usize = SPECTROGRAM + WAVE + MARKS + LETTERS + TIMES + 12;
const MOST_ROWS: usize = 20;

#[derive(Debug)]
pub(super) struct Title {
    pub(super) name: String,
    /// Where in the recording the picture begins, seconds.
    pub(super) from: f64,
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) struct Picture<'a> {
    samples: &'a [f32],
    rate: u32,
    characters: &'a [Character],
    /// Frequencies shown.
    low: f64,
    high: f64,
    /// The length of a dot, seconds; a guess if nothing was read.
    dot: f64,
}

impl<'a> Picture<'a> {
    pub(super) fn new(
        samples: &'a [f32],
        rate: u32,
        characters: &'a [Character],
        band: Option<(f64, f64)>,
    ) -> Self {
        let nyquist = f64::from(rate) / 2.0;
        let tones = characters.iter().map(|c| c.tone_hz);
        let lowest = tones.clone().fold(f64::INFINITY, f64::min);
        let highest = tones.fold(0.0, f64::max);
        let dot = median(characters.iter().map(|c| 1.2 / c.wpm)).unwrap_or(0.06);
        // Around the tone, and wide enough for the side bands of fast keying.
        let around = (6.0 / dot).clamp(300.0, nyquist);
        let (low, high) = match band {
            Some(band) => band,
            None if characters.is_empty() => (0.0, nyquist.min(2500.0)),
            None => ((lowest - around).max(0.0), highest + around),
        };
        let high = high.min(nyquist);
        Self { samples, rate, characters, low: low.min(high - 1.0), high, dot }
    }

    pub(super) fn draw(&self, title: &Title, width: usize) -> Canvas {
        let across = width - LEFT - RIGHT;
        let seconds = self.samples.len() as f64 / f64::from(self.rate);
        // Five pixels for a dot are easy to read; but twenty rows are enough.
        let easy = self.dot * across as f64 / 5.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 20")]
        let rows = ((seconds / easy).ceil() as usize).clamp(1, MOST_ROWS);
        let span = (seconds / rows as f64).max(0.01);
        let lines = wrap(&title.text, (width - LEFT - RIGHT) / (2 * LETTER));
        let footer = 16 + lines.len() * 22;
        let mut canvas = Canvas::new(width, TOP + rows * ROW + footer, BACKGROUND);
        self.draw_head(&mut canvas, title, seconds);
        let columns = self.spectrogram(rows * across, span / across as f64);
        let (floor, peak) = range(&columns);
        let levels = self.envelope(rows * across, span / across as f64);
        let loudest = levels.iter().copied().fold(1e-9, f64::max);
        for row in 0..rows {
            let view = Row {
                picture: self,
                top: TOP + row * ROW,
                across,
                start: row as f64 * span,
                span,
                offset: title.from,
            };
            let part = row * across..(row + 1) * across;
            view.draw_heat(&mut canvas, &columns[part.clone()], floor, peak);
            view.draw_frequencies(&mut canvas);
            view.draw_wave(&mut canvas, &levels[part], loudest);
            view.draw_characters(&mut canvas);
            view.draw_times(&mut canvas);
        }
        for (i, line) in lines.iter().enumerate() {
            canvas.text(LEFT, TOP + rows * ROW + 4 + i * 22, 2, BRIGHT, line);
        }
        canvas
    }

    fn draw_head(&self, canvas: &mut Canvas, title: &Title, seconds: f64) {
        canvas.text(LEFT, 16, 2, BRIGHT, &title.name);
        let end = title.from + seconds;
        let mut facts = format!("{:.1} to {end:.1} s, {} samples/s", title.from, self.rate);
        let of = |value: fn(&Character) -> f64| median(self.characters.iter().map(value));
        let read = (of(|c| c.tone_hz), of(|c| c.wpm), of(|c| c.snr_db));
        if let (Some(tone), Some(wpm), Some(snr)) = read {
            let count = self.characters.len();
            let _ = write!(
                facts,
                "   {tone:.0} Hz   {wpm:.1} WPM   SNR {snr:+.0} dB in 2500 Hz   {count} characters"
            );
        } else {
            facts += "   no Morse was read";
        }
        canvas.text(LEFT, 44, 1, DIM, &facts);
        let key: [(Colour, &str); 4] =
            [(TONE, "tone"), (ENVELOPE, "envelope"), (READ, "read"), (DOUBTFUL, "doubtful")];
        let mut x = LEFT;
        for (colour, name) in key {
            canvas.fill(x, 60, 8, 8, colour);
            canvas.text(x + 14, 60, 1, DIM, name);
            x += (name.len() + 4) * LETTER;
        }
    }

    /// The levels shown, for each column of pixels from top to bottom, in dB.
    fn spectrogram(&self, columns: usize, step: f64) -> Vec<Vec<f32>> {
        // As long as a dot, so that dots stand apart, but no finer than the ear.
        let mut spectrum = Spectrum::new(self.rate, self.dot.clamp(0.002, 0.05), 10.0);
        let rate = f64::from(self.rate);
        let half = spectrum.span() as f64 / 2.0;
        (0..columns)
            .map(|column| {
                let begin = (column as f64 + 0.5) * step * rate - half;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = ">= 0")]
                let begin = (begin.max(0.0) as usize).min(self.samples.len());
                let lines = spectrum.of(&self.samples[begin..]);
                let hz = |y: usize| {
                    self.high - (self.high - self.low) * y as f64 / (SPECTROGRAM - 1) as f64
                };
                (0..SPECTROGRAM).map(|y| spectrum.at(&lines, hz(y))).collect()
            })
            .collect()
    }

    /// The amplitude of the tone for each column of pixels, over the time of half a dot.
    fn envelope(&self, columns: usize, step: f64) -> Vec<f64> {
        let rate = f64::from(self.rate);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let half = ((self.dot / 4.0 * rate) as usize).max(2);
        (0..columns)
            .map(|column| {
                let time = (column as f64 + 0.5) * step;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "> 0")]
                let middle = (time * rate) as usize;
                let end = (middle + half).min(self.samples.len());
                let begin = middle.saturating_sub(half).min(end);
                let level = |hz| amplitude(&self.samples[begin..end], hz, self.rate);
                self.tone(time).map_or(0.0, level)
            })
            .collect()
    }

    /// The tone at a time: that of the nearest character.
    fn tone(&self, time: f64) -> Option<f64> {
        let after = self.characters.partition_point(|c| c.end < time);
        let near = self.characters.get(after).or_else(|| self.characters.last())?;
        Some(near.tone_hz)
    }

    /// Whether a mark was read at a time.
    fn sounds(&self, time: f64) -> bool {
        let after = self.characters.partition_point(|c| c.end < time);
        let marks = self.characters.get(after).map(|c| c.marks.as_slice()).unwrap_or_default();
        marks.iter().any(|mark| (mark.start..=mark.end).contains(&time))
    }
}

/// A row of the picture.
struct Row<'a> {
    picture: &'a Picture<'a>,
    top: usize,
    across: usize,
    /// Seconds from the beginning of the samples, and how many there are.
    start: f64,
    span: f64,
    /// What is added to them on the scale.
    offset: f64,
}

impl Row<'_> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels")]
    fn x(&self, time: f64) -> Option<usize> {
        let part = (time - self.start) / self.span;
        (0.0..=1.0).contains(&part).then(|| LEFT + (part * self.across as f64) as usize)
    }

    fn time(&self, column: usize) -> f64 {
        self.start + (column as f64 + 0.5) / self.across as f64 * self.span
    }

    fn draw_heat(&self, canvas: &mut Canvas, columns: &[Vec<f32>], floor: f32, peak: f32) {
        for (column, levels) in columns.iter().enumerate() {
            for (y, level) in levels.iter().enumerate() {
                let heat = heat((level - floor) / (peak - floor));
                canvas.set(LEFT + column, self.top + y, heat);
            }
        }
    }

    fn draw_frequencies(&self, canvas: &mut Canvas) {
        let Picture { low, high, .. } = *self.picture;
        let y = |hz: f64| {
            let part = (high - hz) / (high - low);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels")]
            let y = (part * (SPECTROGRAM - 1) as f64).round() as usize;
            y
        };
        let step = round_step((high - low) / 4.0);
        let mut hz = (low / step).ceil() * step;
        while hz <= high {
            let y = self.top + y(hz);
            canvas.fill(LEFT - 6, y, 5, 1, DIM);
            let label = format!("{hz:.0}");
            let width = label.len() * LETTER;
            canvas.text(LEFT - 10 - width, y.saturating_sub(3), 1, DIM, &label);
            hz += step;
        }
        canvas.text(8, self.top, 1, DIM, "Hz");
        // The tone that was followed, dotted where it does not sound
        for column in (0..self.across).step_by(4) {
            let time = self.time(column);
            if let Some(tone) = self.picture.tone(time)
                && (low..=high).contains(&tone)
                && !self.picture.sounds(time)
            {
                canvas.fill(LEFT + column, self.top + y(tone), 2, 1, TONE);
            }
        }
    }

    fn draw_wave(&self, canvas: &mut Canvas, levels: &[f64], loudest: f64) {
        let top = self.top + SPECTROGRAM + 4;
        canvas.fill(LEFT, top, self.across, WAVE - 8, PANEL);
        for (column, level) in levels.iter().enumerate() {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels")]
            let height = (level / loudest * (WAVE - 10) as f64).round() as usize;
            canvas.fill(LEFT + column, top + WAVE - 8 - height, 1, height, ENVELOPE);
        }
        canvas.text(8, top + WAVE / 2 - 8, 1, DIM, "level");
    }

    /// The marks that were read, and the letters under them.
    fn draw_characters(&self, canvas: &mut Canvas) {
        let top = self.top + SPECTROGRAM + WAVE;
        for character in self.picture.characters {
            let colour = blend(DOUBTFUL, READ, character.confidence);
            for mark in &character.marks {
                let end = self.start + self.span;
                let ends = (self.x(mark.start.max(self.start)), self.x(mark.end.min(end)));
                if let (Some(left), Some(right)) = ends {
                    canvas.fill(left, top, (right - left).max(1), 6, colour);
                }
            }
            let text = character.symbol.to_string();
            let width = text.chars().count() * LETTER * 2;
            if let Some(middle) = self.x(f64::midpoint(character.start, character.end)) {
                let left = middle.saturating_sub(width / 2).max(LEFT);
                canvas.text(left, top + MARKS + 2, 2, colour, &text);
            }
        }
        canvas.text(8, top + MARKS + 4, 1, DIM, "text");
    }

    fn draw_times(&self, canvas: &mut Canvas) {
        let top = self.top + SPECTROGRAM + WAVE + MARKS + LETTERS;
        canvas.fill(LEFT, top, self.across, 1, GRID);
        let step = round_step(self.span / 12.0);
        let digits = if step < 0.1 { 2 } else { usize::from(step < 1.0) };
        let first = ((self.start + self.offset) / step).ceil();
        let mut tick = first;
        while let Some(x) = self.x(tick * step - self.offset) {
            canvas.fill(x, top, 1, 5, DIM);
            let label = format!("{:.digits$}", tick * step);
            canvas.text(x.saturating_sub(label.len() * LETTER / 2), top + 8, 1, DIM, &label);
            tick += 1.0;
        }
        canvas.text(8, top + 8, 1, DIM, "s");
    }
}

/// What is shown as black and as white: the noise, and the loudest.
fn range(columns: &[Vec<f32>]) -> (f32, f32) {
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

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
fn blend(from: Colour, to: Colour, part: f32) -> Colour {
    let part = part.clamp(0.0, 1.0);
    std::array::from_fn(|i| {
        (f32::from(from[i]) * (1.0 - part) + f32::from(to[i]) * part).round() as u8
    })
}

/// Lines of words, each at most so many characters long.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.chars().take(width).collect()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        let steps = [0.013, 0.3, 1.0, 3.3, 70.0, 2e5].map(round_step);
        assert_eq!(format!("{steps:?}"), "[0.02, 0.5, 1.0, 5.0, 100.0, 200000.0]");
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrap("AB CD EF", 5), ["AB CD", "EF"]);
        assert_eq!(wrap("ABCDEFGH", 5), ["ABCDE"]);
        assert!(wrap("", 5).is_empty());
    }

    #[test]
    fn odd_recordings_make_pictures_too() {
        let title = Title { name: "x".into(), from: 0.0, text: String::new() };
        for (samples, rate) in [(vec![], 8000), (vec![0.5], 8000), (vec![0.0; 20], 1000)] {
            let picture = Picture::new(&samples, rate, &[], None);
            let mut png = Vec::new();
            picture.draw(&title, 400).write_png(&mut png).unwrap();
            assert!(png.len() > 100);
        }
    }
}
