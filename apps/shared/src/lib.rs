//! What the programs `ipfi` and `ipfi-bridge` share: how they come back and how they are stopped.

mod backoff;
mod signals;
#[cfg(feature = "testing")]
pub mod testing;

pub use backoff::Backoff;
pub use signals::{DRAIN, Stop, run as handle_signals};
