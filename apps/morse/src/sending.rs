//! How text is sent: the options that `encode` and `train` share, and the way from text to sound.

use clap::{Args, ValueEnum};
use ipfi_morse::channel::{Air, Channel};
use ipfi_morse::keyer::{Fist, Keyer};
use ipfi_morse::synth::{Synth, Tone};
use ipfi_morse::text::Token;
use ipfi_morse::timing::Timing;

/// Samples rendered at once.
const BLOCK: usize = 1024;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "How it is sent")]
pub(crate) struct Sending {
    /// Speed of the letters in words per minute (PARIS)
    #[arg(long, default_value_t = 20.0, value_name = "WPM", allow_negative_numbers = true)]
    pub(crate) wpm: f64,

    /// Longer gaps, until words come at this speed (Farnsworth)
    #[arg(long, value_name = "WPM", allow_negative_numbers = true)]
    farnsworth: Option<f64>,

    /// Pitch in hertz
    #[arg(long, default_value_t = 600.0, value_name = "HZ", allow_negative_numbers = true)]
    tone: f64,

    /// Share of the mark in a dot and the gap after it, in percent
    #[arg(long, default_value_t = 50.0, value_name = "PERCENT", allow_negative_numbers = true)]
    weight: f64,

    /// Loudness in dB below full scale
    #[arg(long, default_value_t = -6.0, value_name = "DB", allow_negative_numbers = true)]
    level: f64,

    /// Sends as a person does: with a straight key, a bug, a paddle, or hurriedly
    #[arg(long, value_enum, value_name = "FIST")]
    fist: Option<FistName>,

    /// What the air does to it, such as `snr=-6,fade=12/5`; --help lists all
    #[arg(
        long,
        value_name = "AIR",
        long_help = "What the air does to it, such as `snr=-6,fade=12/5`"
    )]
    air: Option<Air>,

    /// Number that all chances come from: the same number, the same chances
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Samples a second
    #[arg(long, default_value_t = ipfi_morse::synth::DEFAULT_RATE, value_name = "HZ")]
    pub(crate) rate: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FistName {
    Straight,
    Bug,
    Paddle,
    Sloppy,
}

impl FistName {
    fn fist(self) -> Fist {
        match self {
            Self::Straight => Fist::straight(),
            Self::Bug => Fist::bug(),
            Self::Paddle => Fist::paddle(),
            Self::Sloppy => Fist::sloppy(),
        }
    }
}

impl Sending {
    /// A station that sends so, or what is wrong with it.
    pub(crate) fn station(&self) -> anyhow::Result<Station> {
        let seed = self.seed.unwrap_or(1);
        let mut timing = Timing::new(self.wpm)?;
        if let Some(effective) = self.farnsworth {
            timing = timing.farnsworth(effective)?;
        }
        let timing = timing.weight(self.weight)?;
        let tone = Tone { hz: self.tone, level_db: self.level, edge: None };
        // Says at once what is out of range.
        Synth::new([], &tone, timing.dot(), self.rate)?;
        let channel = match &self.air {
            Some(air) => {
                let air = Air { level_db: self.level, ..air.clone() };
                Some(Channel::new(&air, self.rate, seed)?)
            }
            None => None,
        };
        let fist = self.fist.map(FistName::fist);
        Ok(Station { timing, tone, rate: self.rate, fist, seed, channel })
    }
}

/// Somebody who sends, and the air around.
#[derive(Debug)]
pub(crate) struct Station {
    timing: Timing,
    tone: Tone,
    rate: u32,
    fist: Option<Fist>,
    seed: u64,
    channel: Option<Channel>,
}

impl Station {
    pub(crate) fn timing(&self) -> Timing {
        self.timing
    }

    /// Sends tokens, block after block.
    pub(crate) fn send(
        &mut self,
        tokens: &[Token],
        mut hear: impl FnMut(&[f32]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut keyer = Keyer::new(tokens.iter().copied(), self.timing);
        if let Some(fist) = self.fist {
            keyer = keyer.with_fist(fist, self.seed);
            self.seed = self.seed.wrapping_add(1); // the next text is not sent just alike
        }
        let mut synth = Synth::new(keyer, &self.tone, self.timing.dot(), self.rate)?;
        let mut block = [0.0; BLOCK];
        loop {
            let n = synth.render(&mut block);
            self.through_air(&block[..n], &mut hear)?;
            if n < block.len() {
                return Ok(());
            }
        }
    }

    /// Keeps silent, but for what the air adds.
    pub(crate) fn wait(
        &mut self,
        seconds: f64,
        mut hear: impl FnMut(&[f32]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let mut samples = (seconds * f64::from(self.rate)).round() as usize;
        while samples > 0 {
            let n = samples.min(BLOCK);
            self.through_air(&[0.0; BLOCK][..n], &mut hear)?;
            samples -= n;
        }
        Ok(())
    }

    fn through_air(
        &mut self,
        samples: &[f32],
        hear: &mut impl FnMut(&[f32]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match &mut self.channel {
            None => hear(samples),
            Some(channel) => {
                let mut heard = Vec::with_capacity(samples.len());
                channel.process(samples, &mut heard);
                hear(&heard)
            }
        }
    }
}
