//! The manual.
//!
//! * [`first_call`]: a service, a server and a client, in five minutes
//! * [`delivery`]: what `Ok` means, what it does not, and when a retry is safe
//! * [`cancelling`]: giving up, deadlines, closing
//! * [`streams`]: items in both directions, and credit
//! * [`arguments`]: bit by bit, and longer than the memory
//! * [`callbacks`]: functions as values
//! * [`limits`]: what a stranger can make you hold
//! * [`codecs`]: how values are written, and how a mismatch is found
//! * [`transports`]: over what it runs, and how to write a link of your own
//! * [`blocking`]: the same without an asynchronous runtime

pub mod arguments;
pub mod blocking;
pub mod callbacks;
pub mod cancelling;
pub mod codecs;
pub mod delivery;
pub mod first_call;
pub mod limits;
pub mod streams;
pub mod transports;
