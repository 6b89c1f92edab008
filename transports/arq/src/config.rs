//! What a link is told about its medium and its user's wishes.

use core::time::Duration;

/// The kind of medium, which fixes how wide the numbers of a frame are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// A line of bytes on which both sides may send at once: 16-bit numbers, COBS framing.
    #[default]
    Serial,
    /// A medium on which one side may send at a time: 8-bit frame numbers, one frame for each
    /// packet of a modem, turns passed by a bit.
    HalfDuplex,
    /// A modem whose two sides send and hear at the same time, each in a band of its own: as
    /// `HalfDuplex`, but nobody waits for a turn.
    FullDuplex,
    /// Datagrams that may be lost, doubled and overtake one another: 32-bit numbers, one frame
    /// for each datagram, congestion control.
    Datagram,
}

impl Profile {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Serial => 0,
            Self::HalfDuplex => 1,
            Self::Datagram => 2,
            Self::FullDuplex => 3,
        }
    }

    pub(crate) const fn number_width(self) -> usize {
        match self {
            Self::Serial => 2,
            Self::HalfDuplex | Self::FullDuplex => 1,
            Self::Datagram => 4,
        }
    }

    pub(crate) const fn offset_width(self) -> usize {
        match self {
            Self::Serial | Self::HalfDuplex | Self::FullDuplex => 2,
            Self::Datagram => 4,
        }
    }

    /// Bytes that one unit of credit stands for.
    pub(crate) const fn credit_unit(self) -> u64 {
        match self {
            Self::Serial | Self::HalfDuplex | Self::FullDuplex => 128,
            Self::Datagram => 16 * 1024,
        }
    }

    /// The most frames without a verdict: well under half of what the numbers can tell apart.
    pub(crate) const fn max_in_flight(self) -> usize {
        match self {
            Self::Serial => 2048,
            Self::HalfDuplex | Self::FullDuplex => 64,
            Self::Datagram => 16 * 1024,
        }
    }

    /// Whether frames are cut out of a stream of bytes rather than handed over one by one.
    pub(crate) const fn is_framed(self) -> bool {
        matches!(self, Self::Serial)
    }

    /// Whether each frame is a packet of a modem, which corrects what it can and loses the rest.
    pub(crate) const fn is_modem(self) -> bool {
        matches!(self, Self::HalfDuplex | Self::FullDuplex)
    }
}

/// Control characters that must not appear on the line, as a set of the codes 1 to 31.
///
/// The idea and the encoding are those of PPP's async control character map (RFC 1662, section 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EscapeMap(pub(crate) u32);

impl EscapeMap {
    /// Nothing is escaped: the line carries all 256 values.
    pub const NONE: Self = Self(0);
    /// XON (0x11) and XOFF (0x13), for lines with software flow control.
    pub const XONXOFF: Self = Self(1 << 0x11 | 1 << 0x13);
    /// Every control character from 0x01 to 0x1f.
    pub const CONTROLS: Self = Self(!1);

    /// The set of the codes whose bits are set in `bits`. Bit 0 is ignored: zero delimits frames.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & !1)
    }
}

/// Whether frames correct themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fec {
    /// When the measured errors make it pay.
    #[default]
    Auto,
    /// Never, and the other side may not either.
    Off,
    /// Always, 16 bytes in 255: right for up to one wrong bit in 400.
    Light,
    /// Always, 32 bytes in 255: right for up to one wrong bit in 150.
    Strong,
}

/// How two stations share a medium on which only one may talk at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "three properties of a medium, all to be given")]
pub struct HalfDuplex {
    /// The pause between two bursts: to turn from receiving to sending, for echoes to die away,
    /// and until a burst that has begun is noticed at the other end.
    pub guard: Duration,
    /// The longest that one side may talk.
    pub burst: Duration,
    /// What the modem adds to each frame, as the number of bytes that take as long.
    pub preamble: u16,
}

/// How a link behaves. Both ends need the same [`Profile`]; everything else may differ.
///
/// One link holds at most `window` + `send_buffer` bytes of payload and about 70 KiB besides,
/// whatever the other side sends.
///
/// ```
/// use ipfi_arq::Config;
/// let config = Config::serial(Some(115_200 / 10));
/// assert_eq!(config.max_payload, 1024);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The kind of medium.
    pub profile: Profile,
    /// Bytes that the medium carries in a second, if known: 11,520 for 115,200 baud 8N1. Then the
    /// link gives out frames no faster than the medium takes them.
    pub line_rate: Option<u32>,
    /// The largest payload of a frame, 32 to 1024 bytes (1,400 for datagrams). The size in use
    /// follows the loss.
    pub max_payload: u16,
    /// Bytes that may wait for [`read`](crate::Link::read): at most 32,640 for lines, 4 MiB for
    /// datagrams.
    pub window: u32,
    /// Bytes that [`write`](crate::Link::write) takes before the other side has them. On a line of a
    /// known rate, those of them that were never sent are at most a frame and what the line carries in
    /// 50 ms: what waits here can be overtaken by nothing.
    pub send_buffer: u32,
    /// How long the other side may be silent before it is asked whether it is there.
    pub keepalive: Option<Duration>,
    /// How long the other side may be silent before the stream ends with
    /// [`Ended::TimedOut`](crate::Ended::TimedOut). It counts while an answer is owed: while
    /// something is unacknowledged, or with `keepalive`.
    pub dead_after: Duration,
    /// How long to look for the other side. `None`: for ever.
    pub connect_timeout: Option<Duration>,
    /// What the line eats.
    pub escape: EscapeMap,
    /// Forward error correction, with [`Profile::Serial`]. It cannot be had together with
    /// `escape`, since coded frames have all 256 values.
    pub fec: Fec,
    /// How the medium is shared, with [`Profile::HalfDuplex`]; of it only what a packet costs
    /// besides its own bytes counts with [`Profile::FullDuplex`].
    pub half_duplex: HalfDuplex,
}

impl Config {
    /// For a serial line of `line_rate` bytes a second, or of an unknown rate.
    #[must_use]
    pub const fn serial(line_rate: Option<u32>) -> Self {
        Self {
            profile: Profile::Serial,
            line_rate,
            max_payload: 1024,
            window: 255 * 128,
            send_buffer: 32 * 1024,
            keepalive: Some(Duration::from_secs(2)),
            dead_after: Duration::from_secs(10),
            connect_timeout: None,
            escape: EscapeMap::NONE,
            fec: Fec::Auto,
            half_duplex: HalfDuplex {
                guard: Duration::from_millis(150),
                burst: Duration::from_secs(10),
                preamble: 0,
            },
        }
    }

    /// For a modem of `bytes_per_second` on a medium that both sides share, as
    /// [`HalfDuplex`] says, with packets of up to `packet` bytes. The rate is that of a long
    /// packet.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "bursts last seconds; what is used is small"
    )]
    pub const fn half_duplex(bytes_per_second: u32, packet: u16, medium: HalfDuplex) -> Self {
        let mut config = Self::serial(Some(bytes_per_second));
        config.profile = Profile::HalfDuplex;
        config.max_payload = packet.saturating_sub(MOST_OVERHEAD);
        config.keepalive = None;
        config.dead_after = Duration::ZERO;
        config.half_duplex = medium;
        // The burst that has no answer yet and the one after it. What is urgent does not wait behind
        // more, and the program learns how slow the medium is.
        let burst = bytes_per_second as u64 * medium.burst.as_millis() as u64 / 1000;
        let least = 2 * packet as u64;
        let bursts = 2 * if burst > least { burst } else { least };
        if bursts < config.send_buffer as u64 {
            config.send_buffer = bursts as u32;
        }
        config
    }
}

impl Config {
    /// For a modem of `bytes_per_second` that hears while it sends, with packets of up to `packet`
    /// bytes, each of which costs as much as `overhead` bytes besides. The rate is that of a long
    /// packet. The driver is to take a frame only when it is about to be sent: so each tells of what has
    /// arrived until then.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ipfi_arq::{Config, Instant, Link, State};
    ///
    /// let config = Config::full_duplex(440, 420, 24);
    /// let mut now = Instant::from_micros(0);
    /// let mut links = [1, 2].map(|id| Link::new(config.clone(), id, now));
    /// let mut packet = [0; 1500];
    /// while links.iter().any(|link| link.state() != State::Open) {
    ///     for side in 0..2 {
    ///         let count = links[side].poll_transmit(now, &mut packet);
    ///         links[1 - side].receive(now, &packet[..count]);
    ///     }
    ///     now = now + Duration::from_millis(100);
    /// }
    /// ```
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "a few seconds")]
    pub const fn full_duplex(bytes_per_second: u32, packet: u16, overhead: u16) -> Self {
        let mut config = Self::serial(Some(bytes_per_second));
        config.profile = Profile::FullDuplex;
        config.max_payload = packet.saturating_sub(MOST_OVERHEAD);
        config.keepalive = None;
        config.half_duplex.preamble = overhead;
        let rate = if bytes_per_second == 0 { 1 } else { bytes_per_second };
        let longest = (packet as u64 + overhead as u64) * 1_000_000 / rate as u64;
        // Until somebody can have answered four questions, each behind a packet of either side.
        config.dead_after = Duration::from_micros(20_000_000 + 12 * longest);
        // The packet on its way, those of which the news is on its way, and the next. What is urgent does
        // not wait behind more, and the program learns how slow the medium is.
        config.send_buffer = 6 * packet as u32;
        config
    }
}

/// What a modem's frame with data and an acknowledgement of one burst has besides its payload.
const MOST_OVERHEAD: u16 = 8 + 5 + 8;

impl Config {
    /// For datagrams of up to `payload` bytes of the stream each; see
    /// [`DATAGRAM_OVERHEAD`](Self::DATAGRAM_OVERHEAD).
    #[must_use]
    pub const fn datagrams(payload: u16) -> Self {
        let mut config = Self::serial(None);
        config.profile = Profile::Datagram;
        config.max_payload = payload;
        config.window = 2 << 20;
        config.send_buffer = 1 << 20;
        config.keepalive = Some(Duration::from_secs(5));
        config.dead_after = Duration::from_secs(15);
        config
    }

    /// The most bytes of a datagram besides its payload.
    pub const DATAGRAM_OVERHEAD: u16 = 13 + 10 + 32;
}

impl Default for Config {
    fn default() -> Self {
        Self::serial(None)
    }
}
