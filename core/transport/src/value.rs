//! The types that an option of an address can have.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// A value that an option can take. See [`options!`](crate::options!) and
/// [`choices!`](crate::choices!), which implements it for an enumeration.
pub trait OptionValue: Sized {
    /// What help writes in place of the value, such as `SECONDS` or `none|rtscts`.
    const PLACEHOLDER: &'static str;

    /// Reads the value. The error is a fragment that says what a good value looks like.
    fn parse(text: &str) -> Result<Self, String>;
}

macro_rules! from_str {
    ($($ty:ty, $placeholder:literal, $good:literal;)*) => { $(
        impl OptionValue for $ty {
            const PLACEHOLDER: &'static str = $placeholder;
            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| $good.into())
            }
        }
    )* };
}

from_str! {
    u8, "N", "a whole number from 0 to 255";
    u16, "N", "a whole number from 0 to 65535";
    u32, "N", "a whole number from 0 to 4294967295";
    u64, "N", "a whole number";
    usize, "N", "a whole number";
    IpAddr, "IP", "an IP address, as in 192.0.2.1 or 2001:db8::1";
    SocketAddr, "IP:PORT", "an IP address and a port, as in 192.0.2.1:7000";
}

impl OptionValue for f64 {
    const PLACEHOLDER: &'static str = "X";

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<Self>() {
            Ok(x) if x.is_finite() => Ok(x),
            Ok(_) | Err(_) => Err("a number, as in 0.001 or 1e-3".into()),
        }
    }
}

impl OptionValue for String {
    const PLACEHOLDER: &'static str = "TEXT";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }
}

impl OptionValue for PathBuf {
    const PLACEHOLDER: &'static str = "PATH";

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("a path".into()) } else { Ok(text.into()) }
    }
}

impl OptionValue for bool {
    const PLACEHOLDER: &'static str = "yes|no";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "yes" | "true" | "on" | "1" => Ok(true),
            "no" | "false" | "off" | "0" => Ok(false),
            _ => Err("yes or no".into()),
        }
    }
}

impl OptionValue for Duration {
    const PLACEHOLDER: &'static str = "TIME";

    /// `250ms`, `15s`, `2m`, `1h`; a bare number counts seconds.
    fn parse(text: &str) -> Result<Self, String> {
        let good = || "a time, as in 250ms, 15s, 2m or 1h".to_owned();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let seconds = match &text[digits.len()..] {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" | "" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(good()),
        };
        let number: f64 = digits.parse().map_err(|_| good())?;
        Self::try_from_secs_f64(number * seconds).map_err(|_| good())
    }
}

/// The empty text and `none` mean that the option is not given.
impl<T: OptionValue> OptionValue for Option<T> {
    const PLACEHOLDER: &'static str = T::PLACEHOLDER;

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" | "none" => Ok(None),
            text => T::parse(text).map(Some),
        }
    }
}

/// Declares an enumeration that an option can take, with the words that stand for its values.
///
/// ```
/// ipfi_transport::choices! {
///     /// How a serial line says "stop".
///     pub enum Flow {
///         /// Not at all.
///         None = "none",
///         /// By the wires RTS and CTS.
///         RtsCts = "rtscts",
///     }
/// }
/// use ipfi_transport::OptionValue;
/// assert_eq!(Flow::parse("rtscts"), Ok(Flow::RtsCts));
/// assert_eq!(Flow::parse("maybe"), Err("one of none, rtscts".into()));
/// ```
#[macro_export]
macro_rules! choices {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $word:literal),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        $vis enum $name { $($(#[$variant_meta])* $variant,)* }

        impl $crate::OptionValue for $name {
            const PLACEHOLDER: &'static str = $crate::__join!("|", $($word),*);

            fn parse(text: &str) -> ::std::result::Result<Self, ::std::string::String> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(::std::concat!("one of ", $crate::__join!(", ", $($word),*)).into()),
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $word,)* })
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __join {
    ($between:literal, $first:literal $(, $rest:literal)*) => {
        ::std::concat!($first $(, $between, $rest)*)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(Duration::parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(Duration::parse("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(Duration::parse("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "-1s", "1e99h", "1 s", "soon", "1d", "é"] {
            assert!(Duration::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_finite() {
        for bad in ["inf", "nan", "1e999", ""] {
            assert!(f64::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_a_value_of_an_option() {
        assert_eq!(Option::<u8>::parse(""), Ok(None));
        assert_eq!(Option::<u8>::parse("none"), Ok(None));
        assert_eq!(Option::<u8>::parse("7"), Ok(Some(7)));
        assert!(Option::<u8>::parse("x").is_err());
    }
}
