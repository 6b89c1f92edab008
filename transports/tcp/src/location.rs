//! `HOST:PORT`, as written in an address.

/// Where to dial or to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// A name or an IP address, without brackets, and a port. No host means every address of
    /// this machine to listen at, and `localhost` to dial.
    Host { host: String, port: u16 },
    /// The socket that a service manager passed, counted from 0.
    Inherited(usize),
}

impl Location {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("systemd") {
            return match rest.strip_prefix('=') {
                None if rest.is_empty() => Ok(Self::Inherited(0)),
                Some(index) if index.parse::<usize>().is_ok() => {
                    Ok(Self::Inherited(index.parse().unwrap_or(0)))
                }
                _ => Err("`systemd=N` takes the number of a passed socket, from 0".into()),
            };
        }
        let (host, port) =
            text.rsplit_once(':').ok_or("it needs a port, as in `localhost:7000`")?;
        let port =
            port.parse().map_err(|_| format!("`{port}` is not a port: a number up to 65535"))?;
        let host = match host.strip_prefix('[') {
            Some(host) => host.strip_suffix(']').ok_or("`[` needs a `]`, as in `[::1]:7000`")?,
            None if host.contains(':') => {
                return Err(format!("write an IPv6 address in brackets, as in `[{host}]:{port}`"));
            }
            None => host,
        };
        if host.contains(char::is_whitespace) || host.len() > 255 {
            return Err(format!("`{host}` is not the name of a host"));
        }
        Ok(Self::Host { host: host.into(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts_and_ports() {
        let host = |host: &str, port| Ok(Location::Host { host: host.into(), port });
        assert_eq!(Location::parse("localhost:7"), host("localhost", 7));
        assert_eq!(Location::parse("[::1]:7"), host("::1", 7));
        assert_eq!(Location::parse(":7"), host("", 7));
        assert_eq!(Location::parse("systemd"), Ok(Location::Inherited(0)));
        assert_eq!(Location::parse("systemd=2"), Ok(Location::Inherited(2)));
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |text| Location::parse(text).unwrap_err();
        insta::assert_snapshot!(
            [
                "",
                "localhost",
                "localhost:http",
                "localhost:65536",
                "::1:7",
                "[::1:7",
                "a b:7",
                "systemd=x",
                "systemdd"
            ]
            .map(error)
            .join("\n")
        );
    }
}
