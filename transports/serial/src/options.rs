//! What may follow the device in an address.

use std::time::Duration;

use ipfi_transport::OptionValue;

ipfi_transport::options! {
    /// Options of `serial:`.
    pub struct SerialOptions {
        /// Symbols a second, any rate that the driver takes; `9600e71` also says parity, data bits
        /// and stop bits.
        baud: Baud = "115200n81",
        /// Data bits; overrides those in `baud`.
        data: Given<DataBits> = "",
        /// The parity bit; overrides the one in `baud`.
        parity: Given<Parity> = "",
        /// Stop bits; overrides those in `baud`. With five data bits, 2 means one and a half.
        stop: Given<StopBits> = "",
        /// How each side says "stop".
        flow: Flow = "none",
        /// The line DTR once the port is open; left as the system sets it if not given.
        dtr: Option<bool> = "",
        /// The line RTS once the port is open; left as the system sets it if not given.
        rts: Option<bool> = "",
        /// Whether closing the port drops DTR and RTS, which restarts some boards; left as it is
        /// if not given.
        hangup: Option<bool> = "",
        /// Has an FTDI adapter pass bytes on after 1 ms instead of 16, as root or by a udev rule.
        low_latency: bool = "yes",
        /// Keeps other programs away from the port (TIOCEXCL and flock).
        lock: bool = "yes",
        /// The line is trusted to carry every byte, so that calls need no `arq+`.
        reliable: bool = "no",
        /// At the end, waits for what is queued until the line has taken nothing for so long.
        drain: Duration = "5s",
    }
}

impl SerialOptions {
    /// The shape of a character after every option has had its say.
    #[must_use]
    pub fn framing(&self) -> Framing {
        let base = self.baud.framing;
        Framing {
            data: self.data.0.unwrap_or(base.data),
            parity: self.parity.0.unwrap_or(base.parity),
            stop: self.stop.0.unwrap_or(base.stop),
        }
    }

    /// What the line carries at most, in bytes a second; at least 1.
    #[must_use]
    pub fn bytes_per_second(&self) -> u32 {
        (self.baud.rate / self.framing().bits()).max(1)
    }
}

ipfi_transport::choices! {
    /// How many bits of a character carry data.
    pub enum DataBits {
        /// 5.
        Five = "5",
        /// 6.
        Six = "6",
        /// 7.
        Seven = "7",
        /// 8.
        Eight = "8",
    }
}

ipfi_transport::choices! {
    /// The bit that guards a character.
    pub enum Parity {
        /// There is none.
        None = "none",
        /// The number of ones is even.
        Even = "even",
        /// The number of ones is odd.
        Odd = "odd",
        /// Always one.
        Mark = "mark",
        /// Always zero.
        Space = "space",
    }
}

ipfi_transport::choices! {
    /// The pause after a character, in bits.
    pub enum StopBits {
        /// 1.
        One = "1",
        /// 2.
        Two = "2",
    }
}

ipfi_transport::choices! {
    /// How each side of a line says "stop".
    pub enum Flow {
        /// Not at all.
        None = "none",
        /// By the lines RTS and CTS.
        RtsCts = "rtscts",
        /// By the characters XON and XOFF, which data then must not hold.
        XonXoff = "xonxoff",
    }
}

/// An option that overrides another one when it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is an Option whose `none` is a value")]
pub struct Given<T>(pub Option<T>);

impl<T: OptionValue> OptionValue for Given<T> {
    const PLACEHOLDER: &'static str = T::PLACEHOLDER;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(Self(None)) } else { T::parse(text).map(|value| Self(Some(value))) }
    }
}

/// The shape of a character on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "an asynchronous character has these three parts")]
pub struct Framing {
    /// How many bits carry data.
    pub data: DataBits,
    /// The bit that guards them.
    pub parity: Parity,
    /// The pause after them.
    pub stop: StopBits,
}

impl Framing {
    const N81: Self = Self { data: DataBits::Eight, parity: Parity::None, stop: StopBits::One };

    /// How many bits a character takes on the line, its start bit included: 7 to 12.
    #[must_use]
    pub fn bits(&self) -> u32 {
        let data = match self.data {
            DataBits::Five => 5,
            DataBits::Six => 6,
            DataBits::Seven => 7,
            DataBits::Eight => 8,
        };
        let stop = match self.stop {
            StopBits::One => 1,
            StopBits::Two => 2,
        };
        1 + data + u32::from(self.parity != Parity::None) + stop
    }
}

impl std::fmt::Display for Framing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parity = match self.parity {
            Parity::None => 'n',
            Parity::Even => 'e',
            Parity::Odd => 'o',
            Parity::Mark => 'm',
            Parity::Space => 's',
        };
        write!(f, "{parity}{}{}", self.data, self.stop)
    }
}

/// The rate of a line, and the shape of its characters: `115200`, `9600e71`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Baud {
    /// Symbols a second; never 0, which would hang the line up.
    pub rate: u32,
    /// The shape, `n81` if the text does not say.
    pub framing: Framing,
}

impl OptionValue for Baud {
    const PLACEHOLDER: &'static str = "RATE[n81]";

    fn parse(text: &str) -> Result<Self, String> {
        let good = || "a rate above 0, as in 9600, or with its shape, as in 9600e71".to_owned();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (rate, shape) = text.split_at(digits);
        let rate = rate.parse().ok().filter(|&rate| rate > 0).ok_or_else(good)?;
        let framing = match shape.to_ascii_lowercase().as_bytes() {
            [] => Framing::N81,
            [parity, data, stop] => Framing {
                parity: match parity {
                    b'n' => Parity::None,
                    b'e' => Parity::Even,
                    b'o' => Parity::Odd,
                    b'm' => Parity::Mark,
                    b's' => Parity::Space,
                    _ => return Err(good()),
                },
                data: DataBits::parse(&char::from(*data).to_string()).map_err(|_| good())?,
                stop: StopBits::parse(&char::from(*stop).to_string()).map_err(|_| good())?,
            },
            _ => return Err(good()),
        };
        Ok(Self { rate, framing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipfi_transport::Options;
    use proptest::prelude::*;

    fn options<const N: usize>(pairs: [(&str, &str); N]) -> SerialOptions {
        SerialOptions::from_pairs(pairs).unwrap()
    }

    #[test]
    fn shorthand_and_separate_options() {
        let shape = |options: SerialOptions| format!("{}{}", options.baud.rate, options.framing());
        assert_eq!(shape(options([])), "115200n81");
        assert_eq!(shape(options([("baud", "31250")])), "31250n81");
        assert_eq!(shape(options([("baud", "9600E72")])), "9600e72");
        assert_eq!(
            shape(options([("baud", "9600e72"), ("parity", "none"), ("data", "8")])),
            "9600n82"
        );
        assert_eq!(shape(options([("parity", "mark"), ("stop", "2")])), "115200m82");
    }

    #[test]
    fn rates() {
        assert_eq!(options([]).bytes_per_second(), 11_520);
        assert_eq!(options([("baud", "9600e82")]).bytes_per_second(), 800);
        assert_eq!(options([("baud", "1")]).bytes_per_second(), 1);
    }

    #[test]
    fn wrong_values_say_what_is_right() {
        let error = |key, value| SerialOptions::from_pairs([(key, value)]).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                ("baud", "0"),
                ("baud", "fast"),
                ("baud", "9600n8"),
                ("baud", "9600x81"),
                ("baud", "99999999999"),
                ("baud", "9600é81"),
                ("baud", "9600né"),
                ("data", "9"),
                ("parity", "evil"),
                ("stop", "3"),
                ("flow", "hardware"),
                ("dtr", "high"),
                ("buad", "9600"),
            ]
            .map(|(key, value)| error(key, value))
            .join("\n")
        );
    }

    proptest! {
        #[test]
        fn baud_of_any_text_never_panics(text in "\\PC*") {
            let _ = Baud::parse(&text);
        }

        #[test]
        fn baud_round_trip(rate in 1u32.., shape in "[neoms][5-8][12]") {
            let baud = Baud::parse(&format!("{rate}{shape}")).unwrap();
            prop_assert_eq!(format!("{}{}", baud.rate, baud.framing), format!("{rate}{shape}"));
        }
    }
}
