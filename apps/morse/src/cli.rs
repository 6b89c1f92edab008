//! The command line.

use std::io::{self, Write};

use clap::{CommandFactory, Parser, Subcommand};

use ipfi_morse::channel::Air;

use crate::{decode, devices, encode, exit, listen, plot, train};

const EXAMPLES: &str = "\
Examples:
  morse encode 'CQ CQ DE DL1ABC <AR>' --play
      from the keyboard to the loudspeaker
  morse encode - -o text.wav --wpm 25 < text.txt
      a text file as sound
  morse encode SOS --air snr=-6,fade=12/5 -o weak.wav
      as it comes through a bad band
  morse decode weak.wav
      what is in it
  morse listen
      read what the microphone hears
  morse plot weak.wav -o weak.png
      look at it
  morse train --koch 5 --wpm 20 --farnsworth 8
      learn the first five letters";

/// Morse by sound, for people: text to sound and sound to text.
#[derive(Debug, Parser)]
#[command(name = "morse", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(after_long_help = air())]
    Encode(encode::Encode),
    Devices(devices::Devices),
    Decode(decode::Decode),
    Listen(listen::Listen),
    Plot(plot::Plot),
    #[command(after_long_help = air())]
    Train(train::Train),
    /// Prints completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Prints the man page, or that of a command
    ///
    /// `morse man encode | man -l -` shows it.
    Man {
        /// Which command
        command: Option<String>,
    },
}

/// For the help: what the air can do.
fn air() -> String {
    let list: Vec<_> = Air::help().lines().map(|line| format!("  {line}")).collect();
    format!("What --air takes, with commas between:\n{}", list.join("\n"))
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Encode(encode) => encode.run(),
            Command::Devices(devices) => devices.run(),
            Command::Decode(decode) => decode.run(),
            Command::Listen(listen) => listen.run(),
            Command::Plot(plot) => plot.run(),
            Command::Train(train) => train.run(),
            Command::Completions { shell } => {
                // Not straight to standard output: the generator panics if nobody reads.
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "morse", &mut script);
                Ok(io::stdout().write_all(&script)?)
            }
            Command::Man { command } => {
                let page = ipfi_app::man(Self::command(), command.as_deref())?;
                Ok(io::stdout().write_all(&page)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_fits() {
        ipfi_app::testing::help_fits(Cli::command());
    }
}
