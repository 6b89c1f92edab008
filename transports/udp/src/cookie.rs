//! Proofs of an address that a listener makes without keeping anything.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a cookie is as good as new; it is taken for as long again.
const EPOCH: Duration = Duration::from_secs(10);
/// Nobody can use a cookie later than this.
pub(crate) const LIFETIME: Duration = Duration::from_secs(2 * 10);

/// What a stranger is offered: the id of the session to come, and the cookie to ask for it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) id: u32,
    pub(crate) cookie: u64,
}

/// Makes offers from an address, a secret of this process (`SipHash` with random keys) and the time.
#[derive(Debug)]
pub(crate) struct Oven {
    secret: RandomState,
    start: Instant,
}

impl Oven {
    pub(crate) fn new(now: Instant) -> Self {
        Self { secret: RandomState::new(), start: now }
    }

    fn epoch(&self, now: Instant) -> u64 {
        now.duration_since(self.start).as_secs() / EPOCH.as_secs()
    }

    fn bake(&self, address: SocketAddr, id: u32, epoch: u64) -> Offer {
        let seed = self.secret.hash_one(("id", address, id, epoch));
        let session = u32::try_from(seed >> 32).unwrap_or(1).max(1);
        Offer { id: session, cookie: self.secret.hash_one(("cookie", address, id, session, epoch)) }
    }

    /// For the program with this `id` at this `address`.
    pub(crate) fn offer(&self, address: SocketAddr, id: u32, now: Instant) -> Offer {
        self.bake(address, id, self.epoch(now))
    }

    /// Whether it was made here, for this program, not long ago.
    pub(crate) fn made(&self, offer: Offer, address: SocketAddr, id: u32, now: Instant) -> bool {
        let epoch = self.epoch(now);
        let epochs = [Some(epoch), epoch.checked_sub(1)];
        epochs.into_iter().flatten().any(|epoch| self.bake(address, id, epoch) == offer)
    }

    /// An id that stands for "nobody whom you know".
    pub(crate) fn nobody(&self, address: SocketAddr) -> u32 {
        u32::try_from(self.secret.hash_one(("nobody", address)) >> 32).unwrap_or(1).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proves_one_address_for_a_while() {
        let now = Instant::now();
        let (oven, other) = (Oven::new(now), Oven::new(now));
        let here: SocketAddr = "192.0.2.1:7".parse().unwrap();
        let there: SocketAddr = "192.0.2.1:8".parse().unwrap();
        let offer = oven.offer(here, 5, now + EPOCH / 2);
        assert!(oven.made(offer, here, 5, now + EPOCH + EPOCH / 2));
        assert!(!oven.made(offer, here, 5, now + LIFETIME), "too old");
        assert!(!oven.made(offer, there, 5, now), "another address");
        assert!(!oven.made(offer, here, 6, now), "another program");
        assert!(!other.made(offer, here, 5, now), "another listener");
    }
}
