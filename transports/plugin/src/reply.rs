//! What a plug-in says before bytes flow.

use std::{fmt, str::FromStr};

use crate::text::{Clean, clean};

/// A line that a plug-in prints after `dial` or `listen`.
///
/// ```
/// use ipfi_plugin::Reply;
///
/// assert_eq!("ok".parse(), Ok(Reply::Ok));
/// assert_eq!(Reply::Error("no carrier".into()).to_string(), "error no carrier");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// It did not work, and why. The plug-in ends.
    Error(String),
    /// It waits for a peer, at this location; the next process is told to listen there, so that a
    /// port that the system chose stays.
    Listening(String),
    /// From the next byte on, standard input and output are the stream.
    Ok,
}

impl FromStr for Reply {
    type Err = NotAReply;

    fn from_str(line: &str) -> Result<Self, NotAReply> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (word, text) = line.split_once(' ').unwrap_or((line, ""));
        let text = clean(text);
        match word {
            "error" => Ok(Self::Error(text)),
            "listening" => Ok(Self::Listening(text)),
            "ok" if text.is_empty() => Ok(Self::Ok),
            _ => Err(NotAReply { line: Clean(line).to_string() }),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(text) => write!(f, "error {}", Clean(text)),
            Self::Listening(text) => write!(f, "listening {}", Clean(text)),
            Self::Ok => f.write_str("ok"),
        }
    }
}

/// A line that is none of the three.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it said `{line}` in place of `ok` or `error ...`")]
#[non_exhaustive]
pub struct NotAReply {
    /// The line.
    pub line: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_nonsense() {
        for reply in
            [Reply::Ok, Reply::Error("no x".into()), Reply::Listening("127.0.0.1:7".into())]
        {
            assert_eq!(reply.to_string().parse(), Ok(reply));
        }
        assert_eq!("ok\r".parse(), Ok(Reply::Ok));
        assert_eq!("error a\u{7}b".parse(), Ok(Reply::Error("ab".into())));
        for line in ["", "okay", "ok now", "OK", "Traceback (most recent call last):"] {
            let error = line.parse::<Reply>().unwrap_err().to_string();
            assert_eq!(error, format!("it said `{line}` in place of `ok` or `error ...`"));
        }
    }
}
