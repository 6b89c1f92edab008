//! The terminal: text that scrolls, and the panel that stays under it.

use std::io::{self, Write};

use crossterm::{cursor, queue, terminal};
use ipfi_morse::decoder::Character;

use super::panel::{COLUMN, Colours, Column, Panel};
use crate::spectrum::{Spectrum, amplitude};

/// So much of the text is kept at least, bytes.
const KEPT: usize = 4000;

#[derive(Debug)]
pub(super) struct Screen {
    panel: Panel,
    spectrum: Spectrum,
    rate: u32,
    /// Samples that no column has been made of.
    sound: Vec<f32>,
    /// The last of the text, to be laid out anew if the width changes.
    text: String,
    /// The line of text that is being written, and lines that are full but not yet drawn.
    line: String,
    full: Vec<String>,
    /// Lines drawn that the next drawing begins with, and the width they were drawn for.
    drawn: u16,
    width: u16,
    changed: bool,
}

impl Screen {
    pub(super) fn open(rate: u32, name: &str) -> io::Result<Self> {
        let colours = if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            Colours::None
        } else if std::env::var("COLORTERM").is_ok_and(|v| v == "truecolor" || v == "24bit") {
            Colours::True
        } else {
            Colours::Palette
        };
        queue!(io::stdout(), cursor::Hide)?;
        Ok(Self {
            panel: Panel::new(name, colours),
            spectrum: Spectrum::new(rate, 0.064, Column::SPACING),
            rate,
            sound: Vec::new(),
            text: String::new(),
            line: String::new(),
            full: Vec::new(),
            drawn: 0,
            width: 0,
            changed: true,
        })
    }

    pub(super) fn hear(&mut self, samples: &[f32], tone: Option<f64>) {
        self.sound.extend_from_slice(samples);
        self.panel.follow(tone);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let step = (COLUMN * f64::from(self.rate)) as usize;
        while self.sound.len() >= step.max(self.spectrum.span()) {
            let lines = self.spectrum.of(&self.sound);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let count = (Column::HIGHEST / Column::SPACING) as usize;
            let levels: Vec<f32> =
                (0..=count).map(|i| self.spectrum.at(&lines, i as f64 * Column::SPACING)).collect();
            let now = &self.sound[..step];
            // Before a tone is known, the loudest one is shown.
            let loudest = || {
                let voice = 16..levels.len().min(160); // 200 to 2000 Hz
                let best = voice.max_by(|&a, &b| levels[a].total_cmp(&levels[b]));
                best.unwrap_or(0) as f64 * Column::SPACING
            };
            let hz = tone.unwrap_or_else(loudest);
            #[expect(clippy::cast_possible_truncation, reason = "sound is f32")]
            let tone = amplitude(now, hz, self.rate) as f32;
            let peak = now.iter().fold(0.0f32, |most, sample| most.max(sample.abs()));
            self.panel.push(Column { levels, tone }, peak);
            self.sound.drain(..step);
            self.changed = true;
        }
    }

    pub(super) fn read(&mut self, character: Character, text: String) {
        let (width, _) = size();
        self.line.push_str(&text);
        let mut laid = lines(&self.line, usize::from(width), usize::MAX);
        self.line = laid.pop().unwrap_or_default();
        self.full.append(&mut laid);
        self.text.push_str(&text);
        if self.text.len() > 2 * KEPT {
            let from = self.text.len() - KEPT;
            let from = (from..=self.text.len()).find(|&at| self.text.is_char_boundary(at));
            self.text.drain(..from.unwrap_or_default());
        }
        self.panel.read(character, text);
        self.changed = true;
    }

    pub(super) fn space(&mut self) {
        if !self.line.is_empty() {
            self.line.push(' ');
            self.text.push(' ');
        }
    }

    pub(super) fn gap(&mut self) {
        self.panel.gap();
    }

    /// Draws what has changed since the last time.
    pub(super) fn draw(&mut self) -> io::Result<()> {
        if !self.changed {
            return Ok(());
        }
        self.changed = false;
        let (width, height) = size();
        let mut out = io::stdout().lock();
        let mut text = String::from("\x1b[?2026h"); // all at once, where a terminal can
        if width != self.width && self.width != 0 {
            // The terminal has broken the old lines, each in its own way.
            text.push_str("\x1b[2J\x1b[H");
            self.drawn = 0;
            self.full = lines(&self.text, usize::from(width), usize::from(height));
            self.line = self.full.pop().unwrap_or_default();
        }
        self.width = width;
        if self.drawn > 1 {
            let up = self.drawn - 1;
            text.extend(["\x1b[", &up.to_string(), "A"]);
        }
        let panel = self.panel.render(usize::from(width), usize::from(height.saturating_sub(3)));
        let lines = self.full.iter().chain([&self.line]).chain(&panel);
        for (i, line) in lines.enumerate() {
            text.push_str(if i == 0 { "\r" } else { "\r\n" });
            text.push_str(line.trim_end()); // a space behind the edge would be a line
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b[J\x1b[?2026l");
        self.full.clear();
        self.drawn = u16::try_from(panel.len() + 1).unwrap_or(height);
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Leaves the text, and the panel as it was last.
    pub(super) fn close(mut self) -> io::Result<()> {
        self.changed = true;
        self.draw()?;
        writeln!(io::stdout())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = queue!(io::stdout(), cursor::Show);
        let _ = io::stdout().flush();
    }
}

/// The last lines of a text, at most so many. A word that does not fit goes to the next line; one that
/// fits in none is broken.
fn lines(text: &str, width: usize, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(' ') {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 0 && last + word.trim_end().chars().count() > width {
            lines.push(String::new());
        }
        for character in word.chars() {
            let last = lines.last().map_or(0, |line| line.chars().count());
            if last >= width.max(1) && character != ' ' {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                line.push(character);
            }
        }
    }
    lines.split_off(lines.len().saturating_sub(most))
}

fn size() -> (u16, u16) {
    terminal::size().unwrap_or((80, 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_laid_out_anew() {
        assert_eq!(lines("", 10, 5), [""]);
        assert_eq!(lines("CQ DE OE1XYZ K", 8, 5), ["CQ DE ", "OE1XYZ K"]);
        assert_eq!(lines("CQ DE OE1XYZ K", 80, 5), ["CQ DE OE1XYZ K"]);
        assert_eq!(lines("A B C D", 1, 2), ["C ", "D"]);
        assert_eq!(lines("LONGER THAN", 3, 9), ["LON", "GER ", "THA", "N"]);
        assert_eq!(lines("A B", 0, 9), ["A ", "B"]);
    }
}
