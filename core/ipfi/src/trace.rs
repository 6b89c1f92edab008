//! Events for those who watch, if the feature `tracing` is on; else nothing.

macro_rules! event {
    ($level:ident, $($rest:tt)*) => {
        #[cfg(feature = "tracing")]
        tracing::$level!(target: "ipfi", $($rest)*);
    };
}

pub(crate) use event;
