use std::fmt;

use cpal::traits::{DeviceTrait, HostTrait};

use super::AudioError;

/// Builds a stream for the kind of samples that a device has. The kind is a type, so a function
/// cannot choose it.
macro_rules! build_by_format {
    ($supported:ident, $owner:ident.build($device:ident, $config:ident), $done:literal) => {
        match $supported.sample_format() {
            cpal::SampleFormat::I8 => $owner.build::<i8>($device, $config),
            cpal::SampleFormat::I16 => $owner.build::<i16>($device, $config),
            cpal::SampleFormat::I24 => $owner.build::<cpal::I24>($device, $config),
            cpal::SampleFormat::I32 => $owner.build::<i32>($device, $config),
            cpal::SampleFormat::U8 => $owner.build::<u8>($device, $config),
            cpal::SampleFormat::U16 => $owner.build::<u16>($device, $config),
            cpal::SampleFormat::U24 => $owner.build::<cpal::U24>($device, $config),
            cpal::SampleFormat::U32 => $owner.build::<u32>($device, $config),
            cpal::SampleFormat::F32 => $owner.build::<f32>($device, $config),
            cpal::SampleFormat::F64 => $owner.build::<f64>($device, $config),
            other => {
                let what = format!(concat!("samples of kind {} cannot be ", $done), other);
                Err(cpal::Error::with_message(cpal::ErrorKind::UnsupportedConfig, what))
            }
        }
    };
}
pub(super) use build_by_format;

/// Which way sound goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "in or out")]
pub enum Direction {
    /// From a microphone or radio.
    Capture,
    /// To a loudspeaker or radio.
    Playback,
}

impl fmt::Display for Direction {
    /// Completes "a device …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Capture => "to listen with",
            Self::Playback => "to play on",
        })
    }
}

/// A sound device, as a person chooses one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// The name to ask for it by.
    pub name: String,
    /// What the system calls it.
    pub description: String,
    /// Which way sound goes.
    pub direction: Direction,
    /// Whether it is taken if none is asked for.
    pub default: bool,
    /// Its own sample rate, in samples a second.
    pub rate: u32,
    /// Its own number of channels.
    pub channels: u16,
}

/// All devices that can be opened now, the default ones first. Empty on a machine without sound.
///
/// Each is opened and closed for it, which some drivers take a moment for.
#[must_use]
pub fn devices() -> Vec<Device> {
    quietly();
    let host = cpal::default_host();
    let mut found = Vec::new();
    for direction in [Direction::Capture, Direction::Playback] {
        let default = match direction {
            Direction::Capture => host.default_input_device(),
            Direction::Playback => host.default_output_device(),
        };
        let default_name = default.as_ref().map(name);
        let listed = host.devices().into_iter().flatten();
        let others = listed.filter(|device| Some(name(device)) != default_name);
        for device in default.iter().cloned().chain(others) {
            if let Ok(config) = config(&device, direction) {
                let name = name(&device);
                found.push(Device {
                    description: device.to_string(),
                    direction,
                    default: Some(&name) == default_name.as_ref(),
                    name,
                    rate: config.sample_rate(),
                    channels: config.channels(),
                });
            }
        }
    }
    found
}

/// The device of that name, or the default one, with the configuration it prefers.
///
/// A name is what [`devices`] says, or any part of a name or description that only one has.
pub(super) fn open(
    wanted: Option<&str>,
    direction: Direction,
) -> Result<(cpal::Device, cpal::SupportedStreamConfig, String), AudioError> {
    quietly();
    let host = cpal::default_host();
    let device = match wanted {
        Some(wanted) => find(&host, wanted, direction)?,
        None => match direction {
            Direction::Capture => host.default_input_device(),
            Direction::Playback => host.default_output_device(),
        }
        .ok_or_else(|| AudioError::NoDevice { direction, cause: "there is none".into() })?,
    };
    let name = name(&device);
    match config(&device, direction) {
        Ok(config) => Ok((device, config, name)),
        // A machine without sound still has a default device; it cannot be opened.
        Err(error) if wanted.is_none() => {
            Err(AudioError::NoDevice { direction, cause: error.to_string() })
        }
        Err(error) => Err(super::failure_of(&name, &error)),
    }
}

fn find(host: &cpal::Host, wanted: &str, direction: Direction) -> Result<cpal::Device, AudioError> {
    let devices: Vec<_> = host.devices().into_iter().flatten().collect();
    if let Some(exact) = devices.iter().find(|device| name(device) == wanted) {
        return Ok(exact.clone());
    }
    let lower = wanted.to_lowercase();
    let has = |device: &&cpal::Device| {
        let text = format!("{} {device}", name(device)).to_lowercase();
        text.contains(&lower) && config(device, direction).is_ok()
    };
    let mut matching = devices.iter().filter(has);
    let unknown = || AudioError::UnknownDevice { name: wanted.into(), direction };
    let first = matching.next().ok_or_else(unknown)?;
    let others: Vec<_> = matching.map(name).collect();
    if others.is_empty() {
        return Ok(first.clone());
    }
    let matches = format!("{}, {}", name(first), others.join(", "));
    Err(AudioError::AmbiguousDevice { name: wanted.into(), direction, matches })
}

fn name(device: &cpal::Device) -> String {
    device.id().map_or_else(|_| device.to_string(), |id| id.id().to_owned())
}

fn config(
    device: &cpal::Device,
    direction: Direction,
) -> Result<cpal::SupportedStreamConfig, cpal::Error> {
    match direction {
        Direction::Capture => device.default_input_config(),
        Direction::Playback => device.default_output_config(),
    }
}

/// How the device is to be opened: as it prefers, but with blocks of about 40 ms. What systems
/// choose themselves is short enough to stutter on a busy machine.
pub(super) fn blocks(supported: &cpal::SupportedStreamConfig) -> cpal::StreamConfig {
    let mut config = supported.config();
    if let cpal::SupportedBufferSize::Range { min, max } = *supported.buffer_size() {
        let wanted = (config.sample_rate / 25).next_power_of_two();
        config.buffer_size = cpal::BufferSize::Fixed(wanted.min(max).max(min));
    }
    config
}

/// Keeps the ALSA library from writing to the terminal what our errors say better.
fn quietly() {
    #[cfg(target_os = "linux")]
    {
        // Of this thread only; without it there is noise, no harm.
        let _ = alsa::Output::local_error_handler();
    }
}
