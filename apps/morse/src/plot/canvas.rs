//! A picture: rectangles, lines, letters, and a PNG of them.

use std::collections::BTreeMap;
use std::io::Write;

use font8x8::{BASIC_FONTS, LATIN_FONTS, UnicodeFonts};

/// Red, green, blue.
pub(super) type Colour = [u8; 3];

/// The width and height of a letter at scale 1, in pixels.
pub(super) const LETTER: usize = 8;

#[derive(Debug)]
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize, background: Colour) -> Self {
        Self { width, height, pixels: background.repeat(width * height) }
    }

    /// Sets a pixel; what lies outside is not drawn.
    pub(super) fn set(&mut self, x: usize, y: usize, colour: Colour) {
        if x < self.width && y < self.height {
            let at = (y * self.width + x) * 3;
            self.pixels[at..at + 3].copy_from_slice(&colour);
        }
    }

    pub(super) fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, colour: Colour) {
        for row in y..(y + height).min(self.height) {
            for column in x..(x + width).min(self.width) {
                self.set(column, row, colour);
            }
        }
    }

    /// Writes a line of text from its upper left corner.
    pub(super) fn text(&mut self, x: usize, y: usize, scale: usize, colour: Colour, text: &str) {
        for (i, c) in text.chars().enumerate() {
            let glyph = BASIC_FONTS.get(c).or_else(|| LATIN_FONTS.get(c));
            let glyph = glyph.or_else(|| BASIC_FONTS.get('?')).unwrap_or_default();
            for (row, bits) in glyph.iter().enumerate() {
                for column in (0..LETTER).filter(|column| bits >> column & 1 == 1) {
                    let left = x + (i * LETTER + column) * scale;
                    self.fill(left, y + row * scale, scale, scale, colour);
                }
            }
        }
    }

    /// Writes the picture, with a palette if it has few colours.
    pub(super) fn write_png(&self, writer: impl Write) -> Result<(), png::EncodingError> {
        let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut encoder = png::Encoder::new(writer, size(self.width), size(self.height));
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        let Some((palette, indices)) = self.palette() else {
            encoder.set_color(png::ColorType::Rgb);
            let mut writer = encoder.write_header()?;
            writer.write_image_data(&self.pixels)?;
            return writer.finish();
        };
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_palette(palette);
        encoder.set_filter(png::Filter::NoFilter);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&indices)?;
        writer.finish()
    }

    /// The colours, and which of them each pixel has, if there are at most 256.
    fn palette(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut known = BTreeMap::new();
        let mut palette = Vec::new();
        let mut indices = Vec::with_capacity(self.pixels.len() / 3);
        for pixel in self.pixels.as_chunks::<3>().0 {
            let next = known.len();
            let index = *known.entry(*pixel).or_insert_with(|| {
                palette.extend_from_slice(pixel);
                next
            });
            indices.push(u8::try_from(index).ok()?);
        }
        Some((palette, indices))
    }
}

/// The shades of heat: few, so that pictures stay small, and still smooth to the eye.
const SHADES: f32 = 16.0;

/// A colour for 0 (quiet) to 1 (loud): black, violet, orange, yellow, white, evenly brighter, so
/// that it survives grey print (after "inferno" of matplotlib).
pub(crate) fn heat(level: f32) -> Colour {
    const STOPS: [[f32; 3]; 9] = [
        [4.0, 5.0, 16.0],
        [31.0, 12.0, 72.0],
        [85.0, 15.0, 109.0],
        [136.0, 34.0, 106.0],
        [186.0, 54.0, 85.0],
        [227.0, 89.0, 51.0],
        [249.0, 140.0, 10.0],
        [249.0, 201.0, 50.0],
        [252.0, 255.0, 200.0],
    ];
    let position = (level.clamp(0.0, 1.0) * SHADES).round() / SHADES * 8.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
    {
        let index = (position as usize).min(7);
        let part = position - index as f32;
        std::array::from_fn(|i| {
            let (a, b) = (STOPS[index][i], STOPS[index + 1][i]);
            (a + (b - a) * part).round() as u8
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_outside() {
        let mut canvas = Canvas::new(10, 10, [0; 3]);
        canvas.fill(8, 8, 100, 100, [255; 3]);
        canvas.text(5, 5, 3, [9; 3], "Å~\u{1F600}");
        canvas.set(usize::MAX - 1, 0, [1; 3]);
        let mut png = Vec::new();
        canvas.write_png(&mut png).unwrap();
        assert!(png.starts_with(b"\x89PNG"));
    }

    #[test]
    fn louder_is_brighter() {
        let sum = |level| heat(level).iter().map(|&c| u32::from(c)).sum::<u32>();
        assert!((0..8u8).all(|i| sum(f32::from(i) / 8.0) < sum(f32::from(i + 1) / 8.0)));
        assert_eq!(heat(f32::NAN.max(0.0)), heat(0.0));
    }
}
