//! A picture of packets: rows of time, each with a spectrogram and the letters under it, which stand
//! where they sound.

use ipfi_morse::alphabet::Code;
use ipfi_morse::modem::{Config, Demodulator, Event, Mode};

use super::canvas::{Canvas, Colour, LETTER};
use super::scale::{
    BACKGROUND, BRIGHT, DIM, LEFT, LETTERS, PANEL, READ, RIGHT, Rows, SPECTROGRAM, Scale, TIMES,
    TOP, Title, range, spectrogram,
};

/// What of the streams is written, of those that sound at the same time.
const MOST_STREAMS: usize = 2;
const ROW: usize = SPECTROGRAM + LETTERS + TIMES + 8;
const DAMAGED: Colour = [255, 120, 90];

/// A packet that was read in the sound.
#[derive(Debug)]
struct Packet {
    mode: Mode,
    blocks: Vec<Block>,
    /// `None`: it has not ended.
    is_whole: Option<bool>,
}

/// Letters of one stream.
#[derive(Debug)]
struct Block {
    stream: usize,
    text: String,
    start: f64,
    end: f64,
}

impl Packet {
    fn start(&self) -> f64 {
        self.blocks.first().map_or(0.0, |block| block.start)
    }

    fn end(&self) -> f64 {
        self.blocks.last().map_or(0.0, |block| block.end)
    }

    fn is_damaged(&self) -> bool {
        self.is_whole != Some(true)
    }
}

fn read(sound: (&[f32], u32)) -> anyhow::Result<Vec<Packet>> {
    let mut demodulator = Demodulator::new(&Config::new(sound.1))?;
    let mut packets: Vec<Packet> = Vec::new();
    // In pieces, so that there is room for all events, and a second of silence, so that a packet at
    // the very end is read as well.
    let silence = vec![0.0; sound.1 as usize];
    let mut hiss = fastrand::Rng::with_seed(1);
    for piece in sound.0.chunks(4800).chain([silence.as_slice()]) {
        // As a station does: in perfect silence the faintest leakage would look like a tone.
        let noisy: Vec<f32> = piece.iter().map(|s| s + 3e-4 * (hiss.f32() - 0.5)).collect();
        demodulator.receive(&noisy);
        while let Some(event) = demodulator.poll_event() {
            match event {
                Event::Begin { mode, .. } => {
                    packets.push(Packet { mode, blocks: Vec::new(), is_whole: None });
                }
                Event::Letters { mode, stream, text, start, end } => {
                    if let Some(packet) = under_way(&mut packets, mode) {
                        packet.blocks.push(Block { stream, text, start, end });
                    }
                }
                Event::Packet(whole) => {
                    if let Some(packet) = under_way(&mut packets, whole.mode) {
                        packet.is_whole = Some(true);
                    }
                }
                Event::BadPacket { mode, .. } => {
                    if let Some(packet) = under_way(&mut packets, mode) {
                        packet.is_whole = Some(false);
                    }
                }
                Event::Carrier(_) | _ => {}
            }
        }
    }
    // What seemed to begin in the midst of a packet was a part of it.
    let whole = packets.iter().filter(|packet| !packet.is_damaged());
    let whole: Vec<_> = whole.map(|packet| packet.start()..packet.end()).collect();
    packets.retain(|packet| {
        let inside =
            whole.iter().any(|other| packet.start() < other.end && other.start < packet.end());
        !packet.blocks.is_empty() && (!packet.is_damaged() || !inside)
    });
    Ok(packets)
}

fn under_way(packets: &mut [Packet], mode: Mode) -> Option<&mut Packet> {
    packets.iter_mut().rfind(|packet| packet.mode == mode && packet.is_whole.is_none())
}

/// Draws a second of sound in about as many pixels as it has dots of the fastest modes, and whole
/// conversations at once if need be.
pub(super) fn draw(
    (samples, rate): (&[f32], u32),
    title: &Title,
    width: usize,
) -> anyhow::Result<Canvas> {
    let packets = read((samples, rate))?;
    let across = width - LEFT - RIGHT;
    let seconds = samples.len() as f64 / f64::from(rate);
    let rows = Rows::count(seconds, easy(&packets, across));
    let span = (seconds / rows as f64).max(0.01);
    let mut canvas = Canvas::new(width, TOP + rows * ROW + 12, BACKGROUND);
    canvas.text(LEFT, 16, 2, BRIGHT, &title.name);
    let on_air: f64 = packets.iter().map(|packet| packet.end() - packet.start()).sum();
    let mut modes: Vec<Mode> = packets.iter().map(|packet| packet.mode).collect();
    modes.sort();
    modes.dedup();
    let modes: Vec<&str> = modes.into_iter().map(Mode::name).collect();
    let facts = format!(
        "{:.1} to {:.1} s   {} packets, {} of them damaged, {on_air:.1} s of sound   modes: {}",
        title.from,
        title.from + seconds,
        packets.len(),
        packets.iter().filter(|packet| packet.is_damaged()).count(),
        if modes.is_empty() { "none".into() } else { modes.join(", ") },
    );
    canvas.text(LEFT, 44, 1, DIM, &facts);
    let band = (0.0, (f64::from(rate) / 2.0).min(highest(&packets)));
    let step = span / across as f64;
    let columns = spectrogram((samples, rate), 0.004, band, rows * across, step);
    let shades = range(&columns);
    let strips = Rows { height: ROW, across, span, offset: title.from, band };
    for row in 0..rows {
        let scale = strips.scale(row);
        scale.draw_heat(&mut canvas, &columns[row * across..(row + 1) * across], shades);
        scale.draw_frequencies(&mut canvas);
        let top = scale.top + SPECTROGRAM;
        canvas.fill(LEFT, top + 2, across, LETTERS - 4, PANEL);
        for packet in &packets {
            let colour = if packet.is_damaged() { DAMAGED } else { READ };
            for block in packet.blocks.iter().filter(|block| block.stream < MOST_STREAMS) {
                draw_block(&mut canvas, &scale, block, colour);
            }
        }
        canvas.text(8, top + 4, 1, DIM, "text");
        scale.draw_times(&mut canvas, top + LETTERS);
    }
    Ok(canvas)
}

/// Seconds in a row, so that letters do not overlap: a letter has 7.8 dots in the middle.
fn easy(packets: &[Packet], across: usize) -> f64 {
    let blocks = packets.iter().flat_map(|packet| &packet.blocks);
    let written = blocks.filter(|block| !block.text.is_empty());
    let letter = written.map(|block| (block.end - block.start) / block.text.len() as f64);
    let shortest = letter.fold(f64::INFINITY, f64::min);
    let shortest = if shortest.is_finite() { shortest } else { 0.1 };
    shortest * across as f64 / LETTER as f64
}

fn highest(packets: &[Packet]) -> f64 {
    let highest = |packet: &Packet| match packet.mode {
        Mode::Plain => 3000.0,
        Mode::Cable => 17_500.0,
        Mode::Rescue | Mode::Room | Mode::Brisk | Mode::Fast => 10_000.0,
    };
    packets.iter().map(highest).fold(3000.0, f64::max)
}

fn draw_block(canvas: &mut Canvas, scale: &Scale, block: &Block, colour: Colour) {
    let top = scale.top + SPECTROGRAM + 4 + block.stream * (LETTER + 2);
    // Letters and the gaps behind them fill the block exactly.
    let dots: f64 = block.text.chars().map(units).sum();
    let dot = (block.end - block.start) / dots.max(1.0);
    let mut time = block.start;
    let mut free = 0;
    for letter in block.text.chars() {
        if let Some(x) = scale.x(time) {
            // Short letters push those behind them, which long ones make up for.
            let x = x.max(free).min(LEFT + scale.across - LETTER);
            canvas.text(x, top, 1, colour, letter.encode_utf8(&mut [0; 4]));
            free = x + LETTER;
        }
        time += units(letter) * dot;
    }
}

/// Dot lengths of a letter and the gap behind it.
fn units(letter: char) -> f64 {
    f64::from(Code::of(letter).map_or(0, Code::units) + 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipfi_morse::modem::{Modulator, Note};

    fn sound(mode: Mode, packets: &[&[u8]]) -> Vec<f32> {
        let mut modulator = Modulator::new(&Config::new(48_000)).unwrap();
        let mut sound = vec![0.0; 24_000];
        for packet in packets {
            modulator.send(packet, mode, Note::default()).unwrap();
            let start = sound.len();
            sound.resize(start + 48_000 * 60, 0.0);
            let count = modulator.poll_samples(&mut sound[start..]);
            sound.truncate(start + count + 4800);
        }
        sound
    }

    #[test]
    fn letters_stand_where_they_sound() {
        for mode in [Mode::Room, Mode::Rescue, Mode::Fast, Mode::Cable] {
            let sound = sound(mode, &[b"what hath God wrought", b"again"]);
            let packets = read((&sound, 48_000)).unwrap();
            let damaged = packets.iter().filter(|packet| packet.is_damaged()).count();
            assert_eq!((packets.len(), damaged), (2, 0), "{mode}");
            let first = &packets[0].blocks[0];
            let parameters = mode.parameters(&ipfi_morse::modem::Plain::default());
            // Half a second of silence, and the preamble.
            let due = 0.5 + parameters.preamble;
            assert!((first.start - due).abs() < parameters.dot / 2.0, "{mode}: {}", first.start);
            for block in packets.iter().flat_map(|packet| &packet.blocks) {
                let dots = (block.end - block.start) / parameters.dot;
                let units: f64 = block.text.chars().map(units).sum();
                // The last gap of a block may be cut short.
                assert!((units - dots).abs() < 3.5, "{mode}: {units} {dots} {block:?}");
            }
        }
    }

    #[test]
    fn a_packet_with_a_hole_is_drawn_as_damaged() {
        let mut sound = sound(Mode::Room, &[&[7; 60]]);
        let middle = sound.len() / 2;
        sound[middle..middle + 48_000].fill(0.0);
        let packets = read((&sound, 48_000)).unwrap();
        assert!(packets.len() == 1 && packets[0].is_damaged(), "{packets:?}");
    }

    #[test]
    fn odd_recordings_make_pictures_too() {
        let title = Title { name: "x".into(), from: 0.0, text: String::new() };
        for (samples, rate) in [(vec![], 8000), (vec![0.5], 192_000), (vec![0.0; 20], 8000)] {
            let mut png = Vec::new();
            draw((&samples, rate), &title, 400).unwrap().write_png(&mut png).unwrap();
            assert!(png.len() > 100);
        }
    }
}
