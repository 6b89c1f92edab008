//! `morse devices`: what there is to listen with and to play on.

use clap::Args;

/// Lists the sound devices of this machine.
#[derive(Debug, Args)]
pub(crate) struct Devices {
    /// One JSON object for each device, on a line of its own
    #[arg(long)]
    json: bool,
}

impl Devices {
    #[cfg(not(feature = "audio"))]
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let _ = self.json;
        Err(crate::exit::Usage("this `morse` was built without sound cards").into())
    }

    #[cfg(feature = "audio")]
    pub(crate) fn run(self) -> anyhow::Result<()> {
        use std::io::Write;

        use ipfi_morse::audio::{AudioError, Device, Direction, devices};

        let devices = devices();
        if devices.is_empty() && !self.json {
            let cause = "no device can be opened".to_owned();
            return Err(AudioError::NoDevice { direction: Direction::Playback, cause }.into());
        }
        let mut out = std::io::stdout().lock();
        let width = devices.iter().map(|device| device.name.chars().count()).max().unwrap_or(0);
        let mut shown = None;
        for device in &devices {
            let Device { name, description, rate, channels, .. } = device;
            if self.json {
                let direction = match device.direction {
                    Direction::Capture => "capture",
                    Direction::Playback => "playback",
                };
                let line = serde_json::json!({
                    "name": name, "description": description, "direction": direction,
                    "default": device.default, "rate": rate, "channels": channels,
                });
                writeln!(out, "{line}")?;
                continue;
            }
            if shown != Some(device.direction) {
                let empty = if shown.is_some() { "\n" } else { "" };
                writeln!(out, "{empty}Devices {}:", device.direction)?;
                shown = Some(device.direction);
            }
            let mark = if device.default { '*' } else { ' ' };
            let description = description.replace('\n', ", ");
            writeln!(out, "{mark} {name:<width$}  {rate} Hz, {channels} ch, {description}")?;
        }
        if !self.json {
            writeln!(out, "\n* is taken if no --device is given")?;
        }
        Ok(())
    }
}
