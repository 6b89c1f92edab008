//! Whatever bytes come, in whatever pieces: the engine learns the same, holds no more than it may, and
//! says at most one last thing.
#![no_main]

use ipfi_proto::{Config, Connection, Event, Failure, Instant, Limits, Read, Received, Started};
use libfuzzer_sys::fuzz_target;

/// An application that answers some of what it gets, in a way that does not depend on the pieces.
fn hear<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let now = Instant::from_micros(0);
    let config = Config::default().with_limits(Limits::smallest());
    let mut side = Connection::new(config, now);
    let mut log = Vec::new();
    let mut receivers = Vec::new();
    let mut calls = Vec::new();
    for piece in pieces {
        let _ = side.receive(now, piece);
        assert!(side.stats().buffered <= side.limits().max_buffered);
        while let Some(event) = side.poll_event() {
            if let Event::Call { call, handles, .. } = &event {
                calls.push(*call);
                receivers.extend(handles.iter().filter_map(|handle| match handle {
                    Received::Receiver(stream) => Some(*stream),
                    _ => None,
                }));
            }
            if !matches!(event, Event::Readable(_)) {
                log.push(format!("{event:?}"));
            }
        }
    }
    for stream in receivers {
        while let Read::Items(mut items) = side.read(stream) {
            while let Some(item) = items.next() {
                log.push(format!("item {item:?}"));
            }
            for handle in items.take_handles() {
                side.dispose(handle, ipfi_proto::Code::DROPPED);
            }
            side.consume(stream, items.cost());
        }
    }
    for (n, call) in calls.into_iter().enumerate() {
        if n % 2 == 0 {
            let _ = side.answer(now, call, vec![0; n * 100].into(), &[]);
        } else {
            side.fail(call, &Failure::new(ipfi_proto::Code::FAILED, Started::Yes));
        }
    }
    let mut buffer = [0; 1000];
    loop {
        let n = side.poll_transmit(now, &mut buffer);
        log.push(format!("{:x?}", &buffer[..n]));
        if n == 0 {
            break;
        }
    }
    side.receive_end();
    while side.poll_event().is_some() {}
    assert_eq!(side.stats().buffered, 0);
    log
}

fuzz_target!(|data: (Vec<u8>, u8)| {
    let (mut bytes, piece) = data;
    // Most strangers would not get past the first byte.
    if piece & 1 == 0 {
        bytes.splice(0..0, [0x1f, 0xf1, 1, 1, 0x75, 0xa6, 0x56, 0x77]);
    }
    let whole = hear([&bytes[..]].into_iter());
    assert_eq!(hear(bytes.chunks(1 + usize::from(piece >> 1))), whole);
});
