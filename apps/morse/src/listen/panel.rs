//! The moving picture under the text: a pure function from what is known to lines of a terminal.
//!
//! Time runs to the right. From top to bottom: the waterfall, two frequencies to a character cell;
//! the level of the tone; the marks that were read; their letters.

use std::collections::VecDeque;

use ipfi_morse::decoder::Character;

use crate::plot::canvas::heat;

/// Seconds of a column.
pub(super) const COLUMN: f64 = 0.05;
/// Columns that are kept, which the widest terminal may show.
const KEPT: usize = 500;
/// Width of the scale of frequencies, in cells.
const SCALE: usize = 7;
/// Lines beside the waterfall: status, level, marks, letters.
const OTHERS: usize = 4;

/// How much colour a terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    None,
    /// The 256 colours of xterm.
    Palette,
    /// Any.
    True,
}

/// What is drawn.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) colours: Colours,
    /// Where the sound comes from.
    name: String,
    columns: VecDeque<Column>,
    /// The number of the column after the last.
    next: u64,
    characters: VecDeque<(Character, String)>,
    /// The middle of the frequencies shown.
    middle: f64,
    tone: Option<f64>,
    /// The peak of the last second, as part of full scale.
    peak: f32,
    gaps: u32,
}

/// One step of time.
#[derive(Debug)]
pub(super) struct Column {
    /// Levels in dB, [`Column::SPACING`] hertz apart, from 0.
    pub(super) levels: Vec<f32>,
    /// The amplitude of the tone.
    pub(super) tone: f32,
}

impl Column {
    pub(super) const SPACING: f64 = 12.5;
    /// Frequencies up to here are kept, hertz.
    pub(super) const HIGHEST: f64 = 6000.0;

    fn at(&self, hz: f64) -> f32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = (hz.max(0.0) / Self::SPACING).round() as usize;
        self.levels.get(index).copied().unwrap_or(-140.0)
    }
}

impl Panel {
    pub(super) fn new(name: &str, colours: Colours) -> Self {
        Self {
            colours,
            name: name.to_owned(),
            columns: VecDeque::new(),
            next: 0,
            characters: VecDeque::new(),
            middle: 700.0,
            tone: None,
            peak: 0.0,
            gaps: 0,
        }
    }

    pub(super) fn push(&mut self, column: Column, peak: f32) {
        self.columns.push_back(column);
        if self.columns.len() > KEPT {
            self.columns.pop_front();
        }
        self.next += 1;
        self.peak = (self.peak * 0.9).max(peak);
    }

    pub(super) fn follow(&mut self, tone: Option<f64>) {
        self.tone = tone;
        // The scale moves only when the tone would leave it.
        if let Some(tone) = tone.filter(|tone| (tone - self.middle).abs() > 100.0) {
            self.middle = (tone / 25.0).round() * 25.0;
        }
    }

    pub(super) fn read(&mut self, character: Character, text: String) {
        self.characters.push_back((character, text));
        if self.characters.len() > KEPT {
            self.characters.pop_front();
        }
    }

    pub(super) fn gap(&mut self) {
        self.gaps += 1;
    }

    /// The lines of the panel for so many cells; none if there is no room for it.
    pub(super) fn render(&self, width: usize, height: usize) -> Vec<String> {
        // The rest is for the text.
        let rows = height.saturating_sub(OTHERS).min((2 * height / 5).max(10));
        if rows < 3 || width < SCALE + 20 {
            return vec![self.status(width)];
        }
        let across = (width - SCALE).min(KEPT);
        let mut lines = vec![self.status(width)];
        lines.extend(self.waterfall(across, rows));
        lines.push(self.level(across));
        lines.push(self.marks(across));
        lines.push(self.letters(across));
        lines
    }

    fn status(&self, width: usize) -> String {
        let mut parts = match self.characters.back() {
            None => vec!["listening: no Morse yet".to_owned()],
            Some((last, _)) => {
                let recent = || self.characters.iter().rev().take(10).map(|(c, _)| c);
                let sure = recent().map(|c| c.confidence).sum::<f32>() / recent().count() as f32;
                let snr = median(recent().map(|c| c.snr_db)).clamp(-99.0, 99.0);
                vec![
                    format!("{:.0} Hz", last.tone_hz),
                    format!("{:.0} WPM", median(recent().map(|c| c.wpm))),
                    format!("SNR {snr:+.0} dB"),
                    format!("sure {:.0} %", 100.0 * sure),
                ]
            }
        };
        let level = 20.0 * self.peak.max(1e-6).log10();
        let remark = if self.peak >= 0.99 {
            " (too loud)"
        } else if self.peak < 1e-5 && self.next > 40 {
            " (silence: the right device?)"
        } else {
            ""
        };
        parts.push(format!("level {level:.0} dB{remark}"));
        if self.gaps > 0 {
            parts.push(format!("gaps {}", self.gaps));
        }
        // What does not fit is left out, not cut: space first, then what matters least.
        let fits = |parts: &[String], space: &str| parts.join(space).chars().count() < width;
        let space = if fits(&parts, "   ") { "   " } else { " " };
        while parts.len() > 1 && !fits(&parts, space) {
            parts.pop();
        }
        let line = format!(" {}", parts.join(space));
        let seconds = self.next as f64 * COLUMN;
        let right =
            format!("{}   {:.0}:{:04.1} ", self.name, (seconds / 60.0).floor(), seconds % 60.0);
        let used = line.chars().count();
        let space = width.saturating_sub(used + right.chars().count());
        let line = if space > 1 { format!("{line}{:space$}{right}", "") } else { line };
        let line: String = line.chars().take(width).collect();
        match self.colours {
            Colours::None => line,
            Colours::Palette | Colours::True => format!("\x1b[7m{line:<width$}\x1b[0m"),
        }
    }

    /// The columns shown, the oldest first; as many empty ones before as are missing.
    fn shown(&self, across: usize) -> impl Iterator<Item = Option<&Column>> {
        let missing = across.saturating_sub(self.columns.len());
        let begin = self.columns.len().saturating_sub(across);
        std::iter::repeat_n(None, missing).chain(self.columns.iter().skip(begin).map(Some))
    }

    fn waterfall(&self, across: usize, rows: usize) -> Vec<String> {
        let step = 25.0;
        let top = self.middle + step * rows as f64;
        // What is black and what is white
        let mut levels: Vec<f32> = self
            .shown(across)
            .flatten()
            .flat_map(|column| (0..2 * rows).map(|y| column.at(top - step * y as f64)))
            .collect();
        levels.sort_by(f32::total_cmp);
        let at = |part: usize| levels.get(levels.len() * part / 1000).copied().unwrap_or(-100.0);
        let floor = at(600).max(at(998) - 55.0).max(-110.0);
        let peak = at(998).max(floor + 20.0);
        let heat_at = |column: Option<&Column>, y: usize| {
            column.map_or(0.0, |c| (c.at(top - step * y as f64) - floor) / (peak - floor))
        };
        (0..rows)
            .map(|row| {
                let (upper, lower) = (2 * row, 2 * row + 1);
                let mut line = self.scale(top - step * (upper as f64 + 0.5), step, row, rows);
                let mut before = None;
                for column in self.shown(across) {
                    let (a, b) = (heat_at(column, upper), heat_at(column, lower));
                    self.cell(&mut line, a, b, &mut before);
                }
                if self.colours != Colours::None {
                    line += "\x1b[0m";
                }
                line
            })
            .collect()
    }

    /// The frequency beside a row, and an arrow where the tone is.
    fn scale(&self, hz: f64, step: f64, row: usize, rows: usize) -> String {
        match self.tone {
            Some(tone) if (hz - step..hz + step).contains(&tone) => match self.colours {
                Colours::None => format!("{tone:>5.0} >"),
                Colours::Palette | Colours::True => format!("\x1b[1;36m{tone:>5.0} ►\x1b[0m"),
            },
            _ if row == 0 || row == rows - 1 || row == rows / 2 => format!("{hz:>5.0}  "),
            _ => " ".repeat(SCALE),
        }
    }

    /// Two levels, 0 to 1, in a cell. `before` is what the cell before was, to save bytes.
    fn cell(&self, line: &mut String, upper: f32, lower: f32, before: &mut Option<String>) {
        let colour = |level: f32| match self.colours {
            Colours::None => String::new(),
            Colours::Palette => format!("5;{}", palette(heat(level))),
            Colours::True => {
                let [r, g, b] = heat(level);
                format!("2;{r};{g};{b}")
            }
        };
        if self.colours == Colours::None {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 4")]
            let shade = (upper.max(lower).clamp(0.0, 0.999) * 5.0) as usize;
            line.push([' ', '░', '▒', '▓', '█'][shade]);
            return;
        }
        let code = format!("\x1b[38;{};48;{}m", colour(upper), colour(lower));
        if before.as_ref() != Some(&code) {
            line.push_str(&code);
            *before = Some(code);
        }
        line.push('▀');
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        match self.colours {
            Colours::None => text.to_owned(),
            Colours::Palette | Colours::True => format!("\x1b[{colour}m{text}\x1b[0m"),
        }
    }

    fn level(&self, across: usize) -> String {
        let most = self.shown(across).flatten().map(|c| c.tone).fold(1e-4, f32::max);
        let bar = |column: Option<&Column>| {
            let part = column.map_or(0.0, |c| c.tone / most);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8")]
            let eighths = (part.clamp(0.0, 1.0) * 8.0).round() as usize;
            [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][eighths]
        };
        let bars: String = self.shown(across).map(bar).collect();
        format!(" level {}", self.paint("34", &bars))
    }

    /// The first column shown, counted from the beginning, as if there had been sound before.
    fn first(&self, across: usize) -> f64 {
        self.next as f64 - across as f64
    }

    fn marks(&self, across: usize) -> String {
        let first = self.first(across);
        let mut halves = vec![false; 2 * across];
        for mark in self.characters.iter().flat_map(|(character, _)| &character.marks) {
            // In halves of a column, from the left edge
            let at = |time: f64| ((time / COLUMN - first) * 2.0).round().max(0.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = ">= 0")]
            let (begin, end) = (at(mark.start) as usize, at(mark.end) as usize);
            let end = end.min(halves.len());
            if begin < end {
                halves[begin..end].fill(true);
            }
        }
        let bars: String = halves
            .chunks_exact(2)
            .map(|pair| match pair {
                [true, true] => '▀',
                [true, false] => '▘',
                [false, true] => '▝',
                _ => ' ',
            })
            .collect();
        format!(" keyed {}", self.paint("32", &bars))
    }

    fn letters(&self, across: usize) -> String {
        let first = self.first(across);
        let mut cells = vec![' '; across];
        for (character, text) in &self.characters {
            let middle = f64::midpoint(character.start, character.end) / COLUMN - first;
            let begin = middle - text.chars().count() as f64 / 2.0;
            for (i, letter) in text.chars().enumerate() {
                let cell = begin.round() + i as f64;
                if cell >= 0.0 {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = ">= 0"
                    )]
                    if let Some(place) = cells.get_mut(cell as usize) {
                        *place = letter;
                    }
                }
            }
        }
        let letters: String = cells.iter().collect();
        format!(" text  {}", self.paint("1", letters.trim_end()))
    }
}

/// The nearest of the 6 x 6 x 6 colours of xterm.
fn palette(colour: [u8; 3]) -> u8 {
    let nearest = |value: u8| {
        let steps: [u8; 6] = [0, 95, 135, 175, 215, 255];
        (0..6u8).min_by_key(|&i| steps[usize::from(i)].abs_diff(value)).unwrap_or(0)
    };
    let [r, g, b] = colour.map(nearest);
    16 + 36 * r + 6 * g + b
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use ipfi_morse::decoder::{Decoder, Event, Latency};
    use ipfi_morse::keyer::Keyer;
    use ipfi_morse::synth::{Tone, render};
    use ipfi_morse::text::parse;
    use ipfi_morse::timing::Timing;

    use super::*;

    /// What the panel knows after "ARE".
    fn panel(colours: Colours) -> Panel {
        let timing = Timing::new(12.0).unwrap();
        let keyed = Keyer::new(parse("ARE").unwrap(), timing);
        let tone = Tone { hz: 700.0, ..Tone::default() };
        let mut sound = vec![0.0; 4000];
        sound.extend(render(keyed, &tone, timing.dot(), 8000).unwrap());
        sound.extend([0.0; 4000]);
        let mut decoder = Decoder::new(8000, Latency::Live).unwrap();
        decoder.push(&sound);
        decoder.finish();
        let mut panel = Panel::new("test", colours);
        panel.follow(decoder.tone_hz());
        for step in sound.chunks_exact(400) {
            let peak = step.iter().fold(0.0f32, |most, s| most.max(s.abs()));
            let levels =
                (0..200).map(|i| if i == 56 { 20.0 * (peak + 1e-5).log10() } else { -90.0 });
            panel.push(Column { levels: levels.collect(), tone: peak }, peak);
        }
        while let Some(event) = decoder.poll_event() {
            if let Event::Character(character) = event {
                let text = character.symbol.to_string();
                panel.read(character, text);
            }
        }
        panel
    }

    #[test]
    fn time_stands_under_time() {
        let lines = panel(Colours::None).render(80, 12);
        let cells = |line: &str| line.chars().skip(SCALE).collect::<Vec<_>>();
        assert_eq!(lines.len(), 12);
        assert!(lines[0].starts_with(" 700 Hz   12 WPM   SNR "), "{}", lines[0]);
        let tone = lines.iter().find(|line| line.starts_with("  700 >")).expect("the tone's row");
        let [level, marks, letters] = [9, 10, 11].map(|i| cells(&lines[i]));
        assert_eq!(letters.iter().filter(|&&c| c != ' ').collect::<String>(), "ARE");
        // What sounds is bright, loud, and read, column by column, but for the edges of marks.
        let on = |row: &[char], i: usize| row.get(i).is_some_and(|&c| c != ' ');
        let tone = cells(tone);
        let both = |a: &[char], b: &[char]| (0..73).filter(|&i| on(a, i) != on(b, i)).count();
        assert!(both(&tone, &level) <= 2, "{lines:#?}");
        assert!(both(&level, &marks) <= 12 && marks.iter().any(|&c| c != ' '), "{lines:#?}");
        for (i, _) in letters.iter().enumerate().filter(|(_, c)| **c != ' ') {
            assert!((i.saturating_sub(3)..i + 4).any(|i| on(&marks, i)), "{lines:#?}");
        }
    }

    #[test]
    fn what_does_not_fit_in_the_status_is_left_out_whole() {
        let panel = panel(Colours::None);
        for width in 8..100 {
            let status = panel.status(width);
            let ends = ["Hz", "WPM", "dB", "%", "dB (too loud)"];
            let whole = ends.iter().any(|end| status.trim_end().ends_with(end));
            assert!(whole || status.contains("test   0:0"), "{width}: {status}");
        }
        assert!(panel.status(40).contains("sure"), "{}", panel.status(40));
        assert!(panel.render(200, 47).len() > panel.render(80, 21).len(), "room is used");
    }

    #[test]
    fn lines_fit_the_terminal() {
        let visible = |line: &str| {
            let mut escaped = false;
            line.chars()
                .filter(|&c| {
                    let shown = !escaped && c != '\x1b';
                    escaped = (escaped || c == '\x1b') && c != 'm';
                    shown
                })
                .count()
        };
        for colours in [Colours::None, Colours::Palette, Colours::True] {
            let panel = panel(colours);
            for (width, height) in [(0, 0), (1, 1), (20, 5), (40, 8), (80, 24), (700, 100)] {
                let lines = panel.render(width, height);
                assert!(lines.len() <= height.max(1), "{width} x {height}: {}", lines.len());
                for line in &lines {
                    assert!(visible(line) <= width, "{width} x {height}: {line}");
                }
            }
        }
    }
}
