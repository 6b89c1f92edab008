//! One list of options yields the struct, the defaults, the parser, the help and the errors.

/// One option, as help shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionSpec {
    /// The key.
    pub key: String,
    /// What to write in place of the value.
    pub value: String,
    /// The default as it would be written; empty if there is none.
    pub default: String,
    /// What it does.
    pub help: String,
}

impl OptionSpec {
    /// Describes an option.
    #[must_use]
    pub fn new(key: &str, value: &str, default: &str, help: &str) -> Self {
        Self {
            key: __key(key),
            value: value.into(),
            default: default.into(),
            help: help.trim().into(),
        }
    }
}

/// The options of a transport or a layer. Made with [`options!`](crate::options!).
pub trait Options: Default + Send + Sync + Sized + 'static {
    /// Every option, in the order of declaration.
    fn specs() -> Vec<OptionSpec>;

    /// Sets one option from its text.
    fn set(&mut self, key: &str, value: &str) -> Result<(), OptionError>;

    /// Whether there is an option of this name.
    #[must_use]
    fn knows(key: &str) -> bool {
        Self::specs().iter().any(|spec| spec.key == key)
    }

    /// The defaults, changed by `pairs`.
    fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, OptionError> {
        let mut options = Self::default();
        for (key, value) in pairs {
            options.set(key, value)?;
        }
        Ok(options)
    }
}

/// No options at all.
impl Options for () {
    fn specs() -> Vec<OptionSpec> {
        Vec::new()
    }

    fn set(&mut self, key: &str, _: &str) -> Result<(), OptionError> {
        Err(OptionError::unknown(key, &[]))
    }
}

/// An option that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// The value does not parse.
    #[error("`{value}` is not a value for `{key}`: it takes {good}")]
    #[allow(missing_docs, reason = "the message says it")]
    Invalid { key: String, value: String, good: String },
    /// There is no option of this name.
    #[error("there is no option `{key}`{}", hint(.guess.as_deref(), .known))]
    #[allow(missing_docs, reason = "the message says it")]
    Unknown { key: String, guess: Option<String>, known: Vec<String> },
}

impl OptionError {
    /// An error that lists the options there are and guesses the one that was meant.
    #[must_use]
    pub fn unknown(key: &str, specs: &[OptionSpec]) -> Self {
        let known: Vec<String> = specs.iter().map(|spec| spec.key.clone()).collect();
        let guess = nearest(key, known.iter().map(String::as_str)).map(Into::into);
        Self::Unknown { key: key.into(), guess, known }
    }
}

/// The end of a message about something unknown: the guess, and what there is.
pub(crate) fn hint(guess: Option<&str>, known: &[String]) -> String {
    match (guess, known) {
        (_, []) => "; it takes none".into(),
        (Some(guess), known) => format!("; did you mean `{guess}`? It takes {}", known.join(", ")),
        (None, known) => format!("; it takes {}", known.join(", ")),
    }
}

/// The word that was meant, if one is near enough.
pub(crate) fn nearest<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    words
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len().max(3))
        .min()
        .map(|(_, candidate)| candidate)
}

#[doc(hidden)]
pub fn __parse<T: crate::OptionValue>(field: &str, value: &str) -> Result<T, OptionError> {
    T::parse(value).map_err(|good| OptionError::Invalid {
        key: __key(field),
        value: value.into(),
        good,
    })
}

/// The key that stands for a field.
#[doc(hidden)]
#[must_use]
pub fn __key(field: &str) -> String {
    field.trim_start_matches("r#").replace('_', "-")
}

/// Declares the options of a transport or a layer.
///
/// From one list come the struct, its defaults (written as a user would write them), its parser,
/// its help (the documentation of the fields) and the errors. A field `low_latency` is the key
/// `low-latency`, and `r#in` is `in`. A default may be an expression that gives a `&'static str`.
///
/// ```
/// ipfi_transport::options! {
///     /// Options of `tin:`.
///     pub struct TinOptions {
///         /// How tight the string is, in newtons.
///         tension: u32 = "20",
///         /// Waits this long for the other tin.
///         wait_for: std::time::Duration = "5s",
///     }
/// }
/// use ipfi_transport::Options;
/// let options = TinOptions::from_pairs([("wait-for", "1m")]).unwrap();
/// assert_eq!(options.wait_for.as_secs(), 60);
/// assert_eq!(
///     TinOptions::from_pairs([("tensoin", "9")]).unwrap_err().to_string(),
///     "there is no option `tensoin`; did you mean `tension`? It takes tension, wait-for",
/// );
/// ```
#[macro_export]
macro_rules! options {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[doc = $help:literal])+ $field:ident: $ty:ty = $default:expr),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        $vis struct $name { $($(#[doc = $help])+ pub $field: $ty,)* }

        impl ::std::default::Default for $name {
            fn default() -> Self {
                Self {
                    $($field: match $crate::__parse(::std::stringify!($field), $default) {
                        Ok(value) => value,
                        Err(error) => ::std::panic!("a default that does not parse: {error}"),
                    },)*
                }
            }
        }

        impl $crate::Options for $name {
            fn specs() -> ::std::vec::Vec<$crate::OptionSpec> {
                ::std::vec![$($crate::OptionSpec::new(
                    ::std::stringify!($field),
                    <$ty as $crate::OptionValue>::PLACEHOLDER,
                    $default,
                    ::std::concat!($($help),+),
                ),)*]
            }

            fn set(
                &mut self,
                key: &str,
                value: &str,
            ) -> ::std::result::Result<(), $crate::OptionError> {
                $(if key == $crate::__key(::std::stringify!($field)) {
                    self.$field = $crate::__parse(::std::stringify!($field), value)?;
                    return Ok(());
                })*
                let specs = <Self as $crate::Options>::specs();
                Err($crate::OptionError::unknown(key, &specs))
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::options! {
        /// For the tests.
        struct Sample {
            /// Symbols a second.
            baud: u32 = "115200",
            /// Sends at once.
            low_latency: bool = "yes",
            /// Where to log.
            log_file: Option<String> = "",
        }
    }

    #[test]
    fn defaults_help_and_values() {
        let sample =
            Sample::from_pairs([("baud", "300"), ("low-latency", "no"), ("log-file", "x")]);
        assert_eq!(
            sample.unwrap(),
            Sample { baud: 300, low_latency: false, log_file: Some("x".into()) }
        );
        insta::assert_debug_snapshot!(Sample::specs());
        assert!(Sample::knows("low-latency") && !Sample::knows("low_latency"));
    }

    #[test]
    fn errors_name_the_way_out() {
        let error = |key, value| Sample::from_pairs([(key, value)]).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                error("baud", "fast"),
                error("low-latency", "perhaps"),
                error("low_latency", "yes"),
                error("baut", "9"),
                error("colour", "red")
            ]
            .join("\n")
        );
        assert_eq!(
            ().set("x", "1").unwrap_err().to_string(),
            "there is no option `x`; it takes none"
        );
    }
}
