//! Exit codes. They are part of the interface: scripts act on them.

use std::io;
use std::process::ExitCode;

use ipfi_app::NoCommand;
use ipfi_morse::channel::AirError;
use ipfi_morse::synth::SynthError;
use ipfi_morse::text::TextError;
use ipfi_morse::timing::TimingError;
use ipfi_morse::wav::WavError;

/// For the help: what the exit codes mean.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  a file could not be read or written, or something else failed
  2  the command line is wrong, or a text that cannot be sent
  3  no sound: no device, or it failed";

pub(crate) fn code(error: &anyhow::Error) -> ExitCode {
    #[cfg(feature = "audio")]
    if error.is::<ipfi_morse::audio::AudioError>() {
        return 3.into();
    }
    let usage = error.is::<AirError>()
        || error.is::<SynthError>()
        || error.is::<TextError>()
        || error.is::<TimingError>()
        || error.is::<NoCommand>()
        || error.is::<Usage>();
    if usage { 2.into() } else { ExitCode::FAILURE }
}

/// A command line that clap cannot see to be wrong.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) &'static str);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Usage {}

pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        let wav = cause.downcast_ref::<WavError>();
        matches!(wav, Some(WavError::Io(error)) if broken(error))
            || cause.downcast_ref::<io::Error>().is_some_and(broken)
    })
}
