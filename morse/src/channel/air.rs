use std::str::FromStr;

use super::AirError;
use crate::synth::Tone;

/// What the air is like. [`Air::default`] changes nothing.
///
/// Written as text, the parts are separated by commas and their numbers by slashes:
/// `snr=-6,rayleigh=0.3,morse=800/26/-6,room=0.5/3`; see [`Air::help`].
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "made by hand, with ..Air::default()")]
pub struct Air {
    /// The level at which the wanted signal enters with its key down, in dB below full scale. All
    /// other levels refer to it.
    pub level_db: f64,
    /// Tone over noise in 2500 Hz, dB. `None` is no noise.
    pub snr_db: Option<f64>,
    /// The colour of that noise.
    pub noise: NoiseColour,
    /// How the signal comes and goes.
    pub fading: Fading,
    /// How fast the pitch rises, Hz/s.
    pub drift: f64,
    /// How many hertz too high each mark begins.
    pub chirp: f64,
    /// How long it takes a mark to come within a third (1/e) of that, seconds.
    pub chirp_seconds: f64,
    /// The room between loudspeaker and microphone.
    pub room: Option<Room>,
    /// What others add.
    pub disturbances: Vec<Disturbance>,
    /// A gain behind all that, dB.
    pub gain_db: f64,
    /// Clips at so many dB over the peak of the wanted signal (negative: clips the signal itself).
    pub clip_db: Option<f64>,
    /// A constant added, as part of full scale.
    pub dc: f64,
    /// By how many parts in a million the receiver's clock is fast.
    pub ppm: f64,
    /// Pieces that the receiver loses.
    pub dropouts: Option<Dropouts>,
}

/// The colour of noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoiseColour {
    /// The same density everywhere.
    #[default]
    White,
    /// 3 dB less density for each octave up; as strong as white noise from 300 to 2800 Hz.
    Pink,
}

/// How a signal comes and goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Fading {
    /// It stays.
    #[default]
    None,
    /// Like a sine: from full level down by `depth_db` and back within `period` seconds.
    Sine {
        /// The depth in dB.
        depth_db: f64,
        /// The period in seconds.
        period: f64,
    },
    /// Rayleigh fading with a Gaussian Doppler spectrum (Watterson's model): power and phase
    /// wander, the mean power is that without fading.
    Rayleigh {
        /// The Doppler spread in hertz: twice the standard deviation (ITU-R F.1487).
        spread: f64,
    },
}

/// A room, as its impulse response: the direct sound, then a random tail that dies exponentially.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the two numbers that rooms are described by")]
pub struct Room {
    /// The time in which the tail falls by 60 dB, seconds.
    pub rt60: f64,
    /// The energy of the direct sound over that of the tail, dB.
    pub drr_db: f64,
}

/// Something that others add. Levels are in dB relative to the wanted signal with its key down.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Disturbance {
    /// A steady tone.
    Carrier {
        /// Its pitch, hertz.
        hz: f64,
        /// Its level.
        level_db: f64,
    },
    /// Another station that sends random groups of letters and digits without end.
    Morse {
        /// Its pitch, hertz.
        hz: f64,
        /// Its speed, words per minute.
        wpm: f64,
        /// Its level.
        level_db: f64,
    },
    /// Crackling.
    Clicks {
        /// How many a second, on the average.
        per_second: f64,
        /// The level of their peaks, on the average.
        level_db: f64,
    },
    /// The hum of mains and its harmonics.
    Hum {
        /// 50 or 60 Hz.
        hz: f64,
        /// Its level.
        level_db: f64,
    },
    /// Somebody speaks: pulses of a voice through formants, syllable after syllable.
    Voice {
        /// The level while a vowel sounds.
        level_db: f64,
    },
}

/// Pieces that a receiver loses, as a sound card does on a busy machine.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "made by hand")]
pub struct Dropouts {
    /// How many a minute, on the average.
    pub per_minute: f64,
    /// The shortest, seconds.
    pub shortest: f64,
    /// The longest, seconds.
    pub longest: f64,
    /// Whether the samples are missing (an overrun), or there and silent.
    pub lost: bool,
}

impl Default for Air {
    fn default() -> Self {
        Self {
            level_db: Tone::default().level_db,
            snr_db: None,
            noise: NoiseColour::White,
            fading: Fading::None,
            drift: 0.0,
            chirp: 0.0,
            chirp_seconds: 0.03,
            room: None,
            disturbances: Vec::new(),
            gain_db: 0.0,
            clip_db: None,
            dc: 0.0,
            ppm: 0.0,
            dropouts: None,
        }
    }
}

/// Keys and how they are written, in the order in which they are shown.
const USAGE: &[(&str, &str, &str)] = &[
    ("snr", "snr=DB", "noise; tone over noise in 2500 Hz"),
    ("pink", "pink", "the noise is pink, not white"),
    ("fade", "fade=DB/SECONDS", "fading like a sine, so deep, with that period"),
    ("rayleigh", "rayleigh=HZ", "Rayleigh fading with that Doppler spread"),
    ("drift", "drift=HZ", "the pitch rises so much in a second"),
    ("chirp", "chirp=HZ", "each mark begins so much too high"),
    ("room", "room=RT60/DRR", "echoes: seconds for 60 dB, direct over them in dB"),
    ("carrier", "carrier=HZ/DB", "a steady tone, relative to the signal"),
    ("morse", "morse=HZ/WPM/DB", "another station"),
    ("clicks", "clicks=RATE/DB", "so many a second"),
    ("hum", "hum=HZ/DB", "mains and its harmonics"),
    ("voice", "voice=DB", "somebody speaks"),
    ("gain", "gain=DB", "louder or softer, with all that is added"),
    ("clip", "clip=DB", "clipping, relative to the peak of the signal"),
    ("dc", "dc=PART", "an offset, as part of full scale"),
    ("ppm", "ppm=PARTS", "the receiver's clock is fast, parts in a million"),
    ("drop", "drop=RATE/SHORTEST/LONGEST", "silent pieces: how many a minute, seconds"),
    ("lose", "lose=RATE/SHORTEST/LONGEST", "missing pieces: how many a minute, seconds"),
];

impl Air {
    pub(super) const KEYS: &str = "snr, pink, fade, rayleigh, drift, chirp, room, carrier, morse, \
        clicks, hum, voice, gain, clip, dc, ppm, drop, lose";

    /// The keys with their meaning, one to a line, for help texts.
    #[must_use]
    pub fn help() -> String {
        let lines: Vec<_> =
            USAGE.iter().map(|(_, usage, meaning)| format!("{usage:<27} {meaning}")).collect();
        lines.join("\n")
    }

    /// The amplitude of the wanted signal, as part of full scale.
    pub(super) fn amplitude(&self) -> f64 {
        amplitude(self.level_db)
    }

    /// Says which number is out of range.
    pub(super) fn check(&self, rate: u32) -> Result<(), AirError> {
        let top = f64::from(rate) * 0.45;
        range("a sample rate of", f64::from(rate), 1e3, 768e3)?;
        range("a level of", self.level_db, -120.0, 0.0)?;
        range("an SNR of", self.snr_db.unwrap_or(0.0), -60.0, 120.0)?;
        match self.fading {
            Fading::None => {}
            Fading::Sine { depth_db, period } => {
                range("a fading depth of", depth_db, 0.0, 120.0)?;
                range("a fading period of", period, 0.01, 1e4)?;
            }
            Fading::Rayleigh { spread } => range("a Doppler spread of", spread, 1e-3, 100.0)?,
        }
        range("a drift of", self.drift, -1e3, 1e3)?;
        range("a chirp of", self.chirp, -1e3, 1e3)?;
        range("a chirp time of", self.chirp_seconds, 1e-3, 1.0)?;
        if let Some(Room { rt60, drr_db }) = self.room {
            range("a reverberation time of", rt60, 0.01, 10.0)?;
            range("a direct-to-reverberant ratio of", drr_db, -40.0, 60.0)?;
        }
        for disturbance in &self.disturbances {
            let level_db = match *disturbance {
                Disturbance::Carrier { hz, level_db } => {
                    range("a carrier of", hz, 1.0, top)?;
                    level_db
                }
                Disturbance::Morse { hz, wpm, level_db } => {
                    range("a station's tone of", hz, 20.0, top)?;
                    range("a station's speed of", wpm, 1.0, hz.min(2400.0))?;
                    level_db
                }
                Disturbance::Clicks { per_second, level_db } => {
                    range("a click rate of", per_second, 0.0, 1e3)?;
                    level_db
                }
                Disturbance::Hum { hz, level_db } => {
                    range("a mains frequency of", hz, 1.0, 400.0)?;
                    level_db
                }
                Disturbance::Voice { level_db } => level_db,
            };
            range("a disturbance's level of", level_db, -120.0, 60.0)?;
        }
        range("a gain of", self.gain_db, -120.0, 60.0)?;
        range("a clipping level of", self.clip_db.unwrap_or(0.0), -60.0, 120.0)?;
        range("an offset of", self.dc, -1.0, 1.0)?;
        range("a clock error of", self.ppm, -1e5, 1e5)?;
        if let Some(Dropouts { per_minute, shortest, longest, .. }) = self.dropouts {
            range("a drop-out rate of", per_minute, 0.0, 600.0)?;
            range("a shortest drop-out of", shortest, 0.0, 60.0)?;
            range("a longest drop-out of", longest, shortest, 60.0)?;
        }
        Ok(())
    }

    fn set(&mut self, item: &str) -> Result<(), AirError> {
        let (key, value) = item.split_once('=').unwrap_or((item, ""));
        let Some(&(_, usage, _)) = USAGE.iter().find(|(name, ..)| *name == key) else {
            return Err(AirError::Key { key: key.into() });
        };
        let numbers = value.split('/').filter(|_| !value.is_empty()).map(|number| {
            let fault = |_| AirError::Number { value: number.into(), item: item.into() };
            number.trim().parse::<f64>().map_err(fault)
        });
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        let lost = key == "lose";
        match (key, numbers.as_slice()) {
            ("snr", &[db]) => self.snr_db = Some(db),
            ("pink", &[]) => self.noise = NoiseColour::Pink,
            ("fade", &[depth_db, period]) => self.fading = Fading::Sine { depth_db, period },
            ("rayleigh", &[spread]) => self.fading = Fading::Rayleigh { spread },
            ("drift", &[hz]) => self.drift = hz,
            ("chirp", &[hz]) => self.chirp = hz,
            ("room", &[rt60, drr_db]) => self.room = Some(Room { rt60, drr_db }),
            ("carrier", &[hz, level_db]) => self.add(Disturbance::Carrier { hz, level_db }),
            ("morse", &[hz, wpm, level_db]) => self.add(Disturbance::Morse { hz, wpm, level_db }),
            ("clicks", &[per_second, level_db]) => {
                self.add(Disturbance::Clicks { per_second, level_db });
            }
            ("hum", &[hz, level_db]) => self.add(Disturbance::Hum { hz, level_db }),
            ("voice", &[level_db]) => self.add(Disturbance::Voice { level_db }),
            ("gain", &[db]) => self.gain_db = db,
            ("clip", &[db]) => self.clip_db = Some(db),
            ("dc", &[part]) => self.dc = part,
            ("ppm", &[ppm]) => self.ppm = ppm,
            ("drop" | "lose", &[per_minute, shortest, longest]) => {
                self.dropouts = Some(Dropouts { per_minute, shortest, longest, lost });
            }
            _ => return Err(AirError::Usage { item: item.into(), usage }),
        }
        Ok(())
    }

    fn add(&mut self, disturbance: Disturbance) {
        self.disturbances.push(disturbance);
    }
}

/// The amplitude of a level in dB.
pub(super) fn amplitude(db: f64) -> f64 {
    10f64.powf(db / 20.0)
}

fn range(name: &'static str, value: f64, min: f64, max: f64) -> Result<(), AirError> {
    // NaN is in no range.
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(AirError::Range { name, value, min, max })
    }
}

impl FromStr for Air {
    type Err = AirError;

    fn from_str(text: &str) -> Result<Self, AirError> {
        let mut air = Self::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            air.set(item)?;
        }
        Ok(air)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_and_listed() {
        let keys: Vec<_> = USAGE.iter().map(|(key, ..)| *key).collect();
        assert_eq!(keys.join(", "), Air::KEYS);
        for (key, usage, _) in USAGE {
            let numbers = usage.matches('/').count() + usize::from(usage.contains('='));
            let item = match numbers {
                0 => (*key).to_string(),
                n => {
                    format!("{key}={}", vec![if *key == "morse" { "20" } else { "1" }; n].join("/"))
                }
            };
            let air: Air = item.parse().unwrap();
            assert_ne!(air, Air::default(), "{item}");
            assert_eq!(air.check(8000), Ok(()), "{item}");
            let more = format!("{item}{}1", if numbers == 0 { '=' } else { '/' });
            let error = more.parse::<Air>().unwrap_err().to_string();
            assert_eq!(error, format!("`{more}` is not complete: write {usage}"));
        }
        assert_eq!("".parse::<Air>(), Ok(Air::default()));
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let message = |text: &str| text.parse::<Air>().unwrap_err().to_string();
        assert!(message("snow=3").starts_with("there is no `snow` in the air: choose from snr, "));
        assert_eq!(message("snr=loud"), "`loud` in `snr=loud` is not a number");
        let range = |text: &str| text.parse::<Air>().unwrap().check(8000).unwrap_err().to_string();
        assert_eq!(range("snr=200"), "an SNR of 200 is out of range: choose from -60 to 120");
        assert!(range("snr=nan").contains("an SNR of NaN"));
        assert!(range("carrier=5000/0").contains("from 1 to 3600"));
        assert!(range("drop=1/3/2").contains("a longest drop-out of 2"));
        assert!(Air::default().check(0).is_err());
    }
}
