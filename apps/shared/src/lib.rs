//! What the programs share: how they come back, how they are stopped, and their man pages.

#[cfg(feature = "running")]
mod backoff;
#[cfg(feature = "man")]
mod man;
#[cfg(feature = "running")]
mod signals;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "running")]
pub use backoff::Backoff;
#[cfg(feature = "man")]
pub use man::{NoCommand, man};
#[cfg(feature = "running")]
pub use signals::{DRAIN, Stop, run as handle_signals};
