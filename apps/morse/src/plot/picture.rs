//! What stands where in the picture: rows of time, each with a spectrogram, the envelope with the
//! marks that were read, and the letters under them.

use std::fmt::Write;

use ipfi_morse::decoder::Character;

use super::canvas::{Canvas, Colour, LETTER};
use super::scale::{
    BACKGROUND, BRIGHT, DIM, LEFT, LETTERS, PANEL, READ, RIGHT, Rows, SPECTROGRAM, Scale, TIMES,
    TOP, Title, range, spectrogram,
};
use crate::spectrum::amplitude;

const TONE: Colour = [120, 220, 232];
const ENVELOPE: Colour = [97, 175, 239];
const DOUBTFUL: Colour = [255, 120, 90];

/// Heights in pixels.
const WAVE: usize = 54;
const MARKS: usize = 10;
const ROW: usize = SPECTROGRAM + WAVE + MARKS + LETTERS + TIMES + 12;

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
        let rows = Rows::count(seconds, easy);
        let span = (seconds / rows as f64).max(0.01);
        let lines = wrap(&title.text, (width - LEFT - RIGHT) / (2 * LETTER));
        let footer = 16 + lines.len() * 22;
        let mut canvas = Canvas::new(width, TOP + rows * ROW + footer, BACKGROUND);
        self.draw_head(&mut canvas, title, seconds);
        let step = span / across as f64;
        // Spectra as long as a dot, so that dots stand apart, but no finer than the ear.
        let fine = self.dot.clamp(0.002, 0.05);
        let sound = (self.samples, self.rate);
        let columns = spectrogram(sound, fine, (self.low, self.high), rows * across, step);
        let shades = range(&columns);
        let levels = self.envelope(rows * across, step);
        let loudest = levels.iter().copied().fold(1e-9, f64::max);
        let band = (self.low, self.high);
        let strips = Rows { height: ROW, across, span, offset: title.from, band };
        for row in 0..rows {
            let scale = strips.scale(row);
            let view = Row { picture: self, scale };
            let part = row * across..(row + 1) * across;
            scale.draw_heat(&mut canvas, &columns[part.clone()], shades);
            scale.draw_frequencies(&mut canvas);
            view.draw_tone(&mut canvas);
            view.draw_wave(&mut canvas, &levels[part], loudest);
            view.draw_characters(&mut canvas);
            scale.draw_times(&mut canvas, scale.top + SPECTROGRAM + WAVE + MARKS + LETTERS);
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
    scale: Scale,
}

impl Row<'_> {
    /// The tone that was followed, dotted where it does not sound.
    fn draw_tone(&self, canvas: &mut Canvas) {
        let Scale { low, high, across, .. } = self.scale;
        for column in (0..across).step_by(4) {
            let time = self.scale.time(column);
            if let Some(tone) = self.picture.tone(time)
                && (low..=high).contains(&tone)
                && !self.picture.sounds(time)
            {
                canvas.fill(LEFT + column, self.scale.y(tone), 2, 1, TONE);
            }
        }
    }

    fn draw_wave(&self, canvas: &mut Canvas, levels: &[f64], loudest: f64) {
        let top = self.scale.top + SPECTROGRAM + 4;
        canvas.fill(LEFT, top, self.scale.across, WAVE - 8, PANEL);
        for (column, level) in levels.iter().enumerate() {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels")]
            let height = (level / loudest * (WAVE - 10) as f64).round() as usize;
            canvas.fill(LEFT + column, top + WAVE - 8 - height, 1, height, ENVELOPE);
        }
        canvas.text(8, top + WAVE / 2 - 8, 1, DIM, "level");
    }

    /// The marks that were read, and the letters under them.
    fn draw_characters(&self, canvas: &mut Canvas) {
        let top = self.scale.top + SPECTROGRAM + WAVE;
        for character in self.picture.characters {
            let colour = blend(DOUBTFUL, READ, character.confidence);
            for mark in &character.marks {
                let Scale { start, span, .. } = self.scale;
                let end = start + span;
                let ends = (self.scale.x(mark.start.max(start)), self.scale.x(mark.end.min(end)));
                if let (Some(left), Some(right)) = ends {
                    canvas.fill(left, top, (right - left).max(1), 6, colour);
                }
            }
            let text = character.symbol.to_string();
            let width = text.chars().count() * LETTER * 2;
            if let Some(middle) = self.scale.x(f64::midpoint(character.start, character.end)) {
                let left = middle.saturating_sub(width / 2).max(LEFT);
                canvas.text(left, top + MARKS + 2, 2, colour, &text);
            }
        }
        canvas.text(8, top + MARKS + 4, 1, DIM, "text");
    }
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
