//! `morse`: Morse by sound, for people. Text to sound and sound to text, from the keyboard to the
//! loudspeaker, from the microphone to the screen, to and from WAV files.

use std::process::ExitCode;

use clap::Parser;

mod cli;
mod devices;
mod encode;
mod exit;
mod sending;
mod sink;
mod train;

fn main() -> ExitCode {
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
