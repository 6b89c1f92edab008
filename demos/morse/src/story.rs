//! Two programs in one room, and somebody who listens.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use ipfi_morse::transport::Bystander;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::ear::{Ear, RATE, Reader};

/// What was said by the first telegraph between two towns.
pub(crate) const TEXT: &str = "What hath God wrought";
/// What is heard after the end.
const AFTER: Duration = Duration::from_millis(600);

#[derive(Debug, Args)]
pub(crate) struct Story {
    /// Goes through the simulated air although there is sound
    #[arg(long)]
    air: bool,

    /// How it sounds: plain, rescue, room, brisk, fast, cable, or auto
    #[arg(long, default_value = "room")]
    mode: String,

    /// What to say
    #[arg(default_value = TEXT)]
    text: String,

    /// Where the picture goes
    #[arg(long, default_value = "morse.png", value_name = "PNG")]
    picture: PathBuf,
}

impl Story {
    pub(crate) async fn tell(self) -> anyhow::Result<()> {
        let (mut ear, options) = self.medium().await?;
        let mut reader = Reader::new()?;
        let (_alice, mut alice) = start(&["listen", &format!("morse-listen:,{options}")])?;
        let caller = ["call", &self.text, &format!("morse:,{options}")];
        let (mut bob_itself, mut bob) = start(&caller)?;
        loop {
            tokio::select! {
                sound = ear.hear() => reader.read(&sound?),
                line = alice.next_line() => match line? {
                    Some(line) => reader.line("alice", &line),
                    None => anyhow::bail!("the listener has gone"),
                },
                line = bob.next_line() => match line? {
                    Some(line) => reader.line("bob", &line),
                    None => break,
                },
            }
        }
        ensure!(bob_itself.wait().await?.success(), "the call has failed");
        let rest = async {
            loop {
                reader.read(&ear.hear().await?);
            }
        };
        let _: Result<std::io::Result<()>, _> = tokio::time::timeout(AFTER, rest).await;
        draw(trim(&reader.sound), &self.text, &self.picture)?;
        reader.line("", &format!("the picture is {}", self.picture.display()));
        Ok(())
    }

    /// Where it takes place, and the options by which the programs find it.
    async fn medium(&self) -> anyhow::Result<(Ear, String)> {
        let mode = format!("mode={}", self.mode);
        #[cfg(feature = "audio")]
        if !self.air && has_sound() {
            println!("Two programs, and the sound of this machine.");
            return Ok((Ear::by_card(), mode));
        }
        let why = if self.air { "as you wish" } else { "since there is no sound here" };
        println!("Two programs, and an air that is simulated, {why}.");
        let name = format!("demo-{}", std::process::id());
        let bystander = Bystander::join(&name).await?;
        Ok((Ear::Air(bystander), format!("{mode},air={name}")))
    }
}

#[cfg(feature = "audio")]
fn has_sound() -> bool {
    use ipfi_morse::audio::{Direction, devices};
    let devices = devices();
    let has = |direction| devices.iter().any(|device| device.direction == direction);
    has(Direction::Capture) && has(Direction::Playback)
}

/// Another process of this program, and what it says. It ends with us.
fn start(arguments: &[&str]) -> anyhow::Result<(Child, Lines<BufReader<ChildStdout>>)> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("cannot start another process of this program")?;
    let output = child.stdout.take().context("it has no output")?;
    Ok((child, BufReader::new(output).lines()))
}

/// Without the silence before and after, but for a little.
fn trim(sound: &[f32]) -> &[f32] {
    let loudest = sound.iter().fold(0.0f32, |most, sample| most.max(sample.abs()));
    let is_loud = |sample: &f32| sample.abs() > loudest / 20.0;
    let margin = RATE as usize / 5;
    let start = sound.iter().position(is_loud).unwrap_or(0).saturating_sub(margin);
    let end = sound.iter().rposition(is_loud).map_or(sound.len(), |last| last + margin);
    sound.get(start..end.min(sound.len())).unwrap_or(sound)
}

fn draw(sound: &[f32], text: &str, path: &Path) -> anyhow::Result<()> {
    let name = format!("telegram(\"{text}\") by Morse");
    let picture = ipfi_morse_app::picture_of_packets((sound, RATE), &name, 1200)?;
    std::fs::write(path, picture).with_context(|| format!("cannot write {}", path.display()))
}
