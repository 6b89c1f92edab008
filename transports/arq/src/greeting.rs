//! Greetings by datagram, as a listener sees them that keeps nothing about strangers.

use alloc::vec::Vec;

use crate::config::Config;
use crate::frame::{Syn, VERSION};

/// The greeting of a program that looks for another by datagram: `SPEC.md`, section 9.
///
/// ```
/// use ipfi_arq::{Config, Greeting, Instant, Link};
/// let now = Instant::from_micros(0);
/// let mut link = Link::new(Config::datagrams(1100), 7, now);
/// let mut datagram = [0; 1500];
/// let length = link.poll_transmit(now, &mut datagram);
/// let greeting = Greeting::parse(&datagram[..length]).unwrap();
/// assert_eq!((greeting.id, greeting.heard, greeting.cookie), (7, 0, None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Greeting {
    /// The id of the one who greets.
    pub id: u32,
    /// Whom it has heard, or zero.
    pub heard: u32,
    /// What it was given to prove its address with.
    pub cookie: Option<u64>,
}

impl Greeting {
    /// Reads a datagram. `None`: it is no greeting, or is damaged.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let Syn { id, heard, cookie, .. } = Syn::decode(datagram)?;
        Some(Self { id, heard, cookie })
    }

    /// A greeting from `id` to the one who had `heard`, as a link with `config` would send it.
    #[must_use]
    pub fn encode(config: &Config, id: u32, heard: u32, cookie: Option<u64>) -> Vec<u8> {
        let credit = u64::from(config.window) / config.profile.credit_unit();
        let syn = Syn {
            version: VERSION,
            profile: config.profile.code(),
            id,
            heard,
            max_payload: config.max_payload,
            credit: u8::try_from(credit).unwrap_or(u8::MAX),
            fec: false,
            escapes: 0,
            cookie,
        };
        let mut datagram = Vec::new();
        syn.encode(&mut datagram, 0);
        datagram
    }
}
