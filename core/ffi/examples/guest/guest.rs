//! The engine, and the tasks that wait for its events.

use alloc::boxed::Box;
use alloc::vec::{self, Vec};
use core::mem::take;
use core::time::Duration;

use ipfi_proto::{
    CallError, CallId, CallOptions, Called, Cause, Code, Config, Connection, Event, Failure,
    Handle, IncomingId, Instant, Received, RemoteCallbackId, Started, StreamId, Target,
};

use crate::procedures::{self, CALLBACK, MISSING, NAMES, UNKNOWN};
use crate::value::{Reader, put_int};

pub(crate) struct Guest {
    pub(crate) engine: Connection,
    now: Instant,
    /// What the host bound: places in `NAMES`.
    bound: Vec<usize>,
    /// Procedures of the host that are bound already: places in `NAMES`, and what they are called by.
    host: Vec<(usize, Target)>,
    #[expect(clippy::vec_box, reason = "to move a pointer is less code than to move a task")]
    tasks: Vec<Box<Task>>,
    /// The result, error text, arguments or item that is being written.
    pub(crate) out: Vec<u8>,
    pub(crate) hangs_cancelled: u32,
    pub(crate) closed: i32,
}

/// A procedure that runs until something happens.
#[derive(Default)]
pub(crate) struct Task {
    /// Its place in `NAMES`.
    pub(crate) procedure: usize,
    caller: Option<IncomingId>,
    pub(crate) calls: Vec<CallId>,
    pub(crate) from: Option<StreamId>,
    pub(crate) to: Option<StreamId>,
    pub(crate) callback: Option<RemoteCallbackId>,
    /// How much it has to do, and how far it is.
    pub(crate) n: i64,
    pub(crate) i: i64,
    pub(crate) sum: i64,
    /// Items that were read from the engine.
    pub(crate) items: Option<ipfi_proto::Items>,
}

/// What became of a task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It waits for more.
    Waits,
    /// It is answered with what was written.
    Answer,
    /// It failed, and what was written says more.
    Fail(Code),
    /// It was not even begun.
    Refuse(Code),
}

/// By what a task is found.
enum Wanted {
    Caller(IncomingId),
    Call(CallId),
    From(StreamId),
    To(StreamId),
}

/// What came with a message, until somebody takes it.
pub(crate) struct Things(vec::IntoIter<Received>);

impl Things {
    /// The next one, if it is a stream to read from.
    pub(crate) fn receiver(&mut self) -> Option<StreamId> {
        let &[Received::Receiver(stream), ..] = self.0.as_slice() else { return None };
        self.0.next();
        Some(stream)
    }

    /// The next one, if it is a stream to send on.
    pub(crate) fn sender(&mut self) -> Option<StreamId> {
        let &[Received::Sender(stream), ..] = self.0.as_slice() else { return None };
        self.0.next();
        Some(stream)
    }

    /// The next one, if it is a callback.
    pub(crate) fn callback(&mut self) -> Option<RemoteCallbackId> {
        let &[Received::Callback(callback), ..] = self.0.as_slice() else { return None };
        self.0.next();
        Some(callback)
    }
}

impl Guest {
    pub(crate) fn new() -> Self {
        let now = Instant::from_micros(0);
        let mut config = Config::default();
        config.codec = 2;
        Self {
            engine: Connection::new(config, now),
            now,
            bound: Vec::new(),
            host: Vec::new(),
            tasks: Vec::new(),
            out: Vec::new(),
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
        self.now = Instant::from_micros(self.now.as_micros() + u64::from(micros));
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
                let procedure = match &called {
                    Called::Procedure(number) => {
                        self.bound.get(*number as usize).copied().unwrap_or(UNKNOWN)
                    }
                    Called::Named { name, .. } => place(name),
                    _ => CALLBACK,
                };
                let mut task = Box::new(Task { procedure, caller: Some(call), ..Task::default() });
                let mut things = Things(handles.into_iter());
                let begun = procedures::begin(self, &mut task, Reader(&payload), &mut things);
                let outcome = begun.unwrap_or_else(|| {
                    self.out.clear();
                    Outcome::Refuse(Code::BAD_ARGUMENTS)
                });
                self.settle(task, outcome);
                self.let_go(things);
            }
            Event::Cancelled { call, code } => {
                if let Some(task) = self.find(&Wanted::Caller(call)) {
                    self.hangs_cancelled += u32::from(NAMES.get(task.procedure) == Some(&"hang"));
                    self.settle(task, Outcome::Fail(code));
                }
            }
            Event::Answer { call, payload, handles } => {
                let mut things = Things(handles.into_iter());
                if let Some(mut task) = self.find(&Wanted::Call(call)) {
                    let outcome = procedures::answered(self, &mut task, &payload, &mut things);
                    self.settle(task, outcome);
                }
                self.let_go(things);
            }
            Event::Failed { call, failure } => {
                if let Some(task) = self.find(&Wanted::Call(call)) {
                    let outcome = procedures::failed(self, &task, &failure);
                    self.settle(task, outcome);
                }
            }
            Event::Readable(stream) => {
                if let Some(mut task) = self.find(&Wanted::From(stream)) {
                    let outcome = procedures::readable(self, &mut task);
                    self.settle(task, outcome);
                }
            }
            Event::Writable(stream) => {
                if let Some(mut task) = self.find(&Wanted::To(stream)) {
                    let outcome = procedures::writable(self, &mut task);
                    self.settle(task, outcome);
                }
            }
            Event::Stopped { stream, code } => {
                if let Some(mut task) = self.find(&Wanted::To(stream)) {
                    task.to = None;
                    let outcome = procedures::stopped(self, &task, code);
                    self.settle(task, outcome);
                }
            }
            Event::Closed { cause } => {
                self.tasks.clear();
                self.closed = if matches!(cause, Cause::Protocol(_)) { 2 } else { 1 };
            }
            _ => {}
        }
    }

    /// What nobody took.
    fn let_go(&mut self, things: Things) {
        for received in things.0 {
            self.engine.dispose(received, Code::DROPPED);
        }
    }

    /// Takes the task that is meant out of those that wait; if that is for a call, it waits for that no more.
    fn find(&mut self, wanted: &Wanted) -> Option<Box<Task>> {
        let at = self.tasks.iter_mut().position(|task| match *wanted {
            Wanted::Caller(caller) => task.caller == Some(caller),
            Wanted::Call(call) => {
                let at = task.calls.iter().position(|other| *other == call);
                at.map(|at| task.calls.swap_remove(at)).is_some()
            }
            Wanted::From(stream) => task.from == Some(stream),
            Wanted::To(stream) => task.to == Some(stream),
        })?;
        Some(self.tasks.swap_remove(at))
    }

    /// Keeps a task that waits. Else it ends: whatever it still has is let go.
    fn settle(&mut self, task: Box<Task>, outcome: Outcome) {
        let failure = match outcome {
            Outcome::Waits => return self.tasks.push(task),
            Outcome::Answer => None,
            Outcome::Fail(code) => Some(Failure::new(code, Started::Yes)),
            Outcome::Refuse(code) => Some(Failure::new(code, Started::No)),
        };
        let out = take(&mut self.out);
        if let Some(caller) = task.caller {
            if let Some(failure) = failure {
                let text = alloc::string::String::from_utf8(out).unwrap_or_default();
                self.engine.fail(caller, &failure.with_text(text));
            } else {
                let _ = self.engine.answer(self.now, caller, out.into(), &[]);
            }
        }
        for call in task.calls {
            self.engine.cancel(call, Code::CANCELLED);
        }
        if let Some(from) = task.from {
            self.engine.stop(from, Code::CANCELLED);
        }
        if let Some(to) = task.to {
            self.engine.reset(to, Code::CANCELLED, "");
        }
        if let Some(callback) = task.callback {
            self.engine.release_callback(callback);
        }
    }

    /// Writes a number.
    pub(crate) fn int(&mut self, value: i64) -> Outcome {
        put_int(&mut self.out, value);
        Outcome::Answer
    }

    /// Answers a call at once with what was written, and a stream in it; the task goes on without its caller.
    pub(crate) fn answer_now(&mut self, task: &mut Task, stream: StreamId) {
        let out = take(&mut self.out);
        if let Some(caller) = task.caller.take() {
            let _ = self.engine.answer(self.now, caller, out.into(), &[Handle::Stream(stream)]);
        }
    }

    /// Calls a procedure of the host by its place in `NAMES`, for a task, with what was written.
    pub(crate) fn call(
        &mut self,
        task: &mut Task,
        place: usize,
        handles: &[Handle],
        deadline: Option<Duration>,
    ) -> Outcome {
        let known = self.host.iter().find(|(other, _)| *other == place);
        let target = match known {
            Some((_, target)) => target.clone(),
            None => {
                let name = NAMES.get(place).copied().unwrap_or_default();
                let target = self.engine.bind(name, 0);
                self.host.push((place, target.clone()));
                target
            }
        };
        self.call_target(task, &target, handles, deadline)
    }

    pub(crate) fn call_target(
        &mut self,
        task: &mut Task,
        target: &Target,
        handles: &[Handle],
        deadline: Option<Duration>,
    ) -> Outcome {
        let options = CallOptions { deadline, ..CallOptions::default() };
        let out = take(&mut self.out);
        match self.engine.open_call(self.now, target, out.into(), handles, options) {
            Ok(call) => {
                task.calls.push(call);
                Outcome::Waits
            }
            Err(CallError::TooLarge { .. }) => Outcome::Fail(Code::TOO_LARGE),
            Err(_) => Outcome::Fail(Code::FAILED),
        }
    }
}

/// Where a procedure stands in `NAMES`, if it is served.
fn place(name: &str) -> usize {
    NAMES.iter().take(MISSING).position(|other| *other == name).unwrap_or(UNKNOWN)
}
