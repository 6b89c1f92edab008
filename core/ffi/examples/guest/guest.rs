//! The engine, and the tasks that wait for its events.

use alloc::vec::Vec;
use core::time::Duration;

use ipfi_proto::{
    CallError, CallId, CallOptions, Called, Cause, Code, Config, Connection, Event, Failure,
    Handle, IncomingId, Instant, Received, RemoteCallbackId, Started, StreamId, Target,
};

use crate::procedures::{self, MISSING, NAMES};
use crate::value::{Reader, put_int};

pub(crate) struct Guest {
    pub(crate) engine: Connection,
    now: Instant,
    /// What the host bound: places in `NAMES`.
    bound: Vec<Option<usize>>,
    /// Procedures of the host that are bound already: places in `NAMES`, and what they are called by.
    host: Vec<(usize, Target)>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) hangs_cancelled: u32,
    pub(crate) closed: i32,
}

/// A procedure that runs until something happens.
#[derive(Default)]
pub(crate) struct Task {
    /// Its place in `NAMES`.
    pub(crate) procedure: usize,
    pub(crate) caller: Option<IncomingId>,
    pub(crate) calls: Vec<CallId>,
    pub(crate) from: Option<StreamId>,
    pub(crate) to: Option<StreamId>,
    pub(crate) callback: Option<RemoteCallbackId>,
    /// How much it has to do, and how far it is.
    pub(crate) n: i64,
    pub(crate) i: i64,
    pub(crate) sum: i64,
    /// An item that was read and could not be sent yet.
    pub(crate) held: Option<Vec<u8>>,
    /// Items that were read from the engine.
    pub(crate) items: Option<ipfi_proto::Items>,
}

/// What became of a task.
pub(crate) enum Outcome {
    /// It waits for more.
    Waits,
    /// It is answered with this.
    Answer(Vec<u8>),
    /// It failed.
    Fail(Code, Vec<u8>),
}

impl Outcome {
    pub(crate) fn int(value: i64) -> Self {
        let mut out = Vec::new();
        put_int(&mut out, value);
        Self::Answer(out)
    }

    pub(crate) fn code(code: Code) -> Self {
        Self::Fail(code, Vec::new())
    }
}

/// What came with arguments, until somebody takes it.
pub(crate) struct Things(pub(crate) Vec<Received>);

impl Things {
    /// The next one.
    pub(crate) fn take(&mut self) -> Option<Received> {
        if self.0.is_empty() { None } else { Some(self.0.remove(0)) }
    }
}

impl Guest {
    pub(crate) fn new() -> Self {
        let now = Instant::from_micros(0);
        let config = Config::default().with_codec(2);
        Self {
            engine: Connection::new(config, now),
            now,
            bound: Vec::new(),
            host: Vec::new(),
            tasks: Vec::new(),
            hangs_cancelled: 0,
            closed: 0,
        }
    }

    pub(crate) fn receive(&mut self, byte: u8) -> i32 {
        // A breach is told by an event as well.
        let _ = self.engine.receive(self.now, &[byte]);
        self.run();
        0
    }

    pub(crate) fn receive_end(&mut self) -> i32 {
        self.engine.receive_end();
        self.run();
        0
    }

    pub(crate) fn transmit(&mut self) -> i32 {
        let mut byte = [0];
        let n = self.engine.poll_transmit(self.now, &mut byte);
        self.run();
        if n == 0 { -1 } else { byte[0].into() }
    }

    pub(crate) fn elapse(&mut self, micros: u32) -> i32 {
        self.now = self.now + Duration::from_micros(micros.into());
        self.engine.handle_timeout(self.now);
        self.run();
        0
    }

    pub(crate) fn timeout(&self) -> i32 {
        let Some(at) = self.engine.poll_timeout() else { return -1 };
        let micros = at.as_micros().saturating_sub(self.now.as_micros());
        i32::try_from(micros / 1000 + 1).unwrap_or(i32::MAX)
    }

    pub(crate) fn leave(&mut self) {
        self.engine.close(self.now, None);
    }

    fn run(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            self.on_event(event);
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Bound { name, .. } => self.bound.push(place(&name)),
            Event::Call { call, called, payload, handles, .. } => {
                let place = match &called {
                    Called::Procedure(number) => {
                        self.bound.get(*number as usize).copied().flatten()
                    }
                    Called::Named { name, .. } => place(name),
                    _ => Some(NAMES.len()),
                };
                self.on_call(call, place, &payload, Things(handles));
            }
            Event::Cancelled { call, code } => {
                let found = self.tasks.iter().position(|task| task.caller == Some(call));
                if let Some(task) = found.map(|at| self.tasks.swap_remove(at)) {
                    self.hangs_cancelled += u32::from(NAMES.get(task.procedure) == Some(&"hang"));
                    self.end(task, Outcome::code(code));
                }
            }
            Event::Answer { call, payload, handles } => {
                let mut things = Things(handles);
                self.with_task(
                    |task| forget(&mut task.calls, call),
                    |guest, task| procedures::answered(guest, task, &payload, &mut things),
                );
                self.let_go(things);
            }
            Event::Failed { call, failure } => self.with_task(
                |task| forget(&mut task.calls, call),
                |_, task| procedures::failed(task, failure),
            ),
            Event::Readable(stream) => {
                self.with_task(|task| task.from == Some(stream), procedures::readable);
            }
            Event::Writable(stream) => {
                self.with_task(|task| task.to == Some(stream), procedures::writable);
            }
            Event::Stopped { stream, code } => self.with_task(
                |task| task.to.take_if(|to| *to == stream).is_some(),
                |_, task| procedures::stopped(task, code),
            ),
            Event::Closed { cause } => {
                self.tasks.clear();
                self.closed = if matches!(cause, Cause::Protocol(_)) { 2 } else { 1 };
            }
            _ => {}
        }
    }

    fn on_call(
        &mut self,
        call: IncomingId,
        place: Option<usize>,
        payload: &[u8],
        mut things: Things,
    ) {
        let failure = match place {
            None => Some(Code::NO_SUCH_PROCEDURE),
            Some(place) => {
                let mut task = Task { procedure: place, caller: Some(call), ..Task::default() };
                match procedures::begin(self, &mut task, Reader(payload), &mut things) {
                    None => Some(Code::BAD_ARGUMENTS),
                    Some(outcome) => {
                        self.settle(task, outcome);
                        None
                    }
                }
            }
        };
        if let Some(code) = failure {
            self.engine.fail(call, &Failure::new(code, Started::No));
        }
        self.let_go(things);
    }

    /// What nobody took.
    fn let_go(&mut self, things: Things) {
        for received in things.0 {
            self.engine.dispose(received, Code::DROPPED);
        }
    }

    /// Goes on with the task that is meant.
    fn with_task(
        &mut self,
        is_meant: impl FnMut(&mut Task) -> bool,
        go_on: impl FnOnce(&mut Self, &mut Task) -> Outcome,
    ) {
        if let Some(at) = self.tasks.iter_mut().position(is_meant) {
            let mut task = self.tasks.swap_remove(at);
            let outcome = go_on(self, &mut task);
            self.settle(task, outcome);
        }
    }

    fn settle(&mut self, task: Task, outcome: Outcome) {
        match outcome {
            Outcome::Waits => self.tasks.push(task),
            outcome => self.end(task, outcome),
        }
    }

    /// The end of a task: whatever it still has is let go.
    fn end(&mut self, task: Task, outcome: Outcome) {
        if let Some(caller) = task.caller {
            match outcome {
                Outcome::Answer(result) => {
                    let _ = self.engine.answer(self.now, caller, result.into(), &[]);
                }
                Outcome::Fail(code, text) => {
                    let failure = Failure::new(code, Started::Yes);
                    let text = alloc::string::String::from_utf8(text).unwrap_or_default();
                    self.engine.fail(caller, &failure.with_text(text));
                }
                Outcome::Waits => {}
            }
        }
        for call in task.calls {
            self.engine.cancel(call, Code::CANCELLED);
        }
        let halves = [
            task.from.map(Received::Receiver),
            task.to.map(Received::Sender),
            task.callback.map(Received::Callback),
        ];
        for half in halves.into_iter().flatten() {
            self.engine.dispose(half, Code::CANCELLED);
        }
    }

    /// Answers a call at once, with handles; the task goes on without its caller.
    pub(crate) fn answer_now(&mut self, task: &mut Task, result: Vec<u8>, handles: &[Handle]) {
        if let Some(caller) = task.caller.take() {
            let _ = self.engine.answer(self.now, caller, result.into(), handles);
        }
    }

    /// Calls a procedure of the host by its place in `NAMES`, for a task.
    pub(crate) fn call(
        &mut self,
        task: &mut Task,
        place: usize,
        arguments: Vec<u8>,
        handles: &[Handle],
        deadline: Option<Duration>,
    ) -> Outcome {
        let known = self.host.iter().position(|(other, _)| *other == place);
        let at = known.unwrap_or_else(|| {
            let target = self.engine.bind(NAMES.get(place).copied().unwrap_or_default(), 0);
            self.host.push((place, target));
            self.host.len() - 1
        });
        match self.host.get(at) {
            Some((_, target)) => {
                let target = target.clone();
                self.call_target(task, &target, arguments, handles, deadline)
            }
            None => Outcome::code(Code::FAILED),
        }
    }

    pub(crate) fn call_target(
        &mut self,
        task: &mut Task,
        target: &Target,
        arguments: Vec<u8>,
        handles: &[Handle],
        deadline: Option<Duration>,
    ) -> Outcome {
        let options = CallOptions { deadline, ..CallOptions::default() };
        match self.engine.open_call(self.now, target, arguments.into(), handles, options) {
            Ok(call) => {
                task.calls.push(call);
                Outcome::Waits
            }
            Err(CallError::TooLarge { .. }) => Outcome::code(Code::TOO_LARGE),
            Err(_) => Outcome::code(Code::FAILED),
        }
    }

    /// Gives up the calls of a task.
    pub(crate) fn cancel_calls(&mut self, task: &mut Task) {
        for call in core::mem::take(&mut task.calls) {
            self.engine.cancel(call, Code::CANCELLED);
        }
    }
}

fn place(name: &str) -> Option<usize> {
    NAMES.iter().take(MISSING).position(|other| *other == name)
}

/// Whether it was there.
fn forget(calls: &mut Vec<CallId>, call: CallId) -> bool {
    calls.iter().position(|other| *other == call).map(|at| calls.swap_remove(at)).is_some()
}
