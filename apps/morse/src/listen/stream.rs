//! Sound as it comes: from a device, or from a file at its own pace.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::source::Recording;

/// What has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Samples,
    /// So many samples are missing here, at least.
    #[cfg_attr(not(feature = "audio"), expect(dead_code, reason = "files have no gaps"))]
    Gap(u64),
    End,
}

#[derive(Debug)]
pub(super) enum Stream {
    #[cfg(feature = "audio")]
    Device(Box<ipfi_morse::audio::Capture>),
    File {
        recording: Recording,
        begin: Instant,
        read: u64,
        ended: bool,
    },
}

/// Samples a second that a device is heard with: enough for any tone that people key by hand.
#[cfg(feature = "audio")]
const RATE: u32 = 12_000;

impl Stream {
    #[cfg(feature = "audio")]
    pub(super) fn device(name: Option<&str>, channel: Option<u16>) -> anyhow::Result<Self> {
        use ipfi_morse::wav::Channel;

        let channel = channel.map_or(Channel::Mix, Channel::One);
        let capture = ipfi_morse::audio::Capture::open(name, RATE, channel)?;
        Ok(Self::Device(Box::new(capture)))
    }

    #[cfg(not(feature = "audio"))]
    pub(super) fn device(_: Option<&str>, _: Option<u16>) -> anyhow::Result<Self> {
        let what = "this `morse` was built without sound cards: use `--file FILE`";
        Err(crate::exit::Usage(what).into())
    }

    pub(super) fn file(path: &Path, channel: Option<u16>) -> anyhow::Result<Self> {
        let recording = Recording::open(path, channel)?;
        Ok(Self::File { recording, begin: Instant::now(), read: 0, ended: false })
    }

    pub(super) fn rate(&self) -> u32 {
        match self {
            #[cfg(feature = "audio")]
            Self::Device(_) => RATE,
            Self::File { recording, .. } => recording.rate(),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            #[cfg(feature = "audio")]
            Self::Device(capture) => capture.device(),
            Self::File { recording, .. } => recording.name(),
        }
    }

    /// Waits for sound and appends it.
    pub(super) fn read(&mut self, samples: &mut Vec<f32>) -> anyhow::Result<Piece> {
        match self {
            #[cfg(feature = "audio")]
            Self::Device(capture) => Ok(match capture.read(samples)? {
                ipfi_morse::audio::Captured::Samples => Piece::Samples,
                ipfi_morse::audio::Captured::Gap { samples } => Piece::Gap(samples),
            }),
            Self::File { recording, begin, read, ended } => {
                if *ended {
                    return Ok(Piece::End);
                }
                let rate = recording.rate();
                samples.resize(rate as usize / 20, 0.0); // as a device would: 50 ms
                let got = recording.read(samples)?;
                *ended = got < samples.len();
                samples.truncate(got);
                *read += got as u64;
                let due = *begin + Duration::from_secs_f64(*read as f64 / f64::from(rate));
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                Ok(Piece::Samples)
            }
        }
    }
}
