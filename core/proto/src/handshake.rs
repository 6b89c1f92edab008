//! The eight bytes with which each side begins (SPEC.md, section 3).

use crate::{Breach, Limits, ProtocolError};

/// The version of the protocol that this engine speaks.
pub const VERSION: u8 = 1;

/// Length of a hello.
pub(crate) const LEN: usize = 8;

const MAGIC: [u8; 2] = [0x1f, 0xf1];

const FRAME: usize = 1 << 10;
const MESSAGE: usize = 4 << 10;
const STREAM_WINDOW: usize = 1 << 10;
const COUNT: usize = 8;
/// The largest exponent that can be announced; 15 is reserved.
const MAX_EXPONENT: u8 = 14;

/// What a side announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) codec: u8,
    /// Exponents of two: frame, calls, message, message window, streams, stream window, callbacks,
    /// bindings.
    exponents: [u8; 8],
}

/// The limits that a peer holds us to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerLimits {
    /// Longest frame, in bytes.
    pub max_frame: usize,
    /// Calls at once.
    pub max_calls: u32,
    /// Longest message, in bytes.
    pub max_message: usize,
    /// What may be sent of a message before it is admitted, in bytes.
    pub message_window: usize,
    /// Streams that we may have created at once.
    pub max_streams: u32,
    /// What may be sent on a new stream, in bytes.
    pub stream_window: usize,
    /// Callbacks that we may have given away at once.
    pub max_callbacks: u32,
    /// Procedures that we may give numbers to.
    pub max_bindings: u32,
}

impl PeerLimits {
    /// What holds until the peer's hello is there: the least that anybody may announce.
    pub(crate) const INITIAL: Self = Self {
        max_frame: FRAME,
        max_calls: 8,
        max_message: MESSAGE,
        message_window: MESSAGE,
        max_streams: 8,
        stream_window: STREAM_WINDOW,
        max_callbacks: 8,
        max_bindings: 8,
    };
}

/// The largest `n` with `base << n <= value`, or 0.
#[expect(clippy::cast_possible_truncation, reason = "a logarithm is at most 64")]
fn exponent(base: usize, value: usize) -> u8 {
    ((value / base).checked_ilog2().unwrap_or(0) as u8).min(MAX_EXPONENT)
}

#[expect(clippy::cast_possible_truncation, reason = "8 << 14 fits")]
fn count(exponent: u8) -> u32 {
    (COUNT as u32) << exponent
}

impl Hello {
    pub(crate) fn new(codec: u8, limits: &Limits) -> Self {
        let window = limits.message_window.min(limits.max_message);
        Self {
            codec,
            exponents: [
                exponent(FRAME, limits.max_frame),
                exponent(COUNT, limits.max_calls as usize),
                exponent(MESSAGE, limits.max_message),
                exponent(MESSAGE, window),
                exponent(COUNT, limits.max_streams as usize),
                exponent(STREAM_WINDOW, limits.stream_window),
                exponent(COUNT, limits.max_callbacks as usize),
                exponent(COUNT, limits.max_bindings as usize),
            ],
        }
    }

    pub(crate) fn encode(&self) -> [u8; LEN] {
        let [frame, calls, message, window, streams, stream, callbacks, bindings] = self.exponents;
        let [first, second] = MAGIC;
        [
            first,
            second,
            VERSION,
            self.codec,
            frame << 4 | calls,
            message << 4 | window,
            streams << 4 | stream,
            callbacks << 4 | bindings,
        ]
    }

    /// Checks the bytes that are there as early as possible.
    pub(crate) fn check_prefix(bytes: &[u8]) -> Result<(), Breach> {
        if bytes.iter().zip(MAGIC).any(|(&byte, magic)| byte != magic) {
            return Err(Breach::new(ProtocolError::NotIpfi));
        }
        match bytes.get(2) {
            Some(0) => Err(Breach::new(ProtocolError::Version { theirs: 0 })),
            _ => Ok(()),
        }
    }

    pub(crate) fn decode(bytes: [u8; LEN]) -> Result<Self, Breach> {
        Self::check_prefix(&bytes)?;
        let [_, _, _, codec, ab, cd, ef, gh] = bytes;
        let exponents = [ab >> 4, ab & 15, cd >> 4, cd & 15, ef >> 4, ef & 15, gh >> 4, gh & 15];
        if exponents.iter().any(|&n| n > MAX_EXPONENT) {
            return Err(Breach::malformed("hello"));
        }
        Ok(Self { codec, exponents })
    }

    pub(crate) fn limits(&self) -> PeerLimits {
        let [frame, calls, message, window, streams, stream, callbacks, bindings] = self.exponents;
        PeerLimits {
            max_frame: FRAME << frame,
            max_calls: count(calls),
            max_message: MESSAGE << message,
            message_window: MESSAGE << window,
            max_streams: count(streams),
            stream_window: STREAM_WINDOW << stream,
            max_callbacks: count(callbacks),
            max_bindings: count(bindings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initial_limits_are_the_smallest_that_can_be_announced() {
        let smallest = Hello::new(0, &Limits::smallest());
        assert_eq!(smallest.limits(), PeerLimits::INITIAL);
        assert_eq!(Hello::decode(smallest.encode()), Ok(smallest));
        let default = Hello::new(1, &Limits::default());
        assert_eq!(Hello::decode(default.encode()), Ok(default));
        assert_eq!(default.limits().max_message, 4 << 20);
    }

    #[test]
    fn strangers_are_refused_at_the_first_wrong_byte() {
        assert_eq!(Hello::check_prefix(b"G"), Err(Breach::new(ProtocolError::NotIpfi)));
        assert_eq!(Hello::check_prefix(&[0x1f, 0x8b]), Err(Breach::new(ProtocolError::NotIpfi)));
        assert_eq!(
            Hello::check_prefix(&[0x1f, 0xf1, 0]),
            Err(Breach::new(ProtocolError::Version { theirs: 0 }))
        );
        assert_eq!(Hello::check_prefix(&[0x1f, 0xf1, 9]), Ok(()));
    }
}
