//! What may be said in an address.

use std::time::Duration;

use crate::{Config, EscapeMap, Fec};

ipfi_transport::choices! {
    /// Which control characters the line eats.
    pub enum Escape {
        /// None: the line carries all 256 values.
        None = "none",
        /// XON (0x11) and XOFF (0x13), as a line with software flow control does.
        XonXoff = "xonxoff",
        /// All from 0x01 to 0x1f.
        Controls = "controls",
    }
}

ipfi_transport::choices! {
    /// When frames carry what it takes to correct them.
    pub enum Correction {
        /// When the measured errors make it pay.
        Auto = "auto",
        /// Never; the other end may not either.
        Off = "off",
        /// Always, with 16 bytes in 255.
        Light = "light",
        /// Always, with 32 bytes in 255.
        Strong = "strong",
    }
}

ipfi_transport::options! {
    /// Options of the layer `arq+`.
    pub struct ArqOptions {
        /// Looks for the other end for this long; none: for ever.
        connect: Option<Duration> = "10s",
        /// Gives the other end up after this long without an answer.
        dead: Duration = "10s",
        /// Control characters that the line eats.
        escape: Escape = "none",
        /// Forward error correction.
        fec: Correction = "auto",
        /// Asks a silent other end whether it is there after this long; none: never.
        keepalive: Option<Duration> = "2s",
        /// The most payload bytes in a frame, 32 to 1024; less is used when frames get lost.
        frame: u16 = "1024",
        /// Bytes a second that the line carries, if its transport does not know.
        rate: Option<u32> = "none",
    }
}

impl ArqOptions {
    pub(crate) fn config(&self, rate: Option<u32>) -> Config {
        let mut config = Config::serial(rate);
        config.connect_timeout = self.connect;
        config.dead_after = self.dead;
        config.keepalive = self.keepalive;
        config.max_payload = self.frame.clamp(32, 1024);
        config.fec = match self.fec {
            Correction::Auto => Fec::Auto,
            Correction::Off => Fec::Off,
            Correction::Light => Fec::Light,
            Correction::Strong => Fec::Strong,
        };
        config.escape = match self.escape {
            Escape::None => EscapeMap::NONE,
            Escape::XonXoff => EscapeMap::XONXOFF,
            Escape::Controls => EscapeMap::CONTROLS,
        };
        config
    }
}
