//! One call, from its opening to its last item.

use std::collections::BTreeMap;

use ipfi::{
    Code, Started,
    proto::{
        CallId, CallOptions, CallbackId, Called, Direction, Event, Failure, Handle, IncomingId,
        Read, Received, StreamId, Target,
    },
};

use tokio::time::Instant;

use super::{Arguments, Call, Calling, Procedure, input::Input};
use crate::{
    connect::decline,
    exit::Error,
    json::{self, Given},
    link::Link,
    output::Output,
    signature::Type,
};

/// How a call ended that was made.
pub(super) enum Outcome {
    Done,
    Failed(Failure),
}

/// One call and all that belongs to it.
pub(super) struct Session<'a> {
    args: &'a Call,
    link: &'a mut Link,
    out: &'a mut Output,
    call: CallId,
    result: Type,
    answered: bool,
    /// The result, which is printed after the items.
    last: Option<String>,
    input: Option<Input>,
    outputs: BTreeMap<StreamId, Type>,
    callbacks: BTreeMap<CallbackId, (Vec<Type>, Vec<u8>)>,
    /// Calls of callbacks that are shown, and answered when there is room for more.
    unanswered: Vec<(IncomingId, Vec<u8>)>,
    broken: Option<Error>,
}

impl<'a> Session<'a> {
    /// Opens the call.
    pub(super) fn open(
        calling: &Calling<'a>,
        link: &'a mut Link,
        out: &'a mut Output,
        procedure: &Procedure,
        arguments: Arguments,
    ) -> Result<Self, Error> {
        let args = calling.args;
        let name = &args.name;
        let refused = |error: &dyn std::fmt::Display| Error::Refused(format!("`{name}`: {error}"));
        let inputs = arguments.given.iter().filter(|given| matches!(given, Given::Input(_)));
        match inputs.count() {
            0 if args.stream && !mentions_sender(&procedure.signature.result) => {
                return Err(Error::Usage(format!("`{name}` reads no stream: leave --stream out")));
            }
            2.. if args.stream => {
                let why =
                    format!("`{name}` reads more than one stream; --stream has lines for one");
                return Err(Error::Usage(why));
            }
            _ => {}
        }
        let mut input: Option<Input> = None;
        let (mut outputs, mut callbacks) = (BTreeMap::new(), BTreeMap::new());
        let mut handles = Vec::new();
        for given in arguments.given {
            let engine = &mut link.engine;
            handles.push(match given {
                Given::Input(of) => {
                    let stream = engine.open_stream(Direction::Outgoing);
                    let stream = stream.map_err(|error| refused(&error))?;
                    input = Some(Input::new(stream, of, args.stream, args.raw));
                    Handle::Stream(stream)
                }
                Given::Output(of) => {
                    let stream = engine.open_stream(Direction::Incoming);
                    let stream = stream.map_err(|error| refused(&error))?;
                    outputs.insert(stream, of);
                    Handle::Stream(stream)
                }
                Given::Print { arguments, answer } => {
                    let callback = engine.export_callback().map_err(|error| refused(&error))?;
                    callbacks.insert(callback, (arguments, answer));
                    Handle::Callback(callback)
                }
            });
        }
        let fingerprint = procedure.fingerprint;
        let target = Target::Named { name: name.clone(), fingerprint };
        let priority = args.priority.into();
        // The far side is told what is left of it.
        let deadline = calling.deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let options = CallOptions { deadline, priority, more: false };
        link.asks(name);
        link.waits("waiting");
        let now = link.now();
        let payload = arguments.payload.into();
        let call = link.engine.open_call(now, &target, payload, &handles, options);
        let call = call.map_err(|error| refused(&error))?;
        if let Some(input) = &input {
            input.begin(&mut link.engine);
        }
        Ok(Self {
            call,
            args,
            link,
            out,
            result: procedure.signature.result.clone(),
            answered: false,
            last: None,
            input,
            outputs,
            callbacks,
            unanswered: Vec::new(),
            broken: None,
        })
    }

    /// Carries it to its end. If this is dropped before, or fails, the far side is told.
    pub(super) async fn run(mut self) -> Result<Outcome, Error> {
        while !self.is_over() {
            // What somebody types or reads is not to be overwritten.
            let typed = self.input.as_ref().is_some_and(Input::is_typed);
            self.link.waits(if typed || !self.out.is_idle() { "" } else { "waiting" });
            let line = async {
                match &mut self.input {
                    Some(input) => input.line().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.link.event() => {
                    if let Some(outcome) = self.on_event(event)? {
                        return Ok(outcome);
                    }
                }
                line = line => {
                    let line = line?;
                    if let Some(input) = &mut self.input {
                        input.send(&mut self.link.engine, line)?;
                    }
                }
                written = self.out.advance(), if !self.out.is_idle() => {
                    written?;
                    self.on_room()?;
                }
            }
        }
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        if let Some(result) = self.last.take() {
            self.out.print(&result);
        }
        Ok(Outcome::Done)
    }

    fn is_over(&self) -> bool {
        let reading = self.input.as_ref().is_some_and(Input::goes_on);
        self.answered && self.outputs.is_empty() && !reading
    }

    fn on_event(&mut self, event: Event) -> Result<Option<Outcome>, Error> {
        match event {
            Event::Answer { call, payload, handles } if call == self.call => {
                self.answered = true;
                self.on_result(&payload, handles)?;
            }
            // Why the wire ended comes next.
            Event::Failed { failure, .. } if failure.code == Code::WIRE_LOST => {}
            Event::Failed { call, failure } if call == self.call => {
                self.answered = true;
                self.on_rest()?;
                return Ok(Some(Outcome::Failed(failure)));
            }
            Event::Readable(stream) => self.on_items(stream)?,
            Event::Writable(stream) => {
                if let Some(input) = self.input.as_mut().filter(|i| i.stream() == stream) {
                    input.retry(&mut self.link.engine)?;
                }
            }
            Event::Stopped { stream, .. } => {
                if let Some(input) = self.input.as_mut().filter(|i| i.stream() == stream) {
                    input.stop();
                }
            }
            Event::Call { call, called: Called::Callback(id), payload, handles, .. } => {
                for handle in handles {
                    self.link.engine.dispose(handle, Code::DROPPED);
                }
                self.on_callback(call, id, &payload);
            }
            Event::Released(callback) => drop(self.callbacks.remove(&callback)),
            Event::Closed { cause } => {
                self.on_rest()?;
                return Err(Error::lost(&self.args.peer.address, &cause));
            }
            event => decline(self.link, event),
        }
        Ok(None)
    }

    fn on_result(&mut self, payload: &[u8], handles: Vec<Received>) -> Result<(), Error> {
        let name = &self.args.name;
        let value = json::unpack(payload);
        let value = value.map_err(|why| Error::Remote(format!("the result of `{name}`: {why}")))?;
        let (text, places) = json::decode_with_handles(&self.result, &value);
        for (place, handle) in handles.into_iter().enumerate() {
            let of = places.get(&(place as u64)).cloned().unwrap_or(Type::Any);
            match handle {
                Received::Receiver(stream) => {
                    self.outputs.insert(stream, of);
                    self.on_items(stream)?;
                }
                Received::Sender(stream) => {
                    let lines = self.args.stream && self.input.is_none();
                    let input = Input::new(stream, of, lines, self.args.raw);
                    input.begin(&mut self.link.engine);
                    if lines {
                        self.input = Some(input);
                    }
                }
                handle => self.link.engine.dispose(handle, Code::DROPPED),
            }
        }
        if !(self.result == Type::Unit && value.is_nil() || self.result.is_handle()) {
            self.last = Some(shown(text, self.args.raw));
        }
        Ok(())
    }

    /// Some output was written: there may be room for more.
    fn on_room(&mut self) -> Result<(), Error> {
        for stream in self.outputs.keys().copied().collect::<Vec<_>>() {
            self.on_items(stream)?;
        }
        self.answer();
        Ok(())
    }

    /// The call is over: items that came before are not lost, whether there is room or not.
    fn on_rest(&mut self) -> Result<(), Error> {
        for stream in self.outputs.keys().copied().collect::<Vec<_>>() {
            while self.on_batch(stream)? {}
        }
        Ok(())
    }

    /// Prints what came on a stream, while there is room: what is not read makes its sender wait.
    fn on_items(&mut self, stream: StreamId) -> Result<(), Error> {
        while !self.out.is_full() && self.on_batch(stream)? {}
        Ok(())
    }

    /// `false`: there are no items now.
    fn on_batch(&mut self, stream: StreamId) -> Result<bool, Error> {
        let Some(of) = self.outputs.get(&stream) else { return Ok(false) };
        match self.link.engine.read(stream) {
            Read::Items(mut items) => {
                while let Some(item) = items.next() {
                    let value = json::unpack(item);
                    let value = value.map_err(|why| Error::Remote(format!("an item: {why}")))?;
                    let line = shown(json::decode(of, &value), self.args.raw);
                    self.out.print(&line);
                }
                for handle in items.take_handles() {
                    self.link.engine.dispose(handle, Code::DROPPED);
                }
                self.link.engine.consume(stream, items.cost());
                Ok(true)
            }
            Read::End { code, text } => {
                self.outputs.remove(&stream);
                if code != Code::OK {
                    let failure = Failure::new(code, Started::Yes).with_text(text);
                    let text = format!("`{}`: the stream ended: {failure}", self.args.name);
                    self.broken = Some(Error::Remote(text));
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// Prints the arguments of a callback, and answers when there is room.
    fn on_callback(&mut self, call: IncomingId, id: CallbackId, payload: &[u8]) {
        let Some((arguments, answer)) = self.callbacks.get(&id) else {
            let failure = Failure::new(Code::NO_SUCH_CALLBACK, Started::No);
            return self.link.engine.fail(call, &failure);
        };
        match json::unpack(payload) {
            Ok(value) => {
                let shown = match &value {
                    rmpv::Value::Nil => "[]".to_owned(),
                    value => json::decode(&Type::Tuple(arguments.clone()), value),
                };
                self.out.report(&format!("callback: {shown}"));
                self.unanswered.push((call, answer.clone()));
                self.answer();
            }
            Err(why) => {
                let failure = Failure::new(Code::BAD_ARGUMENTS, Started::No).with_text(why);
                self.link.engine.fail(call, &failure);
            }
        }
    }

    /// Answers callbacks, unless what they print waits already.
    fn answer(&mut self) {
        if !self.out.is_full() {
            let now = self.link.now();
            for (call, answer) in self.unanswered.drain(..) {
                let _ = self.link.engine.answer(now, call, answer.into(), &[]);
            }
        }
    }
}

/// Text as it is, if that is wanted.
fn shown(json: String, raw: bool) -> String {
    if raw && let Ok(text) = serde_json::from_str(&json) { text } else { json }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.link.engine.cancel(self.call, Code::CANCELLED);
        }
        for stream in self.outputs.keys() {
            self.link.engine.stop(*stream, Code::CANCELLED);
        }
        if let Some(input) = self.input.take().filter(Input::goes_on) {
            self.link.engine.reset(input.stream(), Code::CANCELLED, "");
        }
    }
}

/// Whether there may be a stream in the result on which items are sent.
fn mentions_sender(of: &Type) -> bool {
    match of {
        Type::Sender(_) | Type::Any => true,
        Type::Option(of) | Type::List(of) | Type::Array(of, _) => mentions_sender(of),
        Type::Map(key, of) => mentions_sender(key) || mentions_sender(of),
        Type::Tuple(types) => types.iter().any(mentions_sender),
        Type::Struct(_, fields) | Type::Enum(_, fields) => {
            fields.iter().any(|(_, of)| mentions_sender(of))
        }
        _ => false,
    }
}
