//! The loops that feed the engine, one for each kind of I/O.

#[cfg(feature = "tokio")]
pub(crate) mod tokio;

#[cfg(feature = "blocking")]
pub(crate) mod blocking;
#[cfg(feature = "blocking")]
mod pool;
