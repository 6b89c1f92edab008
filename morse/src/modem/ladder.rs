//! Which mode to use, by how well packets arrive.

use super::demodulator::Packet;
use super::mode::Mode;

/// Steps the mode of two stations up and down, each station for what it hears.
///
/// The receiver knows how well packets arrive, so it says in each of its own which mode it wants
/// ([`wish`](Self::wish)); the sender follows one step with each packet.
///
/// ```
/// use ipfi_morse::modem::{Ladder, Mode};
/// let mut ladder = Ladder::new(Mode::Room);
/// assert_eq!((ladder.wish(), ladder.mode()), (Mode::Room, Mode::Room));
/// ladder.asked(Some(Mode::Fast)); // by the other side
/// assert_eq!(ladder.mode(), Mode::Brisk);
/// ladder.missed(Mode::Room); // a packet had too many errors
/// ladder.missed(Mode::Room);
/// assert_eq!(ladder.wish(), Mode::Rescue);
/// ```
#[derive(Clone, Debug)]
pub struct Ladder {
    highest: Mode,
    mode: Mode,
    wish: Mode,
    /// Packets in a row that had room to spare, and how many it takes to wish for each mode.
    good: u32,
    patience: [u32; Mode::ALL.len()],
    /// How badly packets have arrived lately; it fades with those that arrive well.
    bad: u32,
    /// Packets that arrived well since the mode last changed.
    held: u32,
    /// Packets that the other side may get before it is asked how they arrive.
    burst: u32,
    /// There is another side; and it has said nothing since this one began to talk.
    has_heard: bool,
    waits: bool,
    /// How often this station talked and heard nothing.
    unanswered: u32,
}

/// A step up has to leave so much of the margin, dB.
const SPARE_DB: f32 = 3.0;
const MOST_BURST: u32 = 8;
const LEAST_PATIENCE: u32 = 1;
const MOST_PATIENCE: u32 = 64;
/// What a lost packet and one that hardly arrived count, and how much is too much: of two lost in a
/// row a slower mode would have lost none, but of one in three it is not worth its price.
const LOST: u32 = 2;
const STRAINED: u32 = 1;
const TOO_BAD: u32 = 4;
/// Percent of what can be corrected.
const STRAIN: usize = 80;
/// After so many packets that arrived well it is forgotten that a mode once failed.
const HELD: u32 = 16;

impl Ladder {
    /// Begins with a mode.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self {
            highest: Mode::Cable,
            mode,
            wish: mode,
            good: 0,
            patience: [LEAST_PATIENCE; Mode::ALL.len()],
            bad: 0,
            held: 0,
            burst: 1,
            has_heard: false,
            waits: false,
            unanswered: 0,
        }
    }

    /// Never above this mode.
    #[must_use]
    pub fn up_to(mut self, highest: Mode) -> Self {
        self.highest = highest;
        self
    }

    /// The mode to send with.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// How many packets to send before the other side gets its turn: few where the mode is new, so
    /// that its wish is known soon.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// The mode that the other side should send with: goes into each packet.
    #[must_use]
    pub fn wish(&self) -> Mode {
        self.wish
    }

    /// The other side wants this mode: one step towards it.
    pub fn asked(&mut self, wish: Option<Mode>) {
        let Some(wish) = wish.map(|wish| wish.min(self.highest)) else { return };
        let index = self.mode.index();
        let next = match wish.cmp(&self.mode) {
            std::cmp::Ordering::Greater => index + 1,
            std::cmp::Ordering::Less => index - 1,
            std::cmp::Ordering::Equal => index,
        };
        self.burst = if next == index { (self.burst * 2).min(MOST_BURST) } else { 1 };
        self.mode = Mode::ALL.get(next).copied().unwrap_or(self.mode);
    }

    /// A packet has arrived: takes its wish, and learns from how well it arrived.
    pub fn heard(&mut self, packet: &Packet) {
        self.asked(packet.wish);
        (self.has_heard, self.waits, self.unanswered) = (true, false, 0);
        if packet.strain > STRAIN {
            self.spoiled(packet.mode, STRAINED);
            return;
        }
        self.bad = self.bad.saturating_sub(1);
        self.held += 1;
        if self.held.is_multiple_of(HELD) {
            let patience = &mut self.patience[packet.mode.index()];
            *patience = (*patience / 4).max(LEAST_PATIENCE);
        }
        let Some(next) = self.above(packet.mode) else { return };
        let spare = packet.margin_db - cost_db(packet.mode, next);
        if packet.strain < 25 && spare >= SPARE_DB {
            self.good += 1;
            if self.good >= self.patience[next.index()] {
                self.good = 0;
                self.wish = next;
            }
        } else {
            self.good = 0;
            self.wish = self.wish.min(packet.mode);
        }
    }

    /// This station begins to talk. If it has done so before and heard nothing since, an answer is
    /// missing: in a mode far too fast nobody would notice that there was a packet at all.
    pub fn begin(&mut self) {
        if self.waits {
            // Nobody knows which direction is at fault.
            self.unanswered += 1;
            if self.unanswered.is_multiple_of(2) {
                self.mode = below(self.mode);
                self.burst = 1;
                self.lower(self.wish);
            }
        }
        self.waits = self.has_heard;
    }

    /// A packet had too many errors.
    pub fn missed(&mut self, mode: Mode) {
        self.spoiled(mode, LOST);
        if self.mode > self.wish {
            // The wish may not come through where the other side's packets do not.
            self.mode = below(self.mode);
            self.burst = 1;
        }
    }

    fn spoiled(&mut self, mode: Mode, by: u32) {
        self.good = 0;
        self.bad += by;
        if self.bad >= TOO_BAD {
            self.bad = 0;
            self.lower(mode);
        }
    }

    /// Wishes for less than `mode`, and does not try it again soon.
    fn lower(&mut self, mode: Mode) {
        let lower = below(mode);
        if lower < self.wish {
            self.wish = lower;
            self.held = 0;
            let patience = &mut self.patience[mode.index()];
            *patience = (*patience * 4).min(MOST_PATIENCE);
        }
    }

    fn above(&self, mode: Mode) -> Option<Mode> {
        let next = Mode::ALL.get(mode.index() + 1).copied();
        next.filter(|&next| mode != Mode::Plain && next <= self.highest)
    }
}

/// Plain is for people, and slower than rescue: nobody is led there.
fn below(mode: Mode) -> Mode {
    if mode == Mode::Plain { mode } else { Mode::ALL[mode.index().max(2) - 1] }
}

/// By how much less a dot stands out in another mode, dB: its length, and the power shared.
fn cost_db(from: Mode, to: Mode) -> f32 {
    let energy = |mode: Mode| {
        let shape = super::Config::new(super::mode::RATE).shape(mode);
        shape.dot as f32 / shape.streams as f32
    };
    10.0 * (energy(from) / energy(to)).log10()
}
