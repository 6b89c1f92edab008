//! What the programs `ipfi` and `ipfi-bridge` share: how they come back and how they are stopped.

mod backoff;
mod signals;

pub use backoff::Backoff;
pub use signals::{DRAIN, Stop, run as handle_signals};
