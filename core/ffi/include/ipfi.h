// IPFI for C: procedure calls, streams and callbacks over anything that carries bytes in order.
//
// Made of core/ffi/src by cbindgen; do not edit. What a program does:
//
//     uint32_t wire = ipfi_open();
//     for (;;) {
//         int32_t event, byte;
//         while ((event = ipfi_event(wire)) > 0) handle(wire, event);
//         while ((byte = ipfi_transmit(wire)) >= 0) putchar(byte);
//         fflush(stdout);
//         if (ipfi_is_closed(wire)) break;
//         byte = getchar();  // wait no longer than ipfi_timeout() says
//         if (byte == EOF) ipfi_receive_end(wire); else ipfi_receive(wire, byte);
//         ipfi_elapse(wire, microseconds_since_last_time());
//     }
//     ipfi_free(wire);
//
// A connection has a handle, everything in it (calls, streams, callbacks, procedures) a number. What goes out is
// *put* first, byte by byte or as a whole, streams and callbacks are *given*; the next command takes it all. What
// comes in is *taken* from the last event or item; what nobody took is let go when the next one comes. Results
// from 0 up are good; those below are the constants IPFI_NONE to IPFI_BUSY. Functions may be called from several
// threads.
//
// core/ffi/examples/peer uses nearly everything.

#ifndef IPFI_H
#define IPFI_H

#include <stdint.h>

// The codec (section 3.4 of the specification): 0 follows the peer's; default 2, `MessagePack`.
#define IPFI_OPTION_CODEC 1

// What this side takes, as the last four bytes of its hello (section 3.1), the first of them most
// significant; default `0x75a65677`, smallest 0.
#define IPFI_OPTION_LIMITS 2

// All payloads held for the peer, in bytes; at least twice the longest message. To be set after
// the limits, by which it is 32 MiB, or eight messages if that is less.
#define IPFI_OPTION_BUFFERED 3

// Asks for a sign of life after so many milliseconds of silence; default 0, never.
#define IPFI_OPTION_KEEPALIVE 4

// Closes the wire when nothing was open for so many milliseconds; default 0, never.
#define IPFI_OPTION_IDLE 5

// Milliseconds for the peer's hello to come; 0 for ever; default 10,000.
#define IPFI_OPTION_HANDSHAKE 6

// Bytes a second that the wire carries, if that is known; default 0, not known.
#define IPFI_OPTION_SPEED 7

// 1 if this side calls nothing; default 0.
#define IPFI_OPTION_SERVE_ONLY 8

// A call whose arguments go on with `ipfi_arguments`.
#define IPFI_CALL_MORE 1

// A call that goes before others.
#define IPFI_CALL_HIGH 2

// A call that goes after others.
#define IPFI_CALL_LOW 4

// A stream on which this side sends.
#define IPFI_OUTGOING 0

// A stream from which this side reads.
#define IPFI_INCOMING 1

// The peer's hello came; the code is its codec.
#define IPFI_EVENT_HELLO 1

// The peer calls the procedure `ipfi_procedure`; the subject is the call, the payload its arguments.
// To be ended with `ipfi_answer` or `ipfi_fail`.
#define IPFI_EVENT_CALL 2

// The same of a callback of this side: `ipfi_procedure` is its number.
#define IPFI_EVENT_CALLBACK 3

// The caller gave up the call that is the subject: stop, and end it with `ipfi_fail`.
#define IPFI_EVENT_CANCELLED 4

// The call of this side that is the subject was answered, and is over; the payload is the result.
#define IPFI_EVENT_ANSWER 5

// The call of this side that is the subject failed with a code, and is over; the payload is a text.
#define IPFI_EVENT_FAILED 6

// There is something to read on the stream that is the subject, where there was nothing.
#define IPFI_EVENT_READABLE 7

// The stream that is the subject takes items again.
#define IPFI_EVENT_WRITABLE 8

// The stream that is the subject, on which this side sends, is over; code 0 if the peer got
// everything.
#define IPFI_EVENT_STOPPED 9

// The peer let go of the callback that is the subject.
#define IPFI_EVENT_RELEASED 10

// The peer takes no new calls any more; a code, and a text as the payload.
#define IPFI_EVENT_GOING_AWAY 11

// The answer to `ipfi_ping`; the code says how many microseconds it took.
#define IPFI_EVENT_PONG 12

// The wire is over, and with it everything that had a number. A code, 0 if both sides finished; the
// payload is a text. `ipfi_started` is 1 if the peer broke the protocol. The last event.
#define IPFI_EVENT_CLOSED 13

// It is done.
#define IPFI_OK 0

// There is nothing: no byte, no event, no item yet, no time to wait for.
#define IPFI_NONE -1

// No connection has this handle.
#define IPFI_NO_HANDLE -2

// No call, stream, callback or procedure has this number, or it is none for which this makes sense.
#define IPFI_NO_THING -3

// An argument has no meaning: a null pointer, a number out of its range, text that is not UTF-8, an
// option after the connection was used.
#define IPFI_BAD_ARGUMENT -4

// The wire is over.
#define IPFI_CLOSED -5

// One of the two sides is going away and takes no new calls.
#define IPFI_GOING_AWAY -6

// Longer than the peer takes, or than any message may be.
#define IPFI_TOO_LARGE -7

// The peer takes no more of them at once.
#define IPFI_LIMIT -8

// The stream takes no item now: wait for `IPFI_EVENT_WRITABLE`. What was put stays.
#define IPFI_BLOCKED -9

// The call or stream is over, or the callback was let go.
#define IPFI_OVER -10

// This connection only serves: `IPFI_OPTION_SERVE_ONLY`.
#define IPFI_NOT_ALLOWED -11

// The peer broke the protocol: send what is left to be sent, then end the byte stream.
#define IPFI_BROKEN -12

// A fault in this library; the connection is gone.
#define IPFI_FAULT -13

// Something else is using the connections right now: only where there are no locks to wait for.
#define IPFI_BUSY -14

// A call that this side opened.
#define IPFI_KIND_CALL 1

// A call that the peer opened.
#define IPFI_KIND_INCOMING 2

// A stream on which this side sends.
#define IPFI_KIND_SENDER 3

// A stream from which this side reads.
#define IPFI_KIND_RECEIVER 4

// A callback of this side.
#define IPFI_KIND_CALLBACK 5

// A callback of the peer.
#define IPFI_KIND_REMOTE 6

// A procedure of the peer.
#define IPFI_KIND_PROCEDURE 7

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Makes a connection of which nothing was sent or received yet. Gives its handle; 0 if there are too
// many.
uint32_t ipfi_open(void);

// Forgets a connection and everything in it. Nothing more is sent: see `ipfi_close` and `ipfi_abort`.
int32_t ipfi_free(uint32_t handle);

// Sets one of the `IPFI_OPTION` constants, before anything else is done with the connection.
int32_t ipfi_option(uint32_t handle, uint32_t option, uint32_t value);

// Hands over a byte that arrived. `IPFI_BROKEN` if with it the peer broke the protocol.
int32_t ipfi_receive(uint32_t handle, uint32_t byte);

// The bytes ended or broke off: nothing more will arrive.
int32_t ipfi_receive_end(uint32_t handle);

// Gives the next byte to send, or `IPFI_NONE`.
int32_t ipfi_transmit(uint32_t handle);

// Lets so many microseconds pass since the last time, and does what was to be done meanwhile.
int32_t ipfi_elapse(uint32_t handle, uint32_t micros);

// Gives the milliseconds until `ipfi_elapse` has to be called at the latest, or `IPFI_NONE`.
int32_t ipfi_timeout(uint32_t handle);

// Gives 1 if the wire is over: when nothing is left to be sent, end the byte stream. Else 0.
int32_t ipfi_is_closed(uint32_t handle);

// Adds a byte to what goes with the next command: arguments, a result, an item, a name, a text.
int32_t ipfi_put(uint32_t handle, uint32_t byte);

// Adds a stream or callback of this side to what goes with the next message or item. Gives its place,
// which is what the payload has to say to mean it. Each can be given once.
int32_t ipfi_give(uint32_t handle,
                  uint32_t thing);

// Forgets what was put. What was given can be given again.
int32_t ipfi_clear(uint32_t handle);

// Offers a procedure under the name that was put; at calls of it `ipfi_procedure` will be `id`, which is
// below 2^31. The fingerprint is 0 if any signature will do. Calls of procedures that are not offered
// are refused by themselves.
int32_t ipfi_offer(uint32_t handle,
                   uint32_t id,
                   uint32_t fingerprint_low,
                   uint32_t fingerprint_high);

// Gives the number of the peer's procedure with the name that was put, for `ipfi_call`. Keep it: each
// call of this function uses up a number.
int32_t ipfi_bind(uint32_t handle,
                  uint32_t fingerprint_low,
                  uint32_t fingerprint_high);

// Calls a procedure or callback of the peer with what was put and given. Gives the number of the call,
// which ends with exactly one `IPFI_EVENT_ANSWER` or `IPFI_EVENT_FAILED`, unless it is cancelled. The
// deadline is in milliseconds, 0 for none; the flags are the `IPFI_CALL` constants.
int32_t ipfi_call(uint32_t handle,
                  uint32_t what,
                  uint32_t deadline,
                  uint32_t flags);

// Sends what was put and given as more arguments of a call that was made with `IPFI_CALL_MORE`.
int32_t ipfi_arguments(uint32_t handle, uint32_t call, uint32_t last);

// Gives up a call of this side. No event follows.
int32_t ipfi_cancel(uint32_t handle, uint32_t call, uint32_t code);

// Answers a call of the peer with what was put and given.
int32_t ipfi_answer(uint32_t handle, uint32_t call);

// Fails a call of the peer with a code and the text that was put. `started` is 0 if the procedure
// certainly did not begin to run.
int32_t ipfi_fail(uint32_t handle, uint32_t call, uint32_t code, uint32_t started);

// Makes a stream, `IPFI_OUTGOING` or `IPFI_INCOMING`. Gives its number, for `ipfi_give`.
int32_t ipfi_stream(uint32_t handle, uint32_t direction);

// Sends what was put and given as an item. `IPFI_BLOCKED` if there is no room: try again after
// `IPFI_EVENT_WRITABLE`; what was put stays.
int32_t ipfi_item(uint32_t handle, uint32_t stream);

// Says that no more items will come. `IPFI_EVENT_STOPPED` says when the peer got all.
int32_t ipfi_finish(uint32_t handle, uint32_t stream);

// Ends a stream on which this side sends with a code and the text that was put; items that wait are
// dropped.
int32_t ipfi_reset(uint32_t handle, uint32_t stream, uint32_t code);

// Takes the next item of a stream: it becomes the payload, like that of an event. `IPFI_NONE` if there is
// none yet: wait for `IPFI_EVENT_READABLE`. `IPFI_OVER` at the end; then `ipfi_code` is 0 if everything came,
// and the payload is a text.
int32_t ipfi_read(uint32_t handle,
                  uint32_t stream);

// Ends a stream from which this side reads; what is left is dropped.
int32_t ipfi_stop(uint32_t handle, uint32_t stream, uint32_t code);

// Makes a callback. Gives its number, for `ipfi_give`. The peer's calls come as `IPFI_EVENT_CALLBACK`.
int32_t ipfi_callback(uint32_t handle);

// Lets go of anything that has a number: a call is cancelled or failed, a stream ended, with this code; a
// callback of the peer released; a callback of this side not called any more.
int32_t ipfi_let_go(uint32_t handle,
                    uint32_t thing,
                    uint32_t code);

// Asks for a sign of life: `IPFI_EVENT_PONG`.
int32_t ipfi_ping(uint32_t handle);

// Closes the wire in peace: what runs is finished, for at most so many milliseconds, or for as long as it
// takes if that is 0. Then comes `IPFI_EVENT_CLOSED`.
int32_t ipfi_close(uint32_t handle,
                   uint32_t within);

// Ends the wire at once with a code and the text that was put. Codes from 256 up are the application's.
int32_t ipfi_abort(uint32_t handle,
                   uint32_t code);

// Takes the next event and gives its kind, one of the `IPFI_EVENT` constants, or `IPFI_NONE`. What came
// before and was not taken is let go.
int32_t ipfi_event(uint32_t handle);

// Gives the number of what the event is about.
int32_t ipfi_subject(uint32_t handle);

// Gives what is called: the `id` of `ipfi_offer`, or the number of a callback.
int32_t ipfi_procedure(uint32_t handle);

// Gives the code of the event, or of the end of a stream that was read.
int32_t ipfi_code(uint32_t handle);

// Gives 0 if a call that failed certainly did not begin to run, so that it may be repeated. Else 1.
int32_t ipfi_started(uint32_t handle);

// Gives the milliseconds for which the caller will still wait, or `IPFI_NONE`.
int32_t ipfi_deadline(uint32_t handle);

// Gives one of the `IPFI_KIND` constants for anything that has a number.
int32_t ipfi_kind(uint32_t handle, uint32_t thing);

// Gives how many bytes of the payload were not taken yet.
int32_t ipfi_length(uint32_t handle);

// Gives the next byte of the payload, or `IPFI_NONE`.
int32_t ipfi_take(uint32_t handle);

// Gives the number of the next stream or callback that came with the payload, or `IPFI_NONE`. They come in
// the order of the places by which the payload names them.
int32_t ipfi_take_thing(uint32_t handle);

// Hands over bytes that arrived.
//
// # Safety
//
// `bytes` leads to `length` bytes that can be read, or is null.
int32_t ipfi_receive_buffer(uint32_t handle, const uint8_t *bytes, uint32_t length);

// Fills a buffer with bytes to send. Gives how many, 0 if there are none now.
//
// # Safety
//
// `bytes` leads to `length` bytes that can be written, or is null.
int32_t ipfi_transmit_buffer(uint32_t handle, uint8_t *bytes, uint32_t length);

// Adds bytes to what goes with the next command.
//
// # Safety
//
// `bytes` leads to `length` bytes that can be read, or is null.
int32_t ipfi_put_buffer(uint32_t handle, const uint8_t *bytes, uint32_t length);

// Fills a buffer with what comes next of the payload. Gives how many bytes that are.
//
// # Safety
//
// `bytes` leads to `length` bytes that can be written, or is null.
int32_t ipfi_take_buffer(uint32_t handle, uint8_t *bytes, uint32_t length);

// Gives room for bytes in the memory of this module, for hosts that can write there but have none of their own
// in it. It belongs to the caller until `ipfi_deallocate`. Null if there is no such room.
uint8_t *ipfi_allocate(uint32_t length);

// Takes back what `ipfi_allocate` gave for the same length.
//
// # Safety
//
// `bytes` came from `ipfi_allocate(length)` and was not given back before, or is null.
void ipfi_deallocate(uint8_t *bytes, uint32_t length);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* IPFI_H */
