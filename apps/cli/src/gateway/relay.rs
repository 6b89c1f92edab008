//! What one wire says, said to another: calls, streams and callbacks under other names.

use ipfi::{
    Code, Started,
    proto::{CallOptions, Failure, Instant, Read, SendError, StreamId, Target},
};

use super::peer::{Peer, Place, Waiting, translate, unmake};

/// What became of items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    /// What they cost.
    pub(super) bytes: usize,
    /// There may be more that can go at once.
    pub(super) more: bool,
}

/// Opens a call of `from` at `to`. Says what it costs.
pub(super) fn open(
    from: &mut Peer,
    to: &mut Peer,
    target: &Target,
    waiting: Waiting,
    now: Instant,
) -> usize {
    let Waiting { call, payload, handles, deadline, priority, .. } = waiting;
    let cost = payload.len();
    let refuse = |from: &mut Peer, code, text: &str| {
        from.incoming.remove(&call);
        from.engine.fail(call, &Failure::new(code, Started::No).with_text(text));
    };
    let handles = match translate(from, to, &handles) {
        Ok(handles) => handles,
        Err(code) => {
            refuse(from, code, "too many streams or callbacks at once on the shared wire");
            return cost;
        }
    };
    // What it waited is gone.
    let deadline = deadline.map(|at| at - now);
    let options = CallOptions { deadline, priority, more: false };
    match to.engine.open_call(now, target, payload.into(), &handles, options) {
        Ok(id) => {
            from.incoming.insert(call, Place::Open(to.key, id));
            from.engine.release_arguments(call);
            to.calls.insert(id, (from.key, call));
        }
        Err(error) => {
            let code = match error {
                ipfi::proto::CallError::TooLarge { .. } => Code::TOO_LARGE,
                ipfi::proto::CallError::Released => Code::NO_SUCH_CALLBACK,
                _ => Code::GOING_AWAY,
            };
            refuse(from, code, &error.to_string());
        }
    }
    cost
}

/// Moves a batch of items of `from`'s `stream` to `to`, as far as credit goes there; only then is
/// credit given back here.
pub(super) fn pump(from: &mut Peer, to: &mut Peer, stream: StreamId) -> Moved {
    let Some(&(_, other)) = from.streams.get(&stream) else { return Moved::default() };
    let (mut items, handles) = match from.held.remove(&stream) {
        Some(held) => held,
        None => match from.engine.read(stream) {
            Read::Items(mut items) => match translate(from, to, &items.take_handles()) {
                Ok(handles) => (items, handles),
                Err(code) => {
                    let text = "too many streams or callbacks at once on the shared wire";
                    break_off(from, to, stream, code, text);
                    return Moved::default();
                }
            },
            Read::End { code, text } => {
                from.streams.remove(&stream);
                if code == Code::OK {
                    to.engine.finish(other);
                } else {
                    to.engine.reset(other, code, &text);
                }
                return Moved::default();
            }
            _ => return Moved::default(),
        },
    };
    let cost = items.cost();
    let mut moved = Moved::default();
    while let Some(item) = items.peek() {
        let bytes = item.len() + 1;
        let sent = if handles.is_empty() {
            to.engine.send_item(other, item)
        } else {
            let sent = to.engine.send_item_with(other, item.to_vec(), &handles);
            sent.map_err(|(error, _)| error)
        };
        match sent {
            Ok(()) => {
                moved.bytes += bytes;
                drop(items.take());
            }
            Err(SendError::Blocked) => {
                from.held.insert(stream, (items, handles));
                return moved;
            }
            Err(SendError::TooLarge { max }) => {
                let text = format!("longer than the {max} bytes that the other side takes");
                break_off(from, to, stream, Code::TOO_LARGE, &text);
                return Moved::default();
            }
            // It is over there, and we are told by an event.
            Err(_) => break,
        }
    }
    from.engine.consume(stream, cost);
    moved.more = true;
    moved
}

/// Ends a stream in the middle, on both sides.
fn break_off(from: &mut Peer, to: &mut Peer, stream: StreamId, code: Code, text: &str) {
    from.engine.stop(stream, code);
    if let Some((_, other)) = from.streams.remove(&stream) {
        to.streams.remove(&other);
        to.engine.reset(other, code, text);
    }
}

/// Nobody reads `stream` of `to` any more: says so to `from`.
pub(super) fn stopped(
    to: &mut Peer,
    from: &mut Peer,
    stream: StreamId,
    source: StreamId,
    code: Code,
) {
    if from.streams.get(&source) != Some(&(to.key, stream)) {
        return; // It had ended there before.
    }
    from.streams.remove(&source);
    from.backlog.remove_stream(source);
    if let Some((_, handles)) = from.held.remove(&source) {
        unmake(from, to, &handles);
    }
    from.engine.stop(source, code);
}

/// A stream that `peer` sends on, or reads, ends because the other side is not there any more.
pub(super) fn cut(peer: &mut Peer, stream: StreamId, text: &str) {
    // The handles beside what is held were made for the wire that is gone.
    peer.held.remove(&stream);
    peer.streams.remove(&stream);
    peer.backlog.remove_stream(stream);
    peer.engine.reset(stream, Code::DROPPED, text);
    peer.engine.stop(stream, Code::DROPPED);
}

/// `gone` is not there any more: what it had to do with `other` ends there.
pub(super) fn separate(gone: &Peer, other: &mut Peer, text: &str) {
    for place in gone.incoming.values() {
        if let Place::Open(key, id) = place
            && *key == other.key
            && other.calls.remove(id).is_some()
        {
            other.engine.cancel(*id, Code::CANCELLED);
        }
    }
    for (id, (_, call)) in gone.calls.iter().filter(|(_, (key, _))| *key == other.key) {
        if other.incoming.remove(call).is_some() {
            let failure = if gone.unsent.contains(id) {
                Failure::new(Code::GOING_AWAY, Started::No).with_text(text)
            } else {
                // Not WIRE_LOST: the caller's own wire is there.
                let text = format!("{text}; it may have run");
                Failure::new(Code::FAILED, Started::Maybe).with_text(text)
            };
            other.engine.fail(*call, &failure);
        }
    }
    let key = other.key;
    for (stream, (_, far)) in gone.streams.iter().filter(|(_, (of, _))| *of == key) {
        // One that has ended on its side may still be on its way here.
        if other.streams.get(far).is_some_and(|(_, near)| near == stream) {
            cut(other, *far, text);
        }
    }
    for (_, callback) in gone.given.values().filter(|(key, _)| *key == other.key) {
        if other.taken.remove(callback).is_some() {
            other.engine.release_callback(*callback);
        }
    }
    for (_, callback) in gone.taken.values().filter(|(key, _)| *key == other.key) {
        if other.given.remove(callback).is_some() {
            other.engine.revoke_callback(*callback);
        }
    }
}
