//! A file with many bridges.
//!
//! ```toml
//! [[bridge]]
//! name = "gps"
//! a = "tcp-listen:0.0.0.0:7000"
//! b = "serial:/dev/ttyUSB0,baud=9600"
//! on-busy = "share"
//! ```

use std::path::Path;

use serde::Deserialize;

use crate::{exit::BridgeError, settings::Settings};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) bridge: Vec<Entry>,
}

/// One bridge: its name, its two ends, and what can be set on the command line too.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) a: String,
    pub(crate) b: String,
    pub(crate) settings: Settings,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // `flatten` and `deny_unknown_fields` exclude each other, hence by hand.
        let mut table = toml::Table::deserialize(deserializer)?;
        let mut text = |key: &str| match table.remove(key) {
            Some(toml::Value::String(text)) => Ok(Some(text)),
            None => Ok(None),
            Some(_) => Err(serde::de::Error::custom(format!("`{key}` is a text"))),
        };
        let missing = |key| serde::de::Error::custom(format!("`{key}` is missing"));
        let name = text("name")?.unwrap_or_default();
        let a = text("a")?.ok_or_else(|| missing("a"))?;
        let b = text("b")?.ok_or_else(|| missing("b"))?;
        let settings = Settings::deserialize(table).map_err(serde::de::Error::custom)?;
        Ok(Self { name, a, b, settings })
    }
}

impl Config {
    pub(crate) fn read(path: &Path) -> Result<Self, BridgeError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let reason = ipfi_transport::reason(&error);
            BridgeError::Config(format!("cannot read `{}`: {reason}", path.display()))
        })?;
        Self::parse(&text).map_err(|reason| {
            BridgeError::Config(format!("`{}` is not a config: {reason}", path.display()))
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text.get(..span.start).unwrap_or_default());
            let line = line.map_or(0, |before| before.matches('\n').count() + 1);
            format!("line {line}: {}", error.message().replace('\n', ", "))
        })?;
        let mut names = std::collections::BTreeSet::new();
        for (number, entry) in config.bridge.iter().enumerate() {
            let name =
                if entry.name.is_empty() { format!("{}", number + 1) } else { entry.name.clone() };
            if !names.insert(name.clone()) {
                return Err(format!("two bridges have the name `{name}`"));
            }
        }
        if config.bridge.is_empty() {
            return Err("it has no `[[bridge]]`".into());
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_bridges_with_settings() {
        let config = Config::parse(
            "[[bridge]]\nname = 'gps'\na = 'tcp-listen::1'\nb = 'memory:x'\nlinger = '2s'\n\
             on-busy = 'share'\non-loss = 'exit'\nmax-peers = 3\n",
        );
        let entry = config.unwrap().bridge.remove(0);
        assert_eq!((entry.name.as_str(), entry.settings.max_peers), ("gps", 3));
        assert_eq!(entry.settings.linger.as_secs(), 2);
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |text| Config::parse(text).unwrap_err();
        insta::assert_snapshot!(
            [
                "",
                "bridge = []",
                "[[bridge]]\na = 'tcp::1'",
                "[[bridge]]\na = 'tcp::1'\nb = 7",
                "[[bridge]]\na = 'x:'\nb = 'x:'\non-busi = 'share'",
                "[[bridge]]\na = 'x:'\nb = 'x:'\nlinger = 'long'",
                "[[bridge]]\na = 'x:'\nb = 'x:'\non-busy = 'fight'",
                "[[bridge]]\na = 'x:'\nb = 'x:'\nmax-peers = 0",
                "[[bridge]]\nname = 'x'\na = 'x:'\nb = 'x:'\n[[bridge]]\nname = 'x'\na = 'x:'\nb = 'x:'",
                "nonsense",
            ]
            .map(error)
            .join("\n")
        );
    }
}
