//! Lines that come from another program.

use std::fmt;

/// The longest line that is read, in bytes, without its end.
pub const MAX_LINE: usize = 4096;

/// [`Clean`], without blanks around it.
pub(crate) fn clean(text: &str) -> String {
    Clean(text).to_string().trim().to_owned()
}

/// Text without control characters, which could play tricks with a terminal.
pub(crate) struct Clean<'a>(pub(crate) &'a str);

impl fmt::Display for Clean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().filter(|c| !c.is_control()).try_for_each(|c| fmt::Write::write_char(f, c))
    }
}
