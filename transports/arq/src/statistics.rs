//! What a link has seen.

use core::time::Duration;

/// Counts since the link was made, and measurements of now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Bytes of the stream that the application has read.
    pub bytes_read: u64,
    /// Bytes of the stream that went out in frames, repeated ones included.
    pub bytes_sent: u64,
    /// Bytes of the stream that the other side has acknowledged.
    pub bytes_delivered: u64,
    /// Bytes given to the medium.
    pub wire_bytes_sent: u64,
    /// Bytes taken from the medium.
    pub wire_bytes_received: u64,
    /// Bytes between good frames that belonged to none.
    pub bytes_skipped: u64,
    /// Frames given to the medium.
    pub frames_sent: u64,
    /// Good frames taken from the medium.
    pub frames_received: u64,
    /// Frames whose check was wrong.
    pub frames_bad: u64,
    /// Frames of this side that did not arrive.
    pub frames_lost: u64,
    /// Frames that carried bytes for a second time.
    pub frames_repeated: u64,
    /// Good frames that could not be used: they broke a limit or contradicted others.
    pub frames_refused: u64,
    /// The smoothed round trip, without the time that frames take on the line.
    pub round_trip: Option<Duration>,
    /// The payload of a full frame at present, in bytes.
    pub payload_size: usize,
    /// How long frames go out: `off`, `light` or `strong`.
    pub error_correction: &'static str,
    /// The estimate of how many bytes there are between two errors.
    pub bytes_per_error: u64,
}
