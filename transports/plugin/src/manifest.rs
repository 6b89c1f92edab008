//! What `ipfi-transport-NAME describe` prints.

use std::{fmt, str::FromStr};

use ipfi_transport::{Address, OptionSpec, Properties, is_name};

use crate::text::{Clean, MAX_LINE, clean};

/// The first line, without the version.
const MAGIC: &str = "ipfi-transport";
/// The version of the protocol that this crate speaks.
const VERSION: &str = "1";
/// The most that is read, in bytes.
pub const MAX_MANIFEST: usize = 64 << 10;

/// What a plug-in says of itself.
///
/// [`Display`](fmt::Display) writes what [`FromStr`] reads:
///
/// ```text
/// ipfi-transport 1
/// summary a tunnel through a web proxy
/// reliable yes
/// exclusive no
/// endless no
/// listens yes
/// example connect:host:22,proxy=localhost:3128
/// option proxy - Asks this proxy for the tunnel.
/// option timeout 10s Waits for the proxy's answer this long.
/// ```
///
/// The first line must be there; any other may be missing, and means what it means in
/// [`Manifest::new`]. Lines that start with an unknown word are ignored, so that old programs
/// understand new plug-ins. The default of an option is one word: `-` for none, and else as in
/// an address, so that a space is `%20` and a hyphen alone `%2D`.
///
/// ```
/// use ipfi_plugin::Manifest;
///
/// let text = "ipfi-transport 1\nsummary tin cans\noption string 5m Its length.\n";
/// let manifest: Manifest = text.parse()?;
/// assert_eq!(manifest.summary, "tin cans");
/// assert_eq!(manifest.options[0].default, "5m");
/// # Ok::<(), ipfi_plugin::ManifestError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// One line.
    pub summary: String,
    /// What its streams are like.
    pub properties: Properties,
    /// Whether `listen` is worth trying.
    pub listens: bool,
    /// Addresses to copy.
    pub examples: Vec<String>,
    /// Every option.
    pub options: Vec<OptionSpec>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self::new()
    }
}

impl Manifest {
    /// Nothing is known: it may listen, and its streams are reliable, many, and end.
    #[must_use]
    pub fn new() -> Self {
        Self {
            summary: String::new(),
            properties: Properties::new(true, false),
            listens: true,
            examples: Vec::new(),
            options: Vec::new(),
        }
    }

    fn line(&mut self, line: &str) -> Result<(), ManifestError> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "summary" => self.summary = clean(rest),
            "reliable" => self.properties.reliable = yes_or_no(word, rest)?,
            "exclusive" => self.properties.exclusive = yes_or_no(word, rest)?,
            "endless" => self.properties.endless = yes_or_no(word, rest)?,
            "listens" => self.listens = yes_or_no(word, rest)?,
            "example" => self.examples.push(clean(rest)),
            "option" => self.options.push(self.option(rest)?),
            _ => {} // From a later version.
        }
        Ok(())
    }

    fn option(&self, line: &str) -> Result<OptionSpec, ManifestError> {
        let bad = || ManifestError::BadOption { line: Clean(line).to_string() };
        let (key, rest) = line.split_once(' ').ok_or_else(bad)?;
        let (default, help) = rest.trim_start().split_once(' ').unwrap_or((rest, ""));
        if !is_name(key) || default.is_empty() || self.options.iter().any(|o| o.key == key) {
            return Err(bad());
        }
        let default = match default {
            "-" => String::new(),
            default => unescape(default).ok_or_else(bad)?,
        };
        Ok(OptionSpec::new(key, "VALUE", &default, &clean(help)))
    }
}

impl FromStr for Manifest {
    type Err = ManifestError;

    fn from_str(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MAX_MANIFEST {
            return Err(ManifestError::TooLong);
        }
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        match first.split_once(' ') {
            Some((MAGIC, VERSION)) => {}
            Some((MAGIC, version)) => {
                return Err(ManifestError::Version { version: Clean(version).to_string() });
            }
            _ => return Err(ManifestError::NotAPlugin { line: Clean(first).to_string() }),
        }
        let mut manifest = Self::new();
        for line in lines {
            if line.len() > MAX_LINE {
                return Err(ManifestError::LineTooLong);
            }
            manifest.line(line.trim())?;
        }
        Ok(manifest)
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes = |yes| if yes { "yes" } else { "no" };
        writeln!(f, "{MAGIC} {VERSION}")?;
        writeln!(f, "summary {}", Clean(&self.summary))?;
        writeln!(f, "reliable {}", yes(self.properties.reliable))?;
        writeln!(f, "exclusive {}", yes(self.properties.exclusive))?;
        writeln!(f, "endless {}", yes(self.properties.endless))?;
        writeln!(f, "listens {}", yes(self.listens))?;
        for example in &self.examples {
            writeln!(f, "example {}", Clean(example))?;
        }
        for OptionSpec { key, default, help, .. } in &self.options {
            writeln!(f, "option {key} {} {}", Escaped(default), Clean(help))?;
        }
        Ok(())
    }
}

fn yes_or_no(word: &str, value: &str) -> Result<bool, ManifestError> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(ManifestError::BadSwitch { word: word.into(), value: Clean(value).to_string() }),
    }
}

/// A default, as one word.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => return f.write_str("-"),
            "-" => return f.write_str("%2D"),
            _ => {}
        }
        for c in self.0.chars() {
            let mut bytes = [0; 4];
            match c {
                c if c == '%' || c == ',' || c.is_whitespace() || c.is_control() => {
                    for byte in c.encode_utf8(&mut bytes).bytes() {
                        write!(f, "%{byte:02X}")?;
                    }
                }
                c => fmt::Write::write_char(f, c)?,
            }
        }
        Ok(())
    }
}

/// What [`Escaped`] writes is what an address has as its location.
fn unescape(word: &str) -> Option<String> {
    let address: Address = format!("x:{word}").parse().ok()?;
    address.options.is_empty().then_some(address.location)
}

/// Why a text is not a [`Manifest`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A line `option` that is not `KEY DEFAULT HELP...`, or whose key was there before.
    #[error(
        "`option {line}` is not `option KEY DEFAULT HELP...` with a new KEY and `-` for no default"
    )]
    #[allow(missing_docs, reason = "the message says it")]
    BadOption { line: String },
    /// A switch that is neither on nor off.
    #[error("`{word} {value}` is neither `{word} yes` nor `{word} no`")]
    #[allow(missing_docs, reason = "the message says it")]
    BadSwitch { word: String, value: String },
    /// A line of more than 4096 bytes.
    #[error("a line has more than {MAX_LINE} bytes")]
    LineTooLong,
    /// The first line is not that of a plug-in.
    #[error("its first line is `{line}` in place of `{MAGIC} {VERSION}`")]
    #[allow(missing_docs, reason = "the message says it")]
    NotAPlugin { line: String },
    /// More than 64 KiB.
    #[error("it says more than {MAX_MANIFEST} bytes")]
    TooLong,
    /// Made for another version of the protocol.
    #[error("it speaks version {version} of the protocol, and this program version {VERSION}")]
    #[allow(missing_docs, reason = "the message says it")]
    Version { version: String },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_it_knows_and_ignores_the_rest() {
        let text = "ipfi-transport 1\r\n\nsummary  tin \u{1b}[31mcans \u{0}\ncolour red\nreliable no\n\
                    endless yes\nexample tin:x\noption string 5m Its length.\noption wax - None.\n\
                    option knot a%20b\n";
        let manifest: Manifest = text.parse().unwrap();
        assert_eq!(manifest.summary, "tin [31mcans");
        assert!(!manifest.properties.reliable && manifest.properties.endless && manifest.listens);
        assert_eq!(manifest.examples, ["tin:x"]);
        let options: Vec<_> =
            manifest.options.iter().map(|o| (&*o.key, &*o.default, &*o.help)).collect();
        assert_eq!(
            options,
            [("string", "5m", "Its length."), ("wax", "", "None."), ("knot", "a b", "")]
        );
    }

    #[test]
    fn refuses_what_is_wrong_and_says_why() {
        let error = |text: &str| text.parse::<Manifest>().unwrap_err().to_string();
        let long = format!("ipfi-transport 1\nsummary {}", "x".repeat(5000));
        insta::assert_snapshot!(
            [
                "",
                "usage: \u{1b}[1mx",
                "ipfi-transport",
                "ipfi-transport 2",
                "ipfi-transport 1\nreliable maybe",
                "ipfi-transport 1\noption",
                "ipfi-transport 1\noption key",
                "ipfi-transport 1\noption Key - x",
                "ipfi-transport 1\noption key %zz x",
                "ipfi-transport 1\noption key a,b x",
                "ipfi-transport 1\noption key - x\noption key - y",
                &long,
                &"x".repeat(70_000),
            ]
            .map(error)
            .join("\n")
        );
    }

    proptest! {
        #[test]
        fn text_of_any_kind_never_panics(text in "(ipfi-transport 1\n)?(option [a-z]+ )?(\\PC|\n)*") {
            let _ = text.parse::<Manifest>();
        }

        #[test]
        fn round_trip(
            summary in "([a-z]{1,9}( [a-z,%é]{1,5})?)?",
            switches: [bool; 4],
            examples in prop::collection::vec("[a-z]+:[a-z,=%0-9]*", 0..3),
            options in prop::collection::btree_map("[a-z][a-z0-9-]{0,4}", ("[^\0]{0,9}", "[a-z]{0,9}"), 0..4),
        ) {
            let [reliable, exclusive, endless, listens] = switches;
            let options = options
                .into_iter()
                .filter(|(key, _)| is_name(key))
                .map(|(key, (default, help))| OptionSpec::new(&key, "VALUE", &default, &help))
                .collect();
            let mut properties = Properties::new(reliable, exclusive);
            properties.endless = endless;
            let manifest = Manifest { summary, properties, listens, examples, options };
            prop_assert_eq!(manifest.to_string().parse::<Manifest>().unwrap(), manifest);
        }
    }
}
