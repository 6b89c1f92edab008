//! What the guest serves, and what it does when it is told to.

use alloc::vec::Vec;
use core::time::Duration;

use ipfi_proto::{Code, Direction, Failure, Handle, Items, Read, SendError, Started, Target};

use crate::guest::{Guest, Outcome, Task, Things};
use crate::value::{Reader, put_int, put_sevens, put_text};

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
pub(crate) const CALLBACK: usize = 27;
/// What is not in the list.
pub(crate) const UNKNOWN: usize = 28;

/// How many arguments each takes.
fn arguments(procedure: usize) -> u8 {
    match procedure {
        ADD | FAIL | COUNT_INTO | RELAY | CALL_BACK | DRIVE_ADD | DRIVE_FAIL => 2,
        HANG | CANCELLED | LEAVE | DRIVE_MISSING | DRIVE_CANCEL => 0,
        _ => 1,
    }
}

const NIL: u8 = 0xc0;
const BAD_RESULT: Outcome = Outcome::Fail(Code::BAD_RESULT);

/// Begins a task; `None` if the arguments are not those of the procedure.
pub(crate) fn begin(
    guest: &mut Guest,
    task: &mut Task,
    payload: Reader<'_>,
    things: &mut Things,
) -> Option<Outcome> {
    if task.procedure == UNKNOWN {
        return Some(Outcome::Refuse(Code::NO_SUCH_PROCEDURE));
    }
    let wanted = arguments(task.procedure).into();
    let mut first = payload;
    if wanted > 0 || payload.0 != [NIL] {
        if first.array()? != wanted {
            return None;
        }
        let mut rest = first;
        rest.skip(wanted)?;
        if !rest.0.is_empty() {
            return None;
        }
    }
    if (DRIVE_ECHO..=DRIVE_DEADLINE).contains(&task.procedure) {
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
        ECHO => {
            guest.out.extend_from_slice(from.0);
            Outcome::Answer
        }
        ADD => match from.int()?.checked_add(from.int()?) {
            Some(sum) => guest.int(sum),
            None => {
                guest.out.extend_from_slice(b"the sum is too large");
                Outcome::Fail(Code::FAILED)
            }
        },
        FAIL => {
            let code = Code(u32::try_from(from.int()?).ok()?);
            guest.out.extend_from_slice(from.text()?);
            Outcome::Fail(code)
        }
        COUNT => {
            task.n = from.int()?;
            let Ok(stream) = guest.engine.open_stream(Direction::Outgoing) else {
                return Some(Outcome::Fail(Code::FAILED));
            };
            task.to = Some(stream);
            // The stream outlives the call.
            guest.out.push(0);
            guest.answer_now(task, stream);
            writable(guest, task)
        }
        COUNT_INTO => {
            task.n = from.int()?;
            task.to = Some(things.sender()?);
            writable(guest, task)
        }
        SUM => {
            task.from = Some(things.receiver()?);
            Outcome::Waits
        }
        RELAY => {
            task.from = Some(things.receiver()?);
            task.to = Some(things.sender()?);
            Outcome::Waits
        }
        CALL_BACK => {
            from.skip(1)?;
            task.n = from.int()?;
            task.callback = Some(things.callback()?);
            call_back(guest, task)
        }
        HANG => Outcome::Waits,
        CANCELLED => guest.int(guest.hangs_cancelled.into()),
        LEAVE => {
            guest.leave();
            guest.out.push(NIL);
            Outcome::Answer
        }
        DESCRIBE => describe(guest, from)?,
        // The guest's callback.
        _ => guest.int(from.int()?.wrapping_mul(2)),
    })
}

// In arguments that are given below, bytes that mean nothing in `MessagePack`:
/// the number that the guest was told,
const N: u8 = 0xc1;
/// what the guest was told, all of it,
const ALL: u8 = 0xc7;
/// as many bytes as it was told.
const BYTES: u8 = 0xc8;

/// What of the host each calls, and with which arguments.
fn driven(procedure: usize) -> (usize, &'static [u8]) {
    match procedure {
        DRIVE_ECHO => (ECHO, &[0x91, ALL]),
        DRIVE_ADD => (ADD, &[0x92, ALL]),
        DRIVE_FAIL => (FAIL, &[0x92, ALL]),
        DRIVE_MISSING => (MISSING, &[NIL]),
        DRIVE_LARGE => (ECHO, &[0x91, BYTES]),
        DRIVE_COUNT => (COUNT, &[0x91, N]),
        DRIVE_COUNT_INTO => (COUNT_INTO, &[0x92, N, 0]),
        // A billion, so that it never comes to the end.
        DRIVE_STOP => (COUNT, &[0x91, 0xce, 0x3b, 0x9a, 0xca, 0]),
        DRIVE_SUM => (SUM, &[0x91, 0]),
        DRIVE_RELAY => (RELAY, &[0x92, 0, 1]),
        DRIVE_CALL_BACK => (CALL_BACK, &[0x92, 0, N]),
        _ => (HANG, &[NIL]),
    }
}

fn drive(guest: &mut Guest, task: &mut Task, mut from: Reader<'_>) -> Option<Outcome> {
    let all = from.0;
    // What all are told but those who pass it on.
    if task.procedure > DRIVE_FAIL && arguments(task.procedure) > 0 {
        task.n = from.int().filter(|n| *n >= 0)?;
    }
    if task.procedure == DRIVE_MANY {
        return Some(many(guest, task));
    }
    let (place, template) = driven(task.procedure);
    for &byte in template {
        match byte {
            N => put_int(&mut guest.out, task.n),
            ALL => guest.out.extend_from_slice(all),
            BYTES => {
                let len = usize::try_from(task.n).ok()?;
                if len > guest.engine.peer_limits().max_message {
                    guest.out.clear();
                    return Some(Outcome::Fail(Code::TOO_LARGE));
                }
                put_sevens(&mut guest.out, len);
            }
            _ => guest.out.push(byte),
        }
    }
    let mut handles = Vec::new();
    if matches!(task.procedure, DRIVE_SUM | DRIVE_RELAY) {
        let stream = guest.engine.open_stream(Direction::Outgoing).ok()?;
        task.to = Some(stream);
        handles.push(Handle::Stream(stream));
    }
    if matches!(task.procedure, DRIVE_COUNT_INTO | DRIVE_RELAY) {
        let stream = guest.engine.open_stream(Direction::Incoming).ok()?;
        task.from = Some(stream);
        handles.push(Handle::Stream(stream));
    }
    if task.procedure == DRIVE_CALL_BACK {
        handles.push(Handle::Callback(guest.engine.export_callback().ok()?));
    }
    let millis = Duration::from_millis(task.n.unsigned_abs());
    let deadline = (task.procedure == DRIVE_DEADLINE).then_some(millis);
    let outcome = guest.call(task, place, &handles, deadline);
    Some(match task.procedure {
        _ if outcome != Outcome::Waits => outcome,
        DRIVE_SUM | DRIVE_RELAY => writable(guest, task),
        DRIVE_CANCEL => {
            guest.out.extend_from_slice(&[0x92, 1, 2]);
            guest.call(task, ADD, &[], None)
        }
        _ => outcome,
    })
}

fn many(guest: &mut Guest, task: &mut Task) -> Outcome {
    for i in 0..task.n {
        guest.out.push(0x92);
        put_int(&mut guest.out, i);
        guest.out.push(1);
        let outcome = guest.call(task, ADD, &[], None);
        if outcome != Outcome::Waits {
            return outcome;
        }
    }
    if task.n == 0 { guest.int(0) } else { Outcome::Waits }
}

/// Makes the next call of a callback of the host, or answers.
fn call_back(guest: &mut Guest, task: &mut Task) -> Outcome {
    match task.callback {
        Some(callback) if task.i < task.n => {
            guest.out.push(0x91);
            put_int(&mut guest.out, task.i);
            task.i += 1;
            guest.call_target(task, &Target::Callback(callback), &[], None)
        }
        // It is released with whatever else the task has.
        _ => guest.int(task.sum),
    }
}

/// A call of the task was answered.
pub(crate) fn answered(
    guest: &mut Guest,
    task: &mut Task,
    result: &[u8],
    things: &mut Things,
) -> Outcome {
    match task.procedure {
        DRIVE_LARGE => match Reader(result).bytes() {
            Some(bytes)
                if bytes.len() as u64 == task.n.unsigned_abs()
                    && bytes.iter().all(|byte| *byte == 7) =>
            {
                guest.int(task.n)
            }
            _ => BAD_RESULT,
        },
        DRIVE_MANY | CALL_BACK => {
            let Some(number) = Reader(result).int() else { return BAD_RESULT };
            task.sum += number;
            match task.procedure {
                CALL_BACK => call_back(guest, task),
                _ if task.calls.is_empty() => guest.int(task.sum),
                _ => Outcome::Waits,
            }
        }
        DRIVE_COUNT | DRIVE_STOP => {
            task.from = things.receiver();
            if task.from.is_none() {
                return BAD_RESULT;
            }
            readable(guest, task)
        }
        // Their streams say the end.
        DRIVE_COUNT_INTO | DRIVE_RELAY => Outcome::Waits,
        DRIVE_CANCEL => {
            // The other call is cancelled with whatever else the task has.
            guest.out.push(NIL);
            Outcome::Answer
        }
        _ => {
            guest.out.extend_from_slice(result);
            Outcome::Answer
        }
    }
}

/// A call of the task failed.
pub(crate) fn failed(guest: &mut Guest, task: &Task, failure: &Failure) -> Outcome {
    let (code, text) = (failure.code.0.into(), failure.text.as_bytes());
    match task.procedure {
        DRIVE_FAIL => {
            guest.out.push(0x93);
            put_int(&mut guest.out, code);
            put_text(&mut guest.out, text);
            guest.out.push(u8::from(failure.started == Started::Yes));
            Outcome::Answer
        }
        DRIVE_MISSING | DRIVE_DEADLINE => guest.int(code),
        _ => {
            guest.out.extend_from_slice(text);
            Outcome::Fail(failure.code)
        }
    }
}

/// Something came on the stream from which the task reads.
pub(crate) fn readable(guest: &mut Guest, task: &mut Task) -> Outcome {
    let Some(from) = task.from else { return Outcome::Waits };
    loop {
        if task.procedure == DRIVE_STOP && task.i == task.n {
            return guest.int(task.sum);
        }
        let Some(items) = &mut task.items else {
            match guest.engine.read(from) {
                Read::Items(items) => task.items = Some(items),
                Read::End { code, text } => {
                    task.from = None;
                    if code == Code::OK {
                        return ended(guest, task);
                    }
                    guest.out.extend_from_slice(text.as_bytes());
                    return Outcome::Fail(code);
                }
                _ => return Outcome::Waits,
            }
            continue;
        };
        let Some(item) = items.peek() else {
            let_go(guest, items);
            guest.engine.consume(from, items.cost());
            task.items = None;
            continue;
        };
        match (task.procedure, task.to) {
            (RELAY, Some(to)) => {
                if guest.engine.send_item(to, item) == Err(SendError::Blocked) {
                    return Outcome::Waits;
                }
                task.i += 1;
            }
            (RELAY, None) => {}
            (procedure, _) => match Reader(item).int() {
                // Items of `drive_relay` count up from 0, and `sum` counts them.
                Some(n) if procedure == DRIVE_RELAY && n == task.sum => task.sum += 1,
                Some(n) if procedure != DRIVE_RELAY => {
                    task.sum = task.sum.wrapping_add(n);
                    task.i += 1;
                }
                _ => return Outcome::Fail(Code::BAD_ARGUMENTS),
            },
        }
        items.next();
    }
}

/// What came in items is not for us.
fn let_go(guest: &mut Guest, items: &mut Items) {
    for received in items.take_handles() {
        guest.engine.dispose(received, Code::DROPPED);
    }
}

/// All items came.
fn ended(guest: &mut Guest, task: &mut Task) -> Outcome {
    if task.procedure == RELAY {
        if let Some(to) = task.to.take() {
            guest.engine.finish(to);
        }
        return guest.int(task.i);
    }
    // The call that carried the stream may be answered later; nobody needs to know.
    guest.int(task.sum)
}

/// There is room on the stream on which the task sends.
pub(crate) fn writable(guest: &mut Guest, task: &mut Task) -> Outcome {
    if task.procedure == RELAY {
        return readable(guest, task);
    }
    let Some(to) = task.to else { return Outcome::Waits };
    while task.i < task.n {
        put_int(&mut guest.out, task.i);
        let sent = guest.engine.send_item(to, &guest.out);
        guest.out.clear();
        if sent.is_err() {
            return Outcome::Waits;
        }
        task.i += 1;
    }
    guest.engine.finish(to);
    Outcome::Waits
}

/// The stream on which the task sent is over.
pub(crate) fn stopped(guest: &mut Guest, task: &Task, code: Code) -> Outcome {
    match task.procedure {
        COUNT | COUNT_INTO => guest.int(task.i),
        DRIVE_SUM | DRIVE_RELAY => Outcome::Waits,
        _ => Outcome::Fail(code),
    }
}

/// Tells all names, or that nothing changed: the names are all there is.
fn describe(guest: &mut Guest, mut known: Reader<'_>) -> Option<Outcome> {
    const HASH: i64 = 0x6775_6573_7401;
    for _ in 0..known.array()? {
        let mut one = known;
        known.skip(1)?;
        if one.int() == Some(HASH) {
            guest.out.extend_from_slice(b"\x81\xa5Known");
            return Some(guest.int(HASH));
        }
    }
    guest.out.extend_from_slice(b"\x81\xa3New\x82\xa4hash");
    put_int(&mut guest.out, HASH);
    guest.out.extend_from_slice(b"\xaaprocedures\xdc\0");
    guest.out.push(MISSING.to_le_bytes()[0]);
    for name in NAMES.iter().take(MISSING) {
        guest.out.extend_from_slice(b"\x84\xa4name");
        put_text(&mut guest.out, name.as_bytes());
        guest.out.extend_from_slice(b"\xa9signature\xa1_\xa3doc\xa0\xabfingerprint\0");
    }
    Some(Outcome::Answer)
}
