//! Echoes of a room: heard before, and taken away.
//!
//! A room lets each mark sound on, and what sounds on adds to the next mark or cancels it. To a
//! tone at zero frequency the room is a filter of complex taps, and the keying is what goes into
//! it: once most of the keying is known, least squares tell the taps, and what the taps make of
//! the keying that has been can be subtracted (a decision-feedback equaliser, Austin 1967). The
//! sound that is left is read anew, which tells the keying better, and so on.
//!
//! Most transmitters key one oscillator, so that all marks have the phase of one carrier. Many
//! programs begin each mark anew, so that each has a phase of its own: then phases and taps are
//! found in turns, each from the other. Both are tried, and the likelier is kept.

use rustfft::FftPlanner;
use rustfft::num_complex::{Complex32, Complex64};

use crate::detector::Baseband;

/// Length of a tap, seconds.
const TAP: f64 = 0.008;
/// Taps while the keying is being looked for: a third of a second of echo.
pub(crate) const TAPS: usize = 40;
/// Taps once it is known.
pub(crate) const ALL_TAPS: usize = 56;
/// How far the tone may still be off, Hz.
const SPAN_HZ: f64 = 10.0;
/// How much more of the sound the keying must explain with echoes than without, for there to be any.
const WORTH: f64 = 1.25;
/// With less, there is no use in looking for another keying with echoes.
const LEAST_GAIN: f64 = 0.6;
/// With less than this part left unexplained by keying alone, no echo is worth the search.
const PLAIN: f64 = 0.04;
/// With more than this part left unexplained, it is another tone.
const STRANGE: f64 = 0.7;
/// With less than this part left unexplained by marks of one carrier, they are that.
const ONE_CARRIER: f64 = 0.03;
/// The weight of "there is no echo", against that of the keying, and how it grows with delay.
const RIDGE: f64 = 0.004;
const FADES: f64 = 0.12;
/// How often phases and taps are found in turns at most, and what each turn must gain.
const TURNS: usize = 8;
const GAINED: f64 = 0.99;

/// A tone without its echoes.
#[derive(Debug)]
pub(crate) struct Dry {
    pub base: Baseband,
    /// The part of its power that neither the keying nor its echoes explain, nor noise.
    pub rest: f64,
    /// The same part if there were no echoes.
    pub alone: f64,
    /// How many times more would be left to explain if there were no echoes.
    pub gain: f64,
    /// How many times more than noise is left if there were no echoes: the most that could be gained.
    pub most: f64,
    /// The likelihood of it all, `ln`, to compare readings of the same sound.
    pub fit: f64,
}

impl Dry {
    /// Whether there may be echoes, if not of this keying.
    pub(crate) fn suspicious(&self) -> bool {
        self.alone > PLAIN && self.most > WORTH && self.gain > LEAST_GAIN
    }

    /// Whether this keying explains so little that it is none, or another tone's.
    pub(crate) fn strange(&self) -> bool {
        self.rest > STRANGE
    }

    /// Whether there are echoes, and of this keying.
    pub(crate) fn echoes(&self) -> bool {
        self.gain > WORTH && self.alone > PLAIN && !self.strange()
    }
}

/// A mark, in blocks of a tap's length: the part of each block in which the key was down.
#[derive(Debug)]
struct Mark {
    from: usize,
    key: Vec<f64>,
}

impl Mark {
    fn new((start, end): (f64, f64), count: usize) -> Self {
        let from = start.max(0.0) as usize;
        let to = (end.ceil() as usize).min(count);
        let part = |i: usize| (end.min(i as f64 + 1.0) - start.max(i as f64)).max(0.0);
        Self { from, key: (from..to).map(part).collect() }
    }

    fn blocks(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.key.iter().enumerate().map(|(i, part)| (self.from + i, *part))
    }

    /// What the key lets through of a signal.
    fn of(&self, heard: &[Complex64]) -> Complex64 {
        self.blocks().map(|(i, part)| heard[i] * part).sum()
    }
}

/// The sound in blocks, and the marks that are said to be in it.
struct Blocks<'a> {
    base: &'a Baseband,
    /// Frames to a block.
    per: usize,
    heard: Vec<Complex64>,
    marks: Vec<Mark>,
    /// Energy of the noise.
    noise: f64,
    /// Blocks from the first mark to the end of the last.
    told: f64,
    /// How many taps the room has.
    taps: usize,
}

/// An explanation of the blocks by the marks: at what turn a block, with what phases, in what room.
struct Explained {
    turn: f64,
    phases: Vec<Complex64>,
    room: Room,
    /// How many numbers were free, besides the taps.
    free: f64,
}

/// The tone without the echoes of what was keyed, stretches in seconds; `None` if that is too
/// little to tell them.
pub(crate) fn without(
    base: &Baseband,
    keyed: &[(f64, f64)],
    stretch: f64,
    taps: usize,
) -> Option<Dry> {
    let blocks = Blocks::new(base, keyed, stretch, taps)?;
    let span = SPAN_HZ * TAP;
    let kept = blocks.of_one_carrier(span)?;
    let all: f64 = blocks.heard.iter().map(Complex64::norm_sqr).sum();
    let best = if blocks.part(kept.room.rest, all) < ONE_CARRIER {
        kept
    } else {
        match blocks.of_marks_anew(span) {
            Some(anew) if blocks.fit(&anew) > blocks.fit(&kept) => anew,
            _ => kept,
        }
    };
    Some(blocks.dry(&best))
}

impl<'a> Blocks<'a> {
    fn new(base: &'a Baseband, keyed: &[(f64, f64)], stretch: f64, taps: usize) -> Option<Self> {
        let tap = TAP * stretch;
        let per = ((tap / base.frame_seconds).round() as usize).max(1);
        let seconds = per as f64 * base.frame_seconds;
        let count = base.frames.len() / per;
        if count < 2 * taps || keyed.is_empty() {
            return None;
        }
        let marks: Vec<Mark> =
            keyed.iter().map(|k| Mark::new((k.0 / seconds, k.1 / seconds), count)).collect();
        let heard = base
            .frames
            .chunks_exact(per)
            .map(|part| {
                let sum: Complex32 = part.iter().sum();
                Complex64::new(f64::from(sum.re), f64::from(sum.im)) / per as f64
            })
            .collect();
        let noise = base.noise.iter().map(|n| f64::from(*n)).sum::<f64>()
            / (base.noise.len().max(1) * per) as f64
            * count as f64;
        let reach = |(a, b): (f64, f64), k: &(f64, f64)| (a.min(k.0), b.max(k.1));
        let span = keyed.iter().fold((f64::INFINITY, 0.0_f64), reach);
        let told = ((span.1 - span.0) / seconds).max(1.0);
        Some(Self { base, per, heard, marks, noise, told, taps })
    }

    /// The part of the power, beside noise, that is left.
    fn part(&self, left: f64, all: f64) -> f64 {
        ((left - self.noise) / (all - self.noise).max(f64::MIN_POSITIVE)).max(0.0)
    }

    /// How likely an explanation is, `ln`; each number that was free costs what it gains by chance
    /// (Schwarz, Annals of Statistics 6, 1978).
    fn fit(&self, explained: &Explained) -> f64 {
        let count = self.heard.len() as f64;
        let left = explained.room.rest.max(self.noise).max(f64::MIN_POSITIVE);
        // The edges of the marks were chosen too.
        let free = explained.free + (self.taps + 2 * self.marks.len()) as f64;
        -count * left.ln() - free * 0.5 * count.ln()
    }

    /// The blocks turned to zero frequency.
    fn turned(&self, turn: f64) -> Vec<Complex64> {
        self.heard.iter().zip(turning(0.0, -turn)).map(|(z, by)| z * by).collect()
    }

    /// What goes into the room: the marks with their phases.
    fn sent(&self, phases: &[Complex64]) -> Vec<Complex64> {
        let mut sent = vec![Complex64::default(); self.heard.len()];
        for (mark, phase) in self.marks.iter().zip(phases) {
            for (i, part) in mark.blocks() {
                sent[i] += phase * part;
            }
        }
        sent
    }

    /// Marks that are parts of one carrier.
    fn of_one_carrier(&self, span: f64) -> Option<Explained> {
        let phases = vec![Complex64::new(1.0, 0.0); self.marks.len()];
        let sent = self.sent(&phases);
        let turn = line(&sent, &self.heard, span) * std::f64::consts::TAU;
        let room = Room::of(&sent, &self.turned(turn), self.taps)?;
        Some(Explained { turn, phases, room, free: 0.0 })
    }

    /// Marks of which each begins with a phase of its own.
    fn of_marks_anew(&self, span: f64) -> Option<Explained> {
        let mut turn = self.turn_within(&self.heard).clamp(-span, span) * std::f64::consts::TAU;
        let mut heard = self.turned(turn);
        let unit =
            |z: Complex64| if z.norm() > 0.0 { z / z.norm() } else { Complex64::new(1.0, 0.0) };
        // The phase of its steps is that of the direct sound, echoes or not.
        let at = |i: usize| heard[i.min(heard.len() - 1)];
        let steps = |m: &Mark| {
            let last = m.from + m.key.len().max(1) - 1;
            let inside = |i: usize| at(i.clamp(m.from, last));
            let rise = inside(m.from + 1) - at(m.from.saturating_sub(1));
            let fall = inside(last.saturating_sub(1)) - at(last + 1);
            unit(rise + fall)
        };
        let mut phases: Vec<Complex64> = self.marks.iter().map(steps).collect();
        let mut room = Room::of(&self.sent(&phases), &heard, self.taps)?;
        for _ in 0..TURNS {
            let mut next = phases.clone();
            let left = self.rephase(&mut next, &room, &heard);
            // What is left of each mark, beside the direct sound of it, still turns if the pitch is
            // not exact.
            let direct: Vec<Complex64> = left
                .iter()
                .zip(self.sent(&next))
                .map(|(left, sent)| (left + sent * room.taps[0]) * sent.conj())
                .collect();
            let off = self.turn_within(&direct) * std::f64::consts::TAU;
            let turn_next = turn + 0.5 * off;
            let heard_next = self.turned(turn_next);
            for (mark, phase) in self.marks.iter().zip(&mut next) {
                let middle = mark.from as f64 + 0.5 * mark.key.len() as f64;
                *phase *= Complex64::from_polar(1.0, -0.5 * off * middle);
            }
            let room_next = Room::of(&self.sent(&next), &heard_next, self.taps)?;
            let better = room_next.rest < GAINED * room.rest;
            if room_next.rest < room.rest {
                (turn, heard, phases, room) = (turn_next, heard_next, next, room_next);
            }
            if !better {
                break;
            }
        }
        Some(Explained { turn, free: phases.len() as f64, phases, room })
    }

    /// How far a signal turns from block to block within marks, turns.
    fn turn_within(&self, signal: &[Complex64]) -> f64 {
        let shortest = self.marks.iter().map(|m| m.key.len()).min().unwrap_or(1);
        let lag = (shortest / 2).max(1);
        let mut turn = Complex64::default();
        for mark in &self.marks {
            for (i, part) in mark.blocks().skip(lag) {
                turn += signal[i] * signal[i - lag].conj() * part * mark.key[i - lag - mark.from];
            }
        }
        turn.arg() / std::f64::consts::TAU / lag as f64
    }

    /// Finds the phase of each mark from what no other mark explains in this room; returns what
    /// none explains.
    fn rephase(
        &self,
        phases: &mut [Complex64],
        room: &Room,
        heard: &[Complex64],
    ) -> Vec<Complex64> {
        let mut left = heard.to_vec();
        let count = left.len();
        let answers: Vec<Vec<Complex64>> = self
            .marks
            .iter()
            .map(|mark| {
                let length = (mark.key.len() + self.taps - 1).min(count - mark.from);
                let mut answer = vec![Complex64::default(); length];
                for (at, part) in mark.key.iter().enumerate() {
                    for (answer, tap) in answer[at..].iter_mut().zip(&room.taps) {
                        *answer += tap * part;
                    }
                }
                answer
            })
            .collect();
        let take = |left: &mut [Complex64], from: usize, answer: &[Complex64], by: Complex64| {
            for (left, answer) in left[from..].iter_mut().zip(answer) {
                *left -= answer * by;
            }
        };
        for ((mark, answer), phase) in self.marks.iter().zip(&answers).zip(&*phases) {
            take(&mut left, mark.from, answer, *phase);
        }
        for _ in 0..2 {
            for ((mark, answer), phase) in self.marks.iter().zip(&answers).zip(phases.iter_mut()) {
                let own: f64 = answer.iter().map(Complex64::norm_sqr).sum();
                let near = left[mark.from..].iter().zip(answer);
                let z = near.map(|(z, a)| z * a.conj()).sum::<Complex64>() + *phase * own;
                if z.norm() > 0.0 {
                    let next = z / z.norm();
                    take(&mut left, mark.from, answer, next - *phase);
                    *phase = next;
                }
            }
        }
        left
    }

    /// The energy that is left if there are no echoes, be every mark of what level and phase it
    /// likes: fading is no echo.
    fn alone(&self, all: f64, turn: f64) -> f64 {
        let heard = self.turned(turn);
        let told: f64 = self
            .marks
            .iter()
            .map(|mark| {
                let own: f64 = mark.key.iter().map(|part| part * part).sum();
                mark.of(&heard).norm_sqr() / own.max(f64::MIN_POSITIVE)
            })
            .sum();
        (all - told).max(0.0)
    }

    /// The frames without the echoes, the tone at exactly zero frequency.
    fn dry(&self, explained: &Explained) -> Dry {
        let Room { taps, rest } = &explained.room;
        let all: f64 = self.heard.iter().map(Complex64::norm_sqr).sum();
        let alone = self.alone(all, explained.turn);
        // Taps and phases explain some noise, each as much as a block or half of one has.
        let chance = |free: f64| (1.0 - free / self.told).max(1e-3);
        let free = self.taps as f64 + 0.5 * explained.free;
        let expected = chance(free) / chance(self.marks.len() as f64);
        let gain = alone * expected / rest.max(f64::MIN_POSITIVE);
        let sent = self.sent(&explained.phases);
        let count = sent.len();
        let echoes: Vec<Complex64> =
            taps.iter().enumerate().map(|(k, tap)| if k > 0 { *tap } else { 0.0.into() }).collect();
        let echo = filtered(&sent, &echoes);
        let mut dry = self.base.clone();
        let per_frame = explained.turn / self.per as f64;
        let turns = turning((0.5 * self.per as f64 - 0.5) * per_frame, -per_frame);
        for ((i, z), turn) in dry.frames.iter_mut().enumerate().zip(turns) {
            // Between the middles of blocks by straight lines.
            let at = (i as f64 + 0.5) / self.per as f64 - 0.5;
            let low = (at.max(0.0) as usize).min(count - 1);
            let high = (low + 1).min(count - 1);
            let part = (at - low as f64).clamp(0.0, 1.0);
            let here = echo[low] * (1.0 - part) + echo[high] * part;
            let heard = Complex64::new(f64::from(z.re), f64::from(z.im)) * turn - here;
            *z = Complex32::new(heard.re as f32, heard.im as f32);
        }
        let most = alone / self.noise.max(f64::MIN_POSITIVE);
        let (rest, alone) = (self.part(*rest, all), self.part(alone, all));
        Dry { base: dry, rest, alone, gain, most, fit: self.fit(explained) }
    }
}

/// What turns by `step` each time, radians, from `begin` on.
fn turning(begin: f64, step: f64) -> impl Iterator<Item = Complex64> {
    /// A sine and cosine after so many, so that errors do not grow.
    const EXACT: usize = 64;
    let by = Complex64::from_polar(1.0, step);
    let mut now = Complex64::default();
    (0..).map(move |i: usize| {
        now = if i.is_multiple_of(EXACT) {
            Complex64::from_polar(1.0, begin + step * i as f64)
        } else {
            now * by
        };
        now
    })
}

/// How far the marks are from zero frequency, turns a block: the line of their carrier.
fn line(sent: &[Complex64], heard: &[Complex64], span: f64) -> f64 {
    let size = (4 * heard.len()).next_power_of_two();
    let mut line: Vec<Complex64> = sent.iter().zip(heard).map(|(s, z)| z * s.conj()).collect();
    line.resize(size, Complex64::default());
    FftPlanner::new().plan_fft_forward(size).process(&mut line);
    let reach = ((span * size as f64) as usize).min(size / 2 - 1);
    let (mut best, mut at) = (0.0, 0.0);
    for bin in 0..=2 * reach {
        let signed = bin as f64 - reach as f64;
        let power = line[(bin + size - reach) % size].norm_sqr();
        if power > best {
            (best, at) = (power, signed);
        }
    }
    at / size as f64
}

/// A room, as a filter of what is sent.
struct Room {
    taps: Vec<Complex64>,
    /// The energy that they do not explain.
    rest: f64,
}

impl Room {
    /// The room under which what is sent explains best what is heard.
    fn of(sent: &[Complex64], heard: &[Complex64], taps: usize) -> Option<Self> {
        let own = correlated(sent, sent, taps);
        let told = correlated(sent, heard, taps);
        let mut matrix = vec![vec![Complex64::default(); taps]; taps];
        for (i, row) in matrix.iter_mut().enumerate() {
            for (j, cell) in row.iter_mut().enumerate().take(i + 1) {
                *cell = own[i - j];
            }
            row[i] += own[0] * RIDGE * (i as f64 * TAP / FADES).exp();
        }
        let found = solve(matrix, &told)?;
        let made = filtered(sent, &found);
        let rest = heard.iter().zip(&made).map(|(z, made)| (z - made).norm_sqr()).sum();
        Some(Self { taps: found, rest })
    }
}

/// How much of `heard` is what was sent so many blocks before, for each lag below `lags`.
fn correlated(sent: &[Complex64], heard: &[Complex64], lags: usize) -> Vec<Complex64> {
    let mut out = vec![Complex64::default(); lags];
    // Lag by lag in the inner loop, so that vectors hold it; the key is up half of the time.
    for (i, s) in sent.iter().enumerate().filter(|(_, s)| s.norm_sqr() > 0.0) {
        let s = s.conj();
        for (out, z) in out.iter_mut().zip(&heard[i..]) {
            *out += z * s;
        }
    }
    out
}

/// What is sent, heard through taps.
fn filtered(sent: &[Complex64], taps: &[Complex64]) -> Vec<Complex64> {
    let mut out = vec![Complex64::default(); sent.len()];
    for (i, s) in sent.iter().enumerate().filter(|(_, s)| s.norm_sqr() > 0.0) {
        for (out, tap) in out[i..].iter_mut().zip(taps) {
            *out += tap * s;
        }
    }
    out
}

/// Solves a Hermitian positive system, of which the lower half is given, by Cholesky's
/// decomposition.
fn solve(mut a: Vec<Vec<Complex64>>, b: &[Complex64]) -> Option<Vec<Complex64>> {
    let n = b.len();
    for i in 0..n {
        for j in 0..=i {
            let known: Complex64 = (0..j).map(|k| a[i][k] * a[j][k].conj()).sum();
            let sum = a[i][j] - known;
            if i == j {
                if sum.re <= 0.0 {
                    return None;
                }
                a[i][i] = sum.re.sqrt().into();
            } else {
                a[i][j] = sum / a[j][j].re;
            }
        }
    }
    let mut x = b.to_vec();
    for i in 0..n {
        let sum: Complex64 = (0..i).map(|k| x[k] * a[i][k]).sum();
        x[i] = (x[i] - sum) / a[i][i].re;
    }
    for i in (0..n).rev() {
        let sum: Complex64 = (i + 1..n).map(|k| x[k] * a[k][i].conj()).sum();
        x[i] = (x[i] - sum) / a[i][i].re;
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_keeps_to_the_sine() {
        for (i, z) in turning(0.7, -0.013).take(20_000).enumerate() {
            let exact = Complex64::from_polar(1.0, 0.7 - 0.013 * i as f64);
            assert!((z - exact).norm() < 1e-10, "{i}: {z}");
        }
    }
}
