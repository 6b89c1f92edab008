//! What the guest serves, and what it does when it is told to.

use alloc::vec::Vec;
use core::time::Duration;

use ipfi_proto::{
    Code, Direction, Failure, Handle, Items, Read, Received, SendError, Started, Target,
};

use crate::guest::{Guest, Outcome, Task, Things};
use crate::value::{ARRAY, BYTES, MAP, Reader, TEXT, put_bytes, put_int, put_len};

/// All procedures; the host serves the first of them as well. The place behind the last is that of the
/// guest's callback.
pub(crate) const NAMES: [&str; 27] = [
    "echo",
    "add",
    "fail",
    "count",
    "count_into",
    "sum",
    "relay",
    "call_back",
    "hang",
    "cancelled",
    "leave",
    "ipfi.describe",
    "drive_echo",
    "drive_add",
    "drive_fail",
    "drive_missing",
    "drive_large",
    "drive_many",
    "drive_count",
    "drive_count_into",
    "drive_stop",
    "drive_sum",
    "drive_relay",
    "drive_call_back",
    "drive_cancel",
    "drive_deadline",
    // Only called, never served.
    "no_such_procedure",
];
const ECHO: usize = 0;
const ADD: usize = 1;
const FAIL: usize = 2;
const COUNT: usize = 3;
const COUNT_INTO: usize = 4;
const SUM: usize = 5;
const RELAY: usize = 6;
const CALL_BACK: usize = 7;
const HANG: usize = 8;
const CANCELLED: usize = 9;
const LEAVE: usize = 10;
const DESCRIBE: usize = 11;
const DRIVE_ECHO: usize = 12;
const DRIVE_ADD: usize = 13;
const DRIVE_FAIL: usize = 14;
const DRIVE_MISSING: usize = 15;
const DRIVE_LARGE: usize = 16;
const DRIVE_MANY: usize = 17;
const DRIVE_COUNT: usize = 18;
const DRIVE_COUNT_INTO: usize = 19;
const DRIVE_STOP: usize = 20;
const DRIVE_SUM: usize = 21;
const DRIVE_RELAY: usize = 22;
const DRIVE_CALL_BACK: usize = 23;
const DRIVE_CANCEL: usize = 24;
const DRIVE_DEADLINE: usize = 25;
pub(crate) const MISSING: usize = 26;
const CALLBACK: usize = 27;

/// How many arguments each takes.
fn arguments(procedure: usize) -> usize {
    match procedure {
        ADD | FAIL | COUNT_INTO | RELAY | CALL_BACK | DRIVE_ADD | DRIVE_FAIL => 2,
        HANG | CANCELLED | LEAVE | DRIVE_MISSING | DRIVE_CANCEL => 0,
        _ => 1,
    }
}

const NIL: [u8; 1] = [0xc0];
/// What `drive_stop` has counted, so that it never comes to the end.
const ENDLESS: i64 = 1_000_000_000;

/// Begins a task; `None` if the arguments are not those of the procedure.
pub(crate) fn begin(
    guest: &mut Guest,
    task: &mut Task,
    payload: Reader<'_>,
    things: &mut Things,
) -> Option<Outcome> {
    let wanted = arguments(task.procedure);
    let mut first = payload;
    if wanted > 0 || payload.0 != NIL {
        if first.array()? != wanted {
            return None;
        }
        let mut rest = first;
        for _ in 0..wanted {
            rest.any()?;
        }
        if !rest.0.is_empty() {
            return None;
        }
    }
    if task.procedure >= DRIVE_ECHO && task.procedure != CALLBACK {
        return drive(guest, task, first);
    }
    serve(guest, task, first, things)
}

fn serve(
    guest: &mut Guest,
    task: &mut Task,
    mut from: Reader<'_>,
    things: &mut Things,
) -> Option<Outcome> {
    Some(match task.procedure {
        ECHO => Outcome::Answer(from.0.to_vec()),
        ADD => match from.int()?.checked_add(from.int()?) {
            Some(sum) => Outcome::int(sum),
            None => Outcome::Fail(Code::FAILED, b"the sum is too large".to_vec()),
        },
        FAIL => {
            let code = Code(u32::try_from(from.int()?).ok()?);
            Outcome::Fail(code, from.bytes(true)?.to_vec())
        }
        COUNT => {
            task.n = from.int()?;
            let Ok(stream) = guest.engine.open_stream(Direction::Outgoing) else {
                return Some(Outcome::code(Code::FAILED));
            };
            task.to = Some(stream);
            // The stream outlives the call.
            guest.answer_now(task, [0].to_vec(), &[Handle::Stream(stream)]);
            writable(guest, task)
        }
        COUNT_INTO => {
            task.n = from.int()?;
            let Some(Received::Sender(to)) = things.take() else { return None };
            task.to = Some(to);
            writable(guest, task)
        }
        SUM => {
            let Some(Received::Receiver(from)) = things.take() else { return None };
            task.from = Some(from);
            Outcome::Waits
        }
        RELAY => {
            // What is of the wrong kind is let go with the others.
            if !matches!(things.0.as_slice(), [Received::Receiver(_), Received::Sender(_), ..]) {
                return None;
            }
            if let (Some(Received::Receiver(from)), Some(Received::Sender(to))) =
                (things.take(), things.take())
            {
                task.from = Some(from);
                task.to = Some(to);
            }
            Outcome::Waits
        }
        CALL_BACK => {
            from.any()?;
            task.n = from.int()?;
            let Some(Received::Callback(callback)) = things.take() else { return None };
            task.callback = Some(callback);
            call_back(guest, task)
        }
        HANG => Outcome::Waits,
        CANCELLED => Outcome::int(guest.hangs_cancelled.into()),
        LEAVE => {
            guest.leave();
            Outcome::Answer(NIL.to_vec())
        }
        DESCRIBE => describe(from)?,
        CALLBACK => Outcome::int(from.int()?.wrapping_mul(2)),
        _ => return None,
    })
}

fn drive(guest: &mut Guest, task: &mut Task, mut from: Reader<'_>) -> Option<Outcome> {
    let mut out = Vec::new();
    let mut handles = Vec::new();
    let mut deadline = None;
    let wanted = arguments(task.procedure);
    // What all do who want a number.
    let passes_on = matches!(task.procedure, DRIVE_ECHO | DRIVE_ADD | DRIVE_FAIL);
    if wanted > 0 && !passes_on {
        task.n = from.int().filter(|n| *n >= 0)?;
    }
    put_len(&mut out, wanted, ARRAY);
    let place = match task.procedure {
        DRIVE_MISSING | DRIVE_CANCEL | DRIVE_DEADLINE => {
            out = NIL.to_vec();
            if task.procedure == DRIVE_DEADLINE {
                deadline = Some(Duration::from_millis(task.n.unsigned_abs()));
            }
            if task.procedure == DRIVE_MISSING { MISSING } else { HANG }
        }
        DRIVE_LARGE => {
            let len = usize::try_from(task.n).ok()?;
            put_len(&mut out, len, BYTES);
            out.resize(out.len() + len, 7);
            ECHO
        }
        DRIVE_MANY => return Some(many(guest, task)),
        DRIVE_COUNT | DRIVE_STOP => {
            let n = if task.procedure == DRIVE_STOP { ENDLESS } else { task.n };
            put_int(&mut out, n);
            COUNT
        }
        DRIVE_COUNT_INTO => {
            out = Vec::new();
            put_len(&mut out, 2, ARRAY);
            put_int(&mut out, task.n);
            out.push(0);
            COUNT_INTO
        }
        DRIVE_SUM => {
            out.push(0);
            SUM
        }
        DRIVE_RELAY => {
            out = [0x92, 0, 1].to_vec();
            RELAY
        }
        DRIVE_CALL_BACK => {
            out = [0x92, 0].to_vec();
            put_int(&mut out, task.n);
            handles.push(Handle::Callback(guest.engine.export_callback().ok()?));
            CALL_BACK
        }
        _ => {
            out.extend_from_slice(from.0);
            task.procedure - DRIVE_ECHO
        }
    };
    if matches!(task.procedure, DRIVE_SUM | DRIVE_RELAY) {
        task.to = Some(guest.engine.open_stream(Direction::Outgoing).ok()?);
    }
    if matches!(task.procedure, DRIVE_COUNT_INTO | DRIVE_RELAY) {
        task.from = Some(guest.engine.open_stream(Direction::Incoming).ok()?);
    }
    handles.extend(task.to.into_iter().chain(task.from).map(Handle::Stream));
    let outcome = guest.call(task, place, out, &handles, deadline);
    Some(match (task.procedure, outcome) {
        (DRIVE_SUM | DRIVE_RELAY, Outcome::Waits) => writable(guest, task),
        (DRIVE_CANCEL, Outcome::Waits) => guest.call(task, ADD, [0x92, 1, 2].to_vec(), &[], None),
        (_, outcome) => outcome,
    })
}

fn many(guest: &mut Guest, task: &mut Task) -> Outcome {
    for i in 0..task.n {
        let mut out = Vec::new();
        put_len(&mut out, 2, ARRAY);
        put_int(&mut out, i);
        put_int(&mut out, 1);
        let outcome = guest.call(task, ADD, out, &[], None);
        if !matches!(outcome, Outcome::Waits) {
            return outcome;
        }
    }
    if task.n == 0 { Outcome::int(0) } else { Outcome::Waits }
}

/// Makes the next call of a callback of the host, or answers.
fn call_back(guest: &mut Guest, task: &mut Task) -> Outcome {
    match task.callback {
        Some(callback) if task.i < task.n => {
            let mut out = Vec::new();
            put_len(&mut out, 1, ARRAY);
            put_int(&mut out, task.i);
            task.i += 1;
            guest.call_target(task, &Target::Callback(callback), out, &[], None)
        }
        _ => {
            if let Some(callback) = task.callback.take() {
                guest.engine.release_callback(callback);
            }
            Outcome::int(task.sum)
        }
    }
}

/// A call of the task was answered.
pub(crate) fn answered(
    guest: &mut Guest,
    task: &mut Task,
    result: &[u8],
    things: &mut Things,
) -> Outcome {
    let number = Reader(result).int();
    match task.procedure {
        DRIVE_LARGE => match Reader(result).bytes(false) {
            Some(bytes)
                if bytes.len() as u64 == task.n.unsigned_abs()
                    && bytes.iter().all(|byte| *byte == 7) =>
            {
                Outcome::int(task.n)
            }
            _ => Outcome::code(Code::BAD_RESULT),
        },
        DRIVE_MANY | CALL_BACK => {
            let Some(number) = number else { return Outcome::code(Code::BAD_RESULT) };
            task.sum += number;
            match task.procedure {
                CALL_BACK => call_back(guest, task),
                _ if task.calls.is_empty() => Outcome::int(task.sum),
                _ => Outcome::Waits,
            }
        }
        DRIVE_COUNT | DRIVE_STOP => {
            let Some(Received::Receiver(from)) = things.take() else {
                return Outcome::code(Code::BAD_RESULT);
            };
            task.from = Some(from);
            readable(guest, task)
        }
        // Their streams say the end.
        DRIVE_COUNT_INTO | DRIVE_RELAY => Outcome::Waits,
        DRIVE_CANCEL => {
            guest.cancel_calls(task);
            Outcome::Answer(NIL.to_vec())
        }
        _ => Outcome::Answer(result.to_vec()),
    }
}

/// A call of the task failed.
pub(crate) fn failed(task: &Task, failure: Failure) -> Outcome {
    match task.procedure {
        DRIVE_FAIL => {
            let mut out = Vec::new();
            put_len(&mut out, 3, ARRAY);
            put_int(&mut out, failure.code.0.into());
            put_bytes(&mut out, failure.text.as_bytes(), TEXT);
            out.push(u8::from(failure.started == Started::Yes));
            Outcome::Answer(out)
        }
        DRIVE_MISSING | DRIVE_DEADLINE => Outcome::int(failure.code.0.into()),
        _ => Outcome::Fail(failure.code, failure.text.into_bytes()),
    }
}

/// Something came on the stream from which the task reads.
pub(crate) fn readable(guest: &mut Guest, task: &mut Task) -> Outcome {
    let Some(from) = task.from else { return Outcome::Waits };
    loop {
        if task.procedure == RELAY && !send_held(guest, task) {
            return Outcome::Waits;
        }
        if task.procedure == DRIVE_STOP && task.i == task.n {
            return Outcome::int(task.sum);
        }
        let Some(item) = task.items.as_mut().and_then(Items::take) else {
            if let Some(mut items) = task.items.take() {
                // What came in items is not for us.
                for received in items.take_handles() {
                    guest.engine.dispose(received, Code::DROPPED);
                }
                guest.engine.consume(from, items.cost());
            }
            match guest.engine.read(from) {
                Read::Items(items) => task.items = Some(items),
                Read::End { code, text } => {
                    task.from = None;
                    return if code == Code::OK {
                        ended(guest, task)
                    } else {
                        Outcome::Fail(code, text.into_bytes())
                    };
                }
                _ => return Outcome::Waits,
            }
            continue;
        };
        if task.procedure == RELAY {
            task.held = Some(item);
            continue;
        }
        match Reader(&item).int() {
            // Items of `drive_relay` count up from 0, and `sum` counts them.
            Some(n) if task.procedure == DRIVE_RELAY && n == task.sum => task.sum += 1,
            Some(n) if task.procedure != DRIVE_RELAY => task.sum = task.sum.wrapping_add(n),
            _ => return Outcome::code(Code::BAD_ARGUMENTS),
        }
        task.i += i64::from(task.procedure != DRIVE_RELAY);
    }
}

/// Sends the item that could not be sent before; whether there is room for the next.
fn send_held(guest: &mut Guest, task: &mut Task) -> bool {
    let (Some(item), Some(to)) = (task.held.take(), task.to) else { return true };
    if guest.engine.send_item(to, &item) == Err(SendError::Blocked) {
        task.held = Some(item);
        return false;
    }
    task.i += 1;
    true
}

/// All items came.
fn ended(guest: &mut Guest, task: &mut Task) -> Outcome {
    if task.procedure == RELAY {
        if let Some(to) = task.to.take() {
            guest.engine.finish(to);
        }
        return Outcome::int(task.i);
    }
    // The call that carried the stream may be answered later; nobody needs to know.
    Outcome::int(task.sum)
}

/// There is room on the stream on which the task sends.
pub(crate) fn writable(guest: &mut Guest, task: &mut Task) -> Outcome {
    if task.procedure == RELAY {
        return readable(guest, task);
    }
    let Some(to) = task.to else { return Outcome::Waits };
    let mut item = Vec::new();
    while task.i < task.n {
        item.clear();
        put_int(&mut item, task.i);
        if guest.engine.send_item(to, &item).is_err() {
            return Outcome::Waits;
        }
        task.i += 1;
    }
    guest.engine.finish(to);
    Outcome::Waits
}

/// The stream on which the task sends is over.
pub(crate) fn stopped(task: &Task, code: Code) -> Outcome {
    match task.procedure {
        COUNT | COUNT_INTO => Outcome::int(task.i),
        DRIVE_SUM | DRIVE_RELAY => Outcome::Waits,
        _ => Outcome::code(code),
    }
}

fn describe(mut known: Reader<'_>) -> Option<Outcome> {
    // Never changes without the names, which are all there is.
    const HASH: i64 = 0x6775_6573_7401;
    let served = NAMES.iter().take(MISSING);
    let mut out = Vec::new();
    let text = |out: &mut Vec<u8>, text: &str| put_bytes(out, text.as_bytes(), TEXT);
    put_len(&mut out, 1, MAP);
    for _ in 0..known.array()? {
        let mut one = known;
        known.any()?;
        if one.int() == Some(HASH) {
            text(&mut out, "Known");
            put_int(&mut out, HASH);
            return Some(Outcome::Answer(out));
        }
    }
    text(&mut out, "New");
    put_len(&mut out, 2, MAP);
    text(&mut out, "hash");
    put_int(&mut out, HASH);
    text(&mut out, "procedures");
    put_len(&mut out, MISSING, ARRAY);
    for name in served {
        put_len(&mut out, 4, MAP);
        for (key, value) in [("name", *name), ("signature", "_"), ("doc", "")] {
            text(&mut out, key);
            text(&mut out, value);
        }
        text(&mut out, "fingerprint");
        out.push(0);
    }
    Some(Outcome::Answer(out))
}
