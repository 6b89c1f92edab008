//! The functions that other languages call.
//!
//! None of them unwinds, none trusts a handle, a number or a null pointer. What cannot be checked is said
//! under *Safety*: that a pointer which is not null leads to as many bytes as its length says.
#![expect(unsafe_code, reason = "exported names, and buffers of others")]

use core::slice;

use crate::Port;
use crate::handles::{self, with};
use crate::status::IPFI_BAD_ARGUMENT;

/// Bytes from elsewhere; `None` if there cannot be so many, or none at all at a null pointer.
///
/// # Safety
///
/// Unless `bytes` is null, `length` bytes can be read there until the caller's function returns, and nobody
/// changes them.
unsafe fn input<'a>(bytes: *const u8, length: u32) -> Option<&'a [u8]> {
    let length = usize::try_from(length).ok().filter(|length| isize::try_from(*length).is_ok())?;
    if length == 0 {
        return Some(&[]);
    }
    // SAFETY: not null, not longer than anything can be, and readable as the caller promised.
    (!bytes.is_null()).then(|| unsafe { slice::from_raw_parts(bytes, length) })
}

/// Room elsewhere; `None` if there cannot be so much, or none at all at a null pointer.
///
/// # Safety
///
/// Unless `room` is null, `length` bytes can be written there until the caller's function returns, and
/// nobody else looks at them; they have some value already.
unsafe fn output<'a>(room: *mut u8, length: u32) -> Option<&'a mut [u8]> {
    let length = usize::try_from(length).ok().filter(|length| isize::try_from(*length).is_ok())?;
    if length == 0 {
        return Some(&mut []);
    }
    // SAFETY: not null, not longer than anything can be, and ours to write as the caller promised.
    (!room.is_null()).then(|| unsafe { slice::from_raw_parts_mut(room, length) })
}

/// Makes a connection of which nothing was sent or received yet. Gives its handle; 0 if there are too
/// many.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_open() -> u32 {
    handles::open()
}

/// Forgets a connection and everything in it. Nothing more is sent: see `ipfi_close` and `ipfi_abort`.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_free(handle: u32) -> i32 {
    handles::free(handle)
}

/// Sets one of the `IPFI_OPTION` constants, before anything else is done with the connection.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_option(handle: u32, option: u32, value: u32) -> i32 {
    with(handle, |port| port.option(option, value))
}

/// Hands over a byte that arrived. `IPFI_BROKEN` if with it the peer broke the protocol.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_receive(handle: u32, byte: u32) -> i32 {
    with(handle, |port| u8::try_from(byte).map_or(IPFI_BAD_ARGUMENT, |byte| port.receive(byte)))
}

/// The bytes ended or broke off: nothing more will arrive.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_receive_end(handle: u32) -> i32 {
    with(handle, Port::receive_end)
}

/// Gives the next byte to send, or `IPFI_NONE`.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_transmit(handle: u32) -> i32 {
    with(handle, Port::transmit)
}

/// Lets so many microseconds pass since the last time, and does what was to be done meanwhile.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_elapse(handle: u32, micros: u32) -> i32 {
    with(handle, |port| port.elapse(micros))
}

/// Gives the milliseconds until `ipfi_elapse` has to be called at the latest, or `IPFI_NONE`.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_timeout(handle: u32) -> i32 {
    with(handle, |port| port.timeout())
}

/// Gives 1 if the wire is over: when nothing is left to be sent, end the byte stream. Else 0.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_is_closed(handle: u32) -> i32 {
    with(handle, |port| port.is_closed())
}

/// Adds a byte to what goes with the next command: arguments, a result, an item, a name, a text.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_put(handle: u32, byte: u32) -> i32 {
    with(handle, |port| u8::try_from(byte).map_or(IPFI_BAD_ARGUMENT, |byte| port.put(byte)))
}

/// Adds a stream or callback of this side to what goes with the next message or item. Gives its place,
/// which is what the payload has to say to mean it. Each can be given once.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_give(handle: u32, thing: u32) -> i32 {
    with(handle, |port| port.give(thing))
}

/// Forgets what was put. What was given can be given again.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_clear(handle: u32) -> i32 {
    with(handle, Port::clear)
}

/// Offers a procedure under the name that was put; at calls of it `ipfi_procedure` will be `id`, which is
/// below 2^31. The fingerprint is 0 if any signature will do. Calls of procedures that are not offered
/// are refused by themselves.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_offer(
    handle: u32,
    id: u32,
    fingerprint_low: u32,
    fingerprint_high: u32,
) -> i32 {
    with(handle, |port| port.offer(id, fingerprint_low, fingerprint_high))
}

/// Gives the number of the peer's procedure with the name that was put, for `ipfi_call`. Keep it: each
/// call of this function uses up a number.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_bind(handle: u32, fingerprint_low: u32, fingerprint_high: u32) -> i32 {
    with(handle, |port| port.bind(fingerprint_low, fingerprint_high))
}

/// Calls a procedure or callback of the peer with what was put and given. Gives the number of the call,
/// which ends with exactly one `IPFI_EVENT_ANSWER` or `IPFI_EVENT_FAILED`, unless it is cancelled. The
/// deadline is in milliseconds, 0 for none; the flags are the `IPFI_CALL` constants.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_call(handle: u32, what: u32, deadline: u32, flags: u32) -> i32 {
    with(handle, |port| port.call(what, deadline, flags))
}

/// Sends what was put and given as more arguments of a call that was made with `IPFI_CALL_MORE`.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_arguments(handle: u32, call: u32, last: u32) -> i32 {
    with(handle, |port| port.arguments(call, last))
}

/// Gives up a call of this side. No event follows.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_cancel(handle: u32, call: u32, code: u32) -> i32 {
    with(handle, |port| port.cancel(call, code))
}

/// Answers a call of the peer with what was put and given.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_answer(handle: u32, call: u32) -> i32 {
    with(handle, |port| port.answer(call))
}

/// Fails a call of the peer with a code and the text that was put. `started` is 0 if the procedure
/// certainly did not begin to run.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_fail(handle: u32, call: u32, code: u32, started: u32) -> i32 {
    with(handle, |port| port.fail(call, code, started))
}

/// Makes a stream, `IPFI_OUTGOING` or `IPFI_INCOMING`. Gives its number, for `ipfi_give`.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_stream(handle: u32, direction: u32) -> i32 {
    with(handle, |port| port.stream(direction))
}

/// Sends what was put and given as an item. `IPFI_BLOCKED` if there is no room: try again after
/// `IPFI_EVENT_WRITABLE`; what was put stays.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_item(handle: u32, stream: u32) -> i32 {
    with(handle, |port| port.item(stream))
}

/// Says that no more items will come. `IPFI_EVENT_STOPPED` says when the peer got all.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_finish(handle: u32, stream: u32) -> i32 {
    with(handle, |port| port.finish(stream))
}

/// Ends a stream on which this side sends with a code and the text that was put; items that wait are
/// dropped.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_reset(handle: u32, stream: u32, code: u32) -> i32 {
    with(handle, |port| port.reset(stream, code))
}

/// Takes the next item of a stream: it becomes the payload, like that of an event. `IPFI_NONE` if there is
/// none yet: wait for `IPFI_EVENT_READABLE`. `IPFI_OVER` at the end; then `ipfi_code` is 0 if everything came,
/// and the payload is a text.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_read(handle: u32, stream: u32) -> i32 {
    with(handle, |port| port.read(stream))
}

/// Ends a stream from which this side reads; what is left is dropped.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_stop(handle: u32, stream: u32, code: u32) -> i32 {
    with(handle, |port| port.stop(stream, code))
}

/// Makes a callback. Gives its number, for `ipfi_give`. The peer's calls come as `IPFI_EVENT_CALLBACK`.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_callback(handle: u32) -> i32 {
    with(handle, Port::callback)
}

/// Lets go of anything that has a number: a call is cancelled or failed, a stream ended, with this code; a
/// callback of the peer released; a callback of this side not called any more.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_let_go(handle: u32, thing: u32, code: u32) -> i32 {
    with(handle, |port| port.let_go(thing, code))
}

/// Asks for a sign of life: `IPFI_EVENT_PONG`.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_ping(handle: u32) -> i32 {
    with(handle, Port::ping)
}

/// Closes the wire in peace: what runs is finished, for at most so many milliseconds, or for as long as it
/// takes if that is 0. Then comes `IPFI_EVENT_CLOSED`.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_close(handle: u32, within: u32) -> i32 {
    with(handle, |port| port.close(within))
}

/// Ends the wire at once with a code and the text that was put. Codes from 256 up are the application's.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_abort(handle: u32, code: u32) -> i32 {
    with(handle, |port| port.abort(code))
}

/// Takes the next event and gives its kind, one of the `IPFI_EVENT` constants, or `IPFI_NONE`. What came
/// before and was not taken is let go.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_event(handle: u32) -> i32 {
    with(handle, Port::event)
}

/// Gives the number of what the event is about.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_subject(handle: u32) -> i32 {
    with(handle, |port| port.subject())
}

/// Gives what is called: the `id` of `ipfi_offer`, or the number of a callback.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_procedure(handle: u32) -> i32 {
    with(handle, |port| port.procedure())
}

/// Gives the code of the event, or of the end of a stream that was read.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_code(handle: u32) -> i32 {
    with(handle, |port| port.code())
}

/// Gives 0 if a call that failed certainly did not begin to run, so that it may be repeated. Else 1.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_started(handle: u32) -> i32 {
    with(handle, |port| port.started())
}

/// Gives the milliseconds for which the caller will still wait, or `IPFI_NONE`.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_deadline(handle: u32) -> i32 {
    with(handle, |port| port.deadline())
}

/// Gives one of the `IPFI_KIND` constants for anything that has a number.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_kind(handle: u32, thing: u32) -> i32 {
    with(handle, |port| port.kind(thing))
}

/// Gives how many bytes of the payload were not taken yet.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_length(handle: u32) -> i32 {
    with(handle, |port| port.length())
}

/// Gives the next byte of the payload, or `IPFI_NONE`.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_take(handle: u32) -> i32 {
    with(handle, Port::take)
}

/// Gives the number of the next stream or callback that came with the payload, or `IPFI_NONE`. They come in
/// the order of the places by which the payload names them.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_take_thing(handle: u32) -> i32 {
    with(handle, Port::take_thing)
}

/// Hands over bytes that arrived.
///
/// # Safety
///
/// `bytes` leads to `length` bytes that can be read, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipfi_receive_buffer(handle: u32, bytes: *const u8, length: u32) -> i32 {
    // SAFETY: the caller promises the same.
    let Some(bytes) = (unsafe { input(bytes, length) }) else { return IPFI_BAD_ARGUMENT };
    with(handle, |port| port.receive_all(bytes))
}

/// Fills a buffer with bytes to send. Gives how many, 0 if there are none now.
///
/// # Safety
///
/// `bytes` leads to `length` bytes that can be written, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipfi_transmit_buffer(handle: u32, bytes: *mut u8, length: u32) -> i32 {
    // SAFETY: the caller promises the same.
    let Some(bytes) = (unsafe { output(bytes, length) }) else { return IPFI_BAD_ARGUMENT };
    with(handle, |port| port.transmit_all(bytes))
}

/// Adds bytes to what goes with the next command.
///
/// # Safety
///
/// `bytes` leads to `length` bytes that can be read, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipfi_put_buffer(handle: u32, bytes: *const u8, length: u32) -> i32 {
    // SAFETY: the caller promises the same.
    let Some(bytes) = (unsafe { input(bytes, length) }) else { return IPFI_BAD_ARGUMENT };
    with(handle, |port| port.put_all(bytes))
}

/// Fills a buffer with what comes next of the payload. Gives how many bytes that are.
///
/// # Safety
///
/// `bytes` leads to `length` bytes that can be written, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipfi_take_buffer(handle: u32, bytes: *mut u8, length: u32) -> i32 {
    // SAFETY: the caller promises the same.
    let Some(bytes) = (unsafe { output(bytes, length) }) else { return IPFI_BAD_ARGUMENT };
    with(handle, |port| port.take_all(bytes))
}

/// Gives room for bytes in the memory of this module, for hosts that can write there but have none of their own
/// in it. It belongs to the caller until `ipfi_deallocate`. Null if there is no such room.
#[unsafe(no_mangle)]
pub extern "C" fn ipfi_allocate(length: u32) -> *mut u8 {
    let Some(layout) = layout(length) else { return core::ptr::null_mut() };
    // SAFETY: the layout is not of size 0.
    unsafe { alloc::alloc::alloc_zeroed(layout) }
}

/// Takes back what `ipfi_allocate` gave for the same length.
///
/// # Safety
///
/// `bytes` came from `ipfi_allocate(length)` and was not given back before, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipfi_deallocate(bytes: *mut u8, length: u32) {
    if let Some(layout) = layout(length).filter(|_| !bytes.is_null()) {
        // SAFETY: it was allocated with this layout, as the caller promises.
        unsafe { alloc::alloc::dealloc(bytes, layout) }
    }
}

/// Of so many bytes, unless they are none or more than the longest message.
fn layout(length: u32) -> Option<core::alloc::Layout> {
    let length = usize::try_from(length).ok().filter(|length| (1..=LARGEST).contains(length))?;
    core::alloc::Layout::array::<u8>(length).ok()
}

/// The largest room, in bytes: that of the longest message.
const LARGEST: usize = 64 << 20;
