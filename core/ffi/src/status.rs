//! Numbers that the functions give back: what is below zero is no result.

use ipfi_proto::{CallError, HandleError, SendError};

/// It is done.
pub const IPFI_OK: i32 = 0;
/// There is nothing: no byte, no event, no item yet, no time to wait for.
pub const IPFI_NONE: i32 = -1;
/// No connection has this handle.
pub const IPFI_NO_HANDLE: i32 = -2;
/// No call, stream, callback or procedure has this number, or it is none for which this makes sense.
pub const IPFI_NO_THING: i32 = -3;
/// An argument has no meaning: a null pointer, a number out of its range, text that is not UTF-8, an
/// option after the connection was used.
pub const IPFI_BAD_ARGUMENT: i32 = -4;
/// The wire is over.
pub const IPFI_CLOSED: i32 = -5;
/// One of the two sides is going away and takes no new calls.
pub const IPFI_GOING_AWAY: i32 = -6;
/// Longer than the peer takes, or than any message may be.
pub const IPFI_TOO_LARGE: i32 = -7;
/// The peer takes no more of them at once.
pub const IPFI_LIMIT: i32 = -8;
/// The stream takes no item now: wait for `IPFI_EVENT_WRITABLE`. What was put stays.
pub const IPFI_BLOCKED: i32 = -9;
/// The call or stream is over, or the callback was let go.
pub const IPFI_OVER: i32 = -10;
/// This connection only serves: `IPFI_OPTION_SERVE_ONLY`.
pub const IPFI_NOT_ALLOWED: i32 = -11;
/// The peer broke the protocol: send what is left to be sent, then end the byte stream.
pub const IPFI_BROKEN: i32 = -12;
/// A fault in this library; the connection is gone.
pub const IPFI_FAULT: i32 = -13;
/// Something else is using the connections right now: only where there are no locks to wait for.
pub const IPFI_BUSY: i32 = -14;

pub(crate) fn of_call(error: CallError) -> i32 {
    match error {
        CallError::Closed => IPFI_CLOSED,
        CallError::GoingAway => IPFI_GOING_AWAY,
        CallError::ServeOnly => IPFI_NOT_ALLOWED,
        CallError::TooLarge { .. } => IPFI_TOO_LARGE,
        CallError::Finished | CallError::Released | CallError::HandleGone => IPFI_OVER,
        _ => IPFI_FAULT,
    }
}

pub(crate) fn of_send(error: SendError) -> i32 {
    match error {
        SendError::Blocked => IPFI_BLOCKED,
        SendError::Finished | SendError::HandleGone => IPFI_OVER,
        SendError::TooLarge { .. } => IPFI_TOO_LARGE,
        _ => IPFI_FAULT,
    }
}

pub(crate) fn of_handle(error: HandleError) -> i32 {
    match error {
        HandleError::Closed => IPFI_CLOSED,
        HandleError::Limit { .. } => IPFI_LIMIT,
        _ => IPFI_FAULT,
    }
}
