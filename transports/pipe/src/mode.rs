//! Permissions, as `chmod` takes them.

use ipfi_transport::OptionValue;

/// Permissions of a file in octal digits, as in `chmod 600`.
///
/// ```
/// use ipfi_pipe::Mode;
/// use ipfi_transport::OptionValue;
///
/// assert_eq!(Mode::parse("0660"), Ok(Mode(0o660)));
/// assert!(Mode::parse("rw").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a mode is a number")]
pub struct Mode(pub u32);

impl OptionValue for Mode {
    const PLACEHOLDER: &'static str = "MODE";

    fn parse(text: &str) -> Result<Self, String> {
        let octal = text.bytes().all(|b| matches!(b, b'0'..=b'7'));
        match u32::from_str_radix(text, 8) {
            Ok(mode) if octal && mode <= 0o7777 => Ok(Self(mode)),
            Ok(_) | Err(_) => Err("octal permissions, as in 600 or 0660".into()),
        }
    }
}

impl From<Mode> for rustix::fs::Mode {
    fn from(mode: Mode) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "twelve bits; 16 hold a mode on BSD")]
        Self::from_raw_mode(mode.0 as rustix::fs::RawMode)
    }
}
