//! `morse`: Morse by sound, for people. Text to sound and sound to text, from the keyboard to the
//! loudspeaker, from the microphone to the screen, to and from WAV files.
//!
//! This library is the whole program. Of it other programs have [`picture_of_packets`].

#![allow(clippy::cast_precision_loss, reason = "counts of samples and pixels stay far below 2^24")]

use std::process::ExitCode;

use clap::Parser;

mod cli;
mod decode;
mod devices;
mod encode;
mod events;
mod exit;
mod listen;
mod plot;
mod sending;
mod sink;
mod source;
mod spectrum;
mod train;

pub use plot::picture_of_packets;

/// The program: reads the command line, and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has seen enough.
        Err(error) if exit::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("morse: {error:#}");
            exit::code(&error)
        }
    }
}
