//! Whatever a host passes, the functions give back a number.
#![cfg(feature = "exports")]
#![expect(unsafe_code, reason = "functions that take pointers")]

use std::ptr;

use ipfi_ffi::*;
use proptest::prelude::*;

/// A hello, GOAWAY and BYE.
const HELLO: [u8; 16] = [0x1f, 0xf1, 1, 2, 0, 0, 0, 0, 2, 0xcf, 0, 1, 0xd0, 0, 0, 0];

/// Functions of a handle and up to three integers.
type Function = fn(u32, u32, u32, u32) -> i32;

const FUNCTIONS: [Function; 40] = [
    |h, a, b, _| ipfi_option(h, a, b),
    |h, a, _, _| ipfi_receive(h, a),
    |h, _, _, _| ipfi_receive_end(h),
    |h, _, _, _| ipfi_transmit(h),
    |h, a, _, _| ipfi_elapse(h, a),
    |h, _, _, _| ipfi_timeout(h),
    |h, _, _, _| ipfi_is_closed(h),
    |h, a, _, _| ipfi_put(h, a),
    |h, a, _, _| ipfi_give(h, a),
    |h, _, _, _| ipfi_clear(h),
    |h, a, b, c| ipfi_offer(h, a, b, c),
    |h, a, b, _| ipfi_bind(h, a, b),
    |h, a, b, c| ipfi_call(h, a, b, c),
    |h, a, b, _| ipfi_arguments(h, a, b),
    |h, a, b, _| ipfi_cancel(h, a, b),
    |h, a, _, _| ipfi_answer(h, a),
    |h, a, b, c| ipfi_fail(h, a, b, c),
    |h, a, _, _| ipfi_stream(h, a),
    |h, a, _, _| ipfi_item(h, a),
    |h, a, _, _| ipfi_finish(h, a),
    |h, a, b, _| ipfi_reset(h, a, b),
    |h, a, _, _| ipfi_read(h, a),
    |h, a, b, _| ipfi_stop(h, a, b),
    |h, _, _, _| ipfi_callback(h),
    |h, a, b, _| ipfi_let_go(h, a, b),
    |h, _, _, _| ipfi_ping(h),
    |h, a, _, _| ipfi_close(h, a),
    |h, a, _, _| ipfi_abort(h, a),
    |h, _, _, _| ipfi_event(h),
    |h, _, _, _| ipfi_subject(h),
    |h, _, _, _| ipfi_procedure(h),
    |h, _, _, _| ipfi_code(h),
    |h, _, _, _| ipfi_started(h),
    |h, _, _, _| ipfi_deadline(h),
    |h, a, _, _| ipfi_kind(h, a),
    |h, _, _, _| ipfi_length(h),
    |h, _, _, _| ipfi_take(h),
    |h, _, _, _| ipfi_take_thing(h),
    |h, a, _, _| {
        let mut room = [0; 64];
        let length = a.min(64);
        // SAFETY: there is as much room.
        unsafe { ipfi_take_buffer(h, room.as_mut_ptr(), length) }
    },
    |h, a, _, _| {
        let length = a.min(16);
        // SAFETY: there are as many bytes.
        unsafe { ipfi_receive_buffer(h, HELLO.as_ptr(), length) }
    },
];

/// Small numbers, which mean something, and large ones, which do not.
fn integer() -> impl Strategy<Value = u32> {
    prop_oneof![6 => 0..12u32, 1 => any::<u32>(), 1 => Just(u32::MAX), 1 => Just(1 << 31)]
}

/// Moves what there is from one to the other.
fn pump(from: u32, to: u32) {
    while let Ok(byte) = u32::try_from(ipfi_transmit(from)) {
        ipfi_receive(to, byte);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Two sides do anything at all with each other.
    #[test]
    fn anything_is_answered(
        acts in prop::collection::vec((0..FUNCTIONS.len() + 8, any::<bool>(), integer(), integer(), integer()), 0..300),
    ) {
        let sides = [ipfi_open(), ipfi_open()];
        for side in sides {
            for name in [b"a", b"b"] {
                ipfi_put(side, name[0].into());
                prop_assert_eq!(ipfi_offer(side, name[0].into(), 0, 0), IPFI_OK);
            }
        }
        for (function, second, a, b, c) in acts {
            let side = sides[usize::from(second)];
            let result = match FUNCTIONS.get(function) {
                Some(function) => function(side, a, b, c),
                None if function % 2 == 0 => {
                    // What makes calls likely: a procedure that is there.
                    ipfi_clear(side);
                    ipfi_put(side, u32::from(b'a') + a % 3);
                    ipfi_bind(side, 0, 0)
                }
                None => {
                    pump(sides[0], sides[1]);
                    pump(sides[1], sides[0]);
                    0
                }
            };
            prop_assert!(result >= IPFI_BROKEN, "{result}");
        }
        for side in sides {
            // The end comes, whatever happened before.
            ipfi_receive_end(side);
            let mut last = IPFI_NONE;
            for _ in 0..100_000 {
                match ipfi_event(side) {
                    IPFI_NONE => break,
                    event => last = event,
                }
            }
            prop_assert!(last == IPFI_EVENT_CLOSED || last == IPFI_NONE, "{last}");
            prop_assert_eq!(ipfi_is_closed(side), 1);
            prop_assert_eq!(ipfi_free(side), IPFI_OK);
        }
    }

    /// A connection that was never there, or is not there any more.
    #[test]
    fn wrong_handles_are_errors(handle in any::<u32>(), a in integer(), b in integer(), c in integer()) {
        let gone = ipfi_open();
        ipfi_free(gone);
        for handle in [0, gone, handle | 0xffff, u32::MAX] {
            for function in FUNCTIONS {
                prop_assert_eq!(function(handle, a, b, c), IPFI_NO_HANDLE);
            }
            prop_assert_eq!(ipfi_free(handle), IPFI_NO_HANDLE);
        }
    }
}

#[test]
fn null_pointers_and_impossible_lengths_are_errors() {
    let wire = ipfi_open();
    // SAFETY: null is allowed, and so is any pointer to no bytes at all.
    unsafe {
        for length in [1, 1000, u32::MAX] {
            assert_eq!(ipfi_receive_buffer(wire, ptr::null(), length), IPFI_BAD_ARGUMENT);
            assert_eq!(ipfi_put_buffer(wire, ptr::null(), length), IPFI_BAD_ARGUMENT);
            assert_eq!(ipfi_transmit_buffer(wire, ptr::null_mut(), length), IPFI_BAD_ARGUMENT);
            assert_eq!(ipfi_take_buffer(wire, ptr::null_mut(), length), IPFI_BAD_ARGUMENT);
        }
        for pointer in [ptr::null_mut(), ptr::dangling_mut()] {
            assert_eq!(ipfi_receive_buffer(wire, pointer, 0), IPFI_OK);
            assert_eq!(ipfi_put_buffer(wire, pointer, 0), IPFI_OK);
            assert_eq!(ipfi_transmit_buffer(wire, pointer, 0), 0);
            assert_eq!(ipfi_take_buffer(wire, pointer, 0), 0);
        }
        ipfi_deallocate(ptr::null_mut(), 9);
        let room = ipfi_allocate(1000);
        assert_eq!(ipfi_transmit_buffer(wire, room, 1000), 8);
        ipfi_deallocate(room, 1000);
    }
    assert!(ipfi_allocate(0).is_null() && ipfi_allocate(u32::MAX).is_null());
    assert_eq!(ipfi_free(wire), IPFI_OK);
}

#[test]
fn messages_have_an_end() {
    let wire = ipfi_open();
    let part = vec![0; 1 << 20];
    let length = u32::try_from(part.len()).expect("a megabyte");
    let mut parts = 0;
    // SAFETY: there are as many bytes.
    while unsafe { ipfi_put_buffer(wire, part.as_ptr(), length) } == IPFI_OK {
        parts += 1;
        assert!(parts <= 64, "more than the longest message");
    }
    assert_eq!(ipfi_put(wire, 0), IPFI_TOO_LARGE);
    assert_eq!(ipfi_clear(wire), IPFI_OK);
    assert_eq!(ipfi_put(wire, 0), IPFI_OK);
    ipfi_free(wire);
}

#[test]
fn threads_may_share_a_connection() {
    let (client, server) = (ipfi_open(), ipfi_open());
    ipfi_put(server, b'f'.into());
    ipfi_offer(server, 1, 0, 0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    pump(client, server);
                    ipfi_event(server);
                    pump(server, client);
                    ipfi_ping(client);
                    ipfi_free(ipfi_open());
                }
            });
        }
    });
    // Bytes of several threads get out of order: the protocol may be broken, the functions are not.
    assert!(ipfi_event(client) >= IPFI_NONE);
    ipfi_free(client);
    ipfi_free(server);
}

#[test]
fn what_is_not_taken_is_let_go() {
    let (a, b) = (ipfi_open(), ipfi_open());
    ipfi_put(b, b'f'.into());
    ipfi_offer(b, 1, 0, 0);
    ipfi_put(a, b'f'.into());
    let f = ipfi_bind(a, 0, 0).unsigned_abs();
    let (stream, callback) = (ipfi_stream(a, IPFI_OUTGOING), ipfi_callback(a));
    assert_eq!(
        (ipfi_give(a, stream.unsigned_abs()), ipfi_give(a, callback.unsigned_abs())),
        (0, 1)
    );
    assert_eq!(ipfi_give(a, stream.unsigned_abs()), IPFI_NO_THING, "given twice");
    let call = ipfi_call(a, f, 0, 0);
    pump(a, b);
    assert_eq!((ipfi_event(b), ipfi_event(b)), (IPFI_EVENT_HELLO, IPFI_EVENT_CALL));
    let incoming = ipfi_subject(b).unsigned_abs();
    assert_eq!(ipfi_event(b), IPFI_NONE);
    assert_eq!((ipfi_take_thing(b), ipfi_kind(b, incoming)), (IPFI_NONE, IPFI_KIND_INCOMING));
    assert_eq!(ipfi_answer(b, incoming), IPFI_OK);
    pump(b, a);
    let mut events = Vec::new();
    while let event @ 1.. = ipfi_event(a) {
        events.push((event, ipfi_subject(a), ipfi_code(a)));
    }
    events.sort_unstable();
    let dropped = 15;
    let expected = [
        (IPFI_EVENT_HELLO, 0, 2),
        (IPFI_EVENT_ANSWER, call, 0),
        (IPFI_EVENT_STOPPED, stream, dropped),
        (IPFI_EVENT_RELEASED, callback, 0),
    ];
    assert_eq!(events, expected);
    assert_eq!(ipfi_kind(a, stream.unsigned_abs()), IPFI_NO_THING);
    ipfi_free(a);
    ipfi_free(b);
}
