//! The text form of a link: `arq+serial:/dev/ttyUSB0,baud=9600`.

use std::{fmt, str::FromStr};

/// Where a stream goes to or comes from.
///
/// ```text
/// address = { layer "+" } scheme [ "-listen" ] ":" [ location ] { "," key [ "=" value ] }
/// ```
///
/// Safe in a shell without quotes as long as the location is. A comma or a percent sign within a
/// location or a value is written `%2C` or `%25`; any other byte may be written that way too
/// (RFC 3986, section 2.1). A key without a value means `true`. [`Display`](fmt::Display) writes
/// the canonical form, which parses to the same address.
///
/// ```
/// use ipfi_transport::Address;
///
/// let address: Address = "arq+serial:/dev/ttyUSB0,baud=9600,low-latency".parse()?;
/// assert_eq!(address.layers, ["arq"]);
/// assert_eq!(address.scheme, "serial");
/// assert_eq!(address.location, "/dev/ttyUSB0");
/// assert_eq!(address.option("baud"), Some("9600"));
/// assert_eq!(address.to_string(), "arq+serial:/dev/ttyUSB0,baud=9600,low-latency");
/// # Ok::<(), ipfi_transport::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Address {
    /// The layers on top of the transport, outermost first.
    pub layers: Vec<String>,
    /// Which transport.
    pub scheme: String,
    /// Waits for peers instead of going to one.
    pub listen: bool,
    /// Where, in the transport's own terms. Not escaped.
    pub location: String,
    /// Options of the transport and of the layers, in the order written. Not escaped.
    pub options: Vec<(String, String)>,
}

/// The longest address that is read, in bytes: the longest path of Linux and room for options.
const MAX_LEN: usize = 8192;

impl Address {
    /// The value of an option, if it is given.
    #[must_use]
    pub fn option(&self, key: &str) -> Option<&str> {
        self.options.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Where peers dial who want to come to a listener at this address: without its options, and at
    /// `local`, which is what [`Listener::local`](crate::Listener::local) says.
    ///
    /// ```
    /// use ipfi_transport::Address;
    ///
    /// let address: Address = "arq+udp-listen:127.0.0.1:0,fec=0.1".parse()?;
    /// let reach = address.to_dial(Some("127.0.0.1:7000".into()));
    /// assert_eq!(reach.to_string(), "arq+udp:127.0.0.1:7000");
    /// # Ok::<(), ipfi_transport::AddressError>(())
    /// ```
    #[must_use]
    pub fn to_dial(&self, local: Option<String>) -> Self {
        Self {
            layers: self.layers.clone(),
            scheme: self.scheme.clone(),
            listen: false,
            location: local.unwrap_or_else(|| self.location.clone()),
            options: Vec::new(),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > MAX_LEN {
            return Err(AddressError::TooLong { len: text.len() });
        }
        let (stack, rest) =
            text.split_once(':').ok_or_else(|| AddressError::NoScheme { text: text.into() })?;
        let mut layers: Vec<String> = stack.split('+').map(Into::into).collect();
        let last = layers.pop().unwrap_or_default();
        let (scheme, listen) = match last.strip_suffix("-listen") {
            Some(scheme) => (scheme.to_owned(), true),
            None => (last, false),
        };
        for name in layers.iter().chain([&scheme]) {
            if !is_name(name) {
                return Err(AddressError::BadName { name: name.clone(), text: text.into() });
            }
        }
        let mut parts = rest.split(',');
        let location = unescape(parts.next().unwrap_or_default())?;
        let mut options: Vec<(String, String)> = Vec::new();
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, "true"));
            if !is_key(key) {
                return Err(AddressError::BadKey { key: key.into() });
            }
            if options.iter().any(|(k, _)| k == key) {
                return Err(AddressError::Twice { key: key.into() });
            }
            options.push((key.into(), unescape(value)?));
        }
        Ok(Self { layers, scheme, listen, location, options })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for layer in &self.layers {
            write!(f, "{layer}+")?;
        }
        f.write_str(&self.scheme)?;
        if self.listen {
            f.write_str("-listen")?;
        }
        write!(f, ":{}", Escaped(&self.location))?;
        for (key, value) in &self.options {
            match value.as_str() {
                "true" => write!(f, ",{key}")?,
                value => write!(f, ",{key}={}", Escaped(value))?,
            }
        }
        Ok(())
    }
}

/// Whether `name` can be a scheme or a layer: `[a-z][a-z0-9-]*`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with("-listen")
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A key is a name, or the name of a layer, a dot and a name.
fn is_key(key: &str) -> bool {
    match key.split_once('.') {
        Some((layer, key)) => is_name(layer) && is_name(key),
        None => is_name(key),
    }
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                ',' | '%' | '\0'..='\x1f' | '\x7f' => write!(f, "%{:02X}", u32::from(c))?,
                c => fmt::Write::write_char(f, c)?,
            }
        }
        Ok(())
    }
}

fn unescape(text: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |i: usize| tail.get(i).and_then(|&d| char::from(d).to_digit(16));
        match (digit(0), digit(1)) {
            // At most 255: two hexadecimal digits.
            (Some(high), Some(low)) => bytes.push(u8::try_from(high * 16 + low).unwrap_or(0)),
            _ => return Err(AddressError::BadEscape { text: text.into() }),
        }
        rest = tail.get(2..).unwrap_or_default();
    }
    if bytes.contains(&0) {
        return Err(AddressError::Nul { text: text.into() });
    }
    String::from_utf8(bytes).map_err(|_| AddressError::NotUtf8 { text: text.into() })
}

/// Why a text is not an [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// A layer or a scheme has characters that no name has.
    #[error(
        "`{name}` in `{text}` is not the name of a transport: lower-case letters, digits and \
         hyphens, as in `tcp:localhost:7000`"
    )]
    #[allow(missing_docs, reason = "the message says it")]
    BadName { name: String, text: String },
    /// A percent sign without two hexadecimal digits.
    #[error("`%` in `{text}` needs two hexadecimal digits after it; write a percent sign as `%25`")]
    #[allow(missing_docs, reason = "the message says it")]
    BadEscape { text: String },
    /// Something after a comma that is not `key` or `key=value`.
    #[error("`{key}` is not the name of an option; write a comma within a location as `%2C`")]
    #[allow(missing_docs, reason = "the message says it")]
    BadKey { key: String },
    /// There is no colon.
    #[error(
        "`{text}` is not an address: it starts with a transport and a colon, as in `tcp:localhost:7000`"
    )]
    #[allow(missing_docs, reason = "the message says it")]
    NoScheme { text: String },
    /// An escaped byte makes text that is not UTF-8.
    #[error("`{text}` is not UTF-8 when its escapes are resolved")]
    #[allow(missing_docs, reason = "the message says it")]
    NotUtf8 { text: String },
    /// No path, argument or name may hold a zero byte.
    #[error("`{text}` holds a zero byte, which no path and no argument can carry")]
    #[allow(missing_docs, reason = "the message says it")]
    Nul { text: String },
    /// Longer than 8192 bytes.
    #[error("an address of {len} bytes is too long; at most 8192 are read")]
    #[allow(missing_docs, reason = "the message says it")]
    TooLong { len: usize },
    /// An option is given more than once.
    #[error("the option `{key}` is given twice")]
    #[allow(missing_docs, reason = "the message says it")]
    Twice { key: String },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_layers_and_options() {
        let a: Address = "trace+arq+tcp-listen:[::1]:7,bind=a%2Cb,x".parse().unwrap();
        assert_eq!(a.layers, ["trace", "arq"]);
        assert!(a.listen);
        assert_eq!(a.location, "[::1]:7");
        assert_eq!(a.options, [("bind".into(), "a,b".into()), ("x".into(), "true".into())]);
    }

    #[test]
    fn refuses_nonsense_and_says_why() {
        let error = |text: &str| text.parse::<Address>().unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                "",
                "nonsense",
                ":",
                "TCP:x",
                "+tcp:x",
                "a+:x",
                "-listen:x",
                "tcp:x,",
                "tcp:x,=1",
                "tcp:x,a=1,a=2",
                "tcp:%",
                "tcp:%zz",
                "tcp:%ff",
                "tcp:%00",
                "tcp:x,.y=1"
            ]
            .map(error)
            .join("\n")
        );
        assert!(matches!(
            "x".repeat(9000).parse::<Address>(),
            Err(AddressError::TooLong { len: 9000 })
        ));
    }

    proptest! {
        #[test]
        fn text_of_any_kind_never_panics(text in "\\PC*") {
            let _ = text.parse::<Address>();
        }

        #[test]
        fn round_trip(
            layers in prop::collection::vec("[a-z][a-z0-9]{0,5}", 0..3),
            scheme in "[a-z][a-z0-9]{0,8}",
            listen: bool,
            location in "[^\0]{0,30}",
            options in prop::collection::btree_map("[a-z]{1,6}(\\.[a-z]{1,4})?", "[^\0]{0,12}", 0..4),
        ) {
            let address =
                Address { layers, scheme, listen, location, options: options.into_iter().collect() };
            prop_assert_eq!(&address.to_string().parse::<Address>().unwrap(), &address);
        }
    }
}
