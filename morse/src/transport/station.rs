//! A modem with its manners: it does not listen to itself, and says when somebody is on the air.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::desk::{Desk, Now};
use crate::modem::{Config, ConfigError, Demodulator, Event, Ladder, Mode, Modulator, Note};

/// How the mode is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Fixed(Mode),
    /// By what arrives, beginning with this one.
    Ladder(Mode),
}

impl Choice {
    pub(crate) fn first(self) -> Mode {
        let (Self::Fixed(mode) | Self::Ladder(mode)) = self;
        mode
    }

    /// The packets of a burst at most: few in a mode that is new, so that its wish is known soon.
    pub(crate) fn burst(self, ladder: u32) -> u32 {
        if matches!(self, Self::Fixed(_)) { u32::MAX } else { ladder }
    }
}

/// Peak to peak noise added to what is heard, about 80 dB below full scale. In the perfect silence
/// of a cable between programs the faintest leakage of a tone would look like a tone.
const HISS: f32 = 3e-4;

/// How many of its packets a station knows again when it hears them.
const ECHOES: usize = 16;

/// Sound in, sound out; packets on the [`Desk`].
#[expect(clippy::struct_excessive_bools, reason = "each is independent of the others")]
#[derive(Debug)]
pub(crate) struct Station {
    desk: Desk,
    modulator: Modulator,
    demodulator: Demodulator,
    choice: Choice,
    ladder: Ladder,
    rate: u32,
    /// Own packets on their way to the air, and samples that they take.
    left: u64,
    /// Samples until the packet that arrives is complete.
    hearing: u64,
    sounds: bool,
    hears: bool,
    /// Samples between handing sound over and hearing it: of silence before the first, which a
    /// transmitter needs, and of own sound after the last.
    lead: u64,
    lag: u64,
    leading: u64,
    lagging: u64,
    /// Whether it hears while it sends: in another band.
    full_duplex: bool,
    /// Whether letters are shown as they are sent and read.
    shows: bool,
    /// Where packets of this channel are changed so that the checks of others fail on them.
    channel: u64,
    /// Own packets that may still echo. No two packets of a link are the same in both directions.
    sent: VecDeque<Vec<u8>>,
    dither: fastrand::Rng,
    noisy: Vec<f32>,
    /// A listener's only turn, given back when the station is off the air.
    turn: Option<OwnedSemaphorePermit>,
}

impl Station {
    pub(crate) fn new(
        sends: &Config,
        hears: &Config,
        choice: Choice,
        desk: Desk,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            desk,
            modulator: Modulator::new(sends)?,
            demodulator: Demodulator::new(hears)?,
            choice,
            ladder: Ladder::new(choice.first()),
            rate: sends.rate,
            left: 0,
            hearing: 0,
            sounds: false,
            hears: false,
            lead: 0,
            lag: 0,
            leading: 0,
            lagging: 0,
            full_duplex: false,
            shows: false,
            channel: 0,
            sent: VecDeque::with_capacity(ECHOES),
            dither: fastrand::Rng::with_seed(1),
            noisy: Vec::new(),
            turn: None,
        })
    }

    /// What a sound card adds: silence before the first sample, and after the last one until it
    /// has been heard.
    #[cfg(feature = "audio")]
    pub(crate) fn delays(mut self, lead: Duration, lag: Duration) -> Self {
        let samples = |time: Duration| time.as_micros() as u64 * u64::from(self.rate) / 1_000_000;
        (self.lead, self.lag) = (samples(lead), samples(lag));
        self
    }

    /// Goes on listening while it sends: what it hears is not itself.
    pub(crate) fn full_duplex(mut self) -> Self {
        self.full_duplex = true;
        self
    }

    /// Writes letters to the standard error as they sound.
    pub(crate) fn show(mut self, shows: bool) -> Self {
        self.shows = shows;
        self
    }

    /// Keeps a listener's turn for as long as it lives.
    pub(crate) fn holding(mut self, turn: Option<OwnedSemaphorePermit>) -> Self {
        self.turn = turn;
        self
    }

    /// Takes in only packets of this channel.
    pub(crate) fn channel(mut self, name: &str) -> Self {
        // FNV-1a.
        let hash = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        self.channel = name.bytes().fold(0xcbf2_9ce4_8422_2325, hash);
        self
    }

    /// Turns a packet of this channel into one for the air, and back.
    fn tune(&self, packet: &mut [u8]) {
        let mut random = fastrand::Rng::with_seed(self.channel);
        for byte in packet {
            *byte ^= random.u8(..);
        }
    }

    /// Whether this station is on the air: the transmitter is keyed for as long.
    #[cfg(feature = "audio")]
    pub(crate) fn is_sending(&self) -> bool {
        self.sounds
    }

    /// Whether there is nothing left to do.
    pub(crate) fn is_over(&self) -> bool {
        self.desk.is_left() && !self.sounds
    }

    /// There will be no more sound.
    pub(crate) fn end(&self, why: String) {
        self.desk.end(why);
    }

    /// Takes what was heard and fills `out` with what is to sound.
    pub(crate) fn step(&mut self, heard: &[f32], out: &mut [f32]) {
        if !self.sounds || self.full_duplex {
            self.noisy.clear();
            for sample in heard {
                let noise = self.dither.f32() - 0.5;
                self.noisy.push(sample + HISS * noise);
            }
            self.demodulator.receive(&self.noisy);
        }
        while let Some(event) = self.demodulator.poll_event() {
            self.hear(event);
        }
        self.take_packets();
        self.sound(out);
        self.letters();
        self.hearing = self.hearing.saturating_sub(heard.len() as u64);
        self.desk.set(Now {
            carrier: self.sounds || self.hears,
            mode: self.mode(),
            burst: self.choice.burst(self.ladder.burst()),
            sending: self.time(self.left),
            hearing: self.time(self.hearing),
        });
    }

    fn time(&self, samples: u64) -> Duration {
        Duration::from_micros(samples * 1_000_000 / u64::from(self.rate))
    }

    fn mode(&self) -> Mode {
        match self.choice {
            Choice::Fixed(mode) => mode,
            Choice::Ladder(_) => self.ladder.mode(),
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Packet(packet) if self.sent.contains(&packet.bytes) => self.hearing = 0,
            Event::Packet(mut packet) => {
                self.hearing = 0;
                self.ladder.heard(&packet);
                self.tune(&mut packet.bytes);
                self.desk.deliver(packet);
                if self.shows {
                    eprintln!();
                }
            }
            Event::BadPacket { mode, .. } => {
                self.hearing = 0;
                self.ladder.missed(mode);
                self.desk.missed();
                if self.shows {
                    eprintln!(" (lost)");
                }
            }
            Event::Carrier(hears) => self.hears = hears,
            Event::Begin { mode, seconds, .. } => {
                self.hearing = (seconds * f64::from(self.rate)) as u64;
                if self.shows {
                    eprint!("\n<- {mode}, {seconds:.1} s: ");
                }
            }
            Event::Letters { text, .. } if self.shows => eprint!("{text} "),
            Event::Letters { .. } => {}
        }
    }

    fn take_packets(&mut self) {
        while let Some((mode, mut packet)) = self.desk.next() {
            self.tune(&mut packet);
            if self.sent.len() == ECHOES {
                self.sent.pop_front();
            }
            self.sent.push_back(packet.clone());
            if !self.sounds {
                self.ladder.begin();
            }
            let note = Note { wish: Some(self.ladder.wish()), tag: 0 };
            // The link was told how long a packet may be.
            if self.modulator.send(&packet, mode, note).is_err() {
                continue;
            }
            let seconds = self.modulator.duration(packet.len(), mode);
            self.left += (seconds * f64::from(self.rate)) as u64;
            if self.shows {
                eprint!("\n-> {mode}, {seconds:.1} s: ");
            }
            if !self.sounds {
                self.sounds = true;
                self.leading = self.lead;
                self.lagging = self.lag.max(1);
            }
        }
    }

    fn sound(&mut self, out: &mut [f32]) {
        let silent = (self.leading as usize).min(out.len());
        self.leading -= silent as u64;
        let (silence, rest) = out.split_at_mut(silent);
        silence.fill(0.0);
        let count = self.modulator.poll_samples(rest);
        self.left = self.left.saturating_sub(count as u64);
        let after = rest.get_mut(count..).unwrap_or_default();
        after.fill(0.0);
        if count > 0 || silent > 0 {
            self.lagging = self.lag;
        } else if self.sounds {
            self.lagging = self.lagging.saturating_sub(after.len() as u64);
            if self.lagging == 0 {
                self.sounds = false;
                self.left = 0;
                if !self.full_duplex {
                    // What it heard meanwhile was itself.
                    self.hears = false;
                    self.demodulator.reset();
                }
            }
        }
    }

    fn letters(&mut self) {
        while let Some(letter) = self.modulator.poll_letter() {
            if self.shows && letter.letter != '=' {
                eprint!("{}", letter.letter);
            }
        }
    }
}
