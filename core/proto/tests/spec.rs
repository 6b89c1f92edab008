//! Runs the test vectors of SPEC.md.
#![allow(
    clippy::format_collect,
    clippy::format_push_string,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of a test"
)]

use ipfi_proto::{
    CallId, CallOptions, CallbackId, Called, Code, Config, Connection, Direction, Event, Failure,
    Handle, IncomingId, Instant, Priority, Read, Received, RemoteCallbackId, SendError, Started,
    StreamId, Target,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const SPEC: &str = include_str!("../SPEC.md");

/// The engine under test, and what it calls by which name.
struct Subject {
    conn: Connection,
    now: Instant,
    calls: BTreeMap<String, CallId>,
    incoming: BTreeMap<String, IncomingId>,
    streams: BTreeMap<String, StreamId>,
    callbacks: BTreeMap<String, CallbackId>,
    remote: BTreeMap<String, RemoteCallbackId>,
    targets: BTreeMap<String, Target>,
    learned: VecDeque<String>,
    said: Vec<u8>,
}

/// Digits, `-` for nothing, `00*9` for nine zeros.
fn unhex(words: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in words.iter().filter(|&&word| word != "-") {
        let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
        assert!(digits.len().is_multiple_of(2), "odd number of digits: {digits}");
        let once: Vec<u8> = (0..digits.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
            .collect();
        bytes.extend(once.repeat(times.parse().unwrap()));
    }
    bytes
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".into();
    }
    if bytes.len() > 1000 && bytes.iter().all(|byte| *byte == 0) {
        return format!("00*{}", bytes.len());
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn name_of<V: PartialEq>(map: &BTreeMap<String, V>, value: &V) -> String {
    map.iter().find(|(_, other)| *other == value).map(|(name, _)| name.clone()).unwrap()
}

impl Subject {
    fn new() -> Self {
        let now = Instant::from_micros(0);
        Self {
            conn: Connection::new(Config::default().with_codec(1), now),
            now,
            calls: BTreeMap::new(),
            incoming: BTreeMap::new(),
            streams: BTreeMap::new(),
            callbacks: BTreeMap::new(),
            remote: BTreeMap::new(),
            targets: BTreeMap::new(),
            learned: VecDeque::new(),
            said: Vec::new(),
        }
    }

    /// Takes what there is to learn and to send.
    fn poll(&mut self) {
        while let Some(event) = self.conn.poll_event() {
            let line = self.describe(event);
            self.learned.push_back(line);
        }
        let mut buffer = vec![0; 1 << 20];
        loop {
            let n = self.conn.poll_transmit(self.now, &mut buffer);
            if n == 0 {
                break;
            }
            self.said.extend_from_slice(&buffer[..n]);
        }
        while let Some(event) = self.conn.poll_event() {
            let line = self.describe(event);
            self.learned.push_back(line);
        }
    }

    fn handles(&mut self, handles: Vec<Received>) -> String {
        let mut words = String::new();
        for handle in handles {
            // The tests use each number once, and number theirs in the order in which they come.
            let (word, name) = match handle {
                Received::Callback(id) => {
                    let name = format!("~{}", id.index());
                    self.remote.insert(name.clone(), id);
                    ("callback", name)
                }
                Received::Receiver(id) | Received::Sender(id) => {
                    let theirs = self.streams.keys().filter(|name| name.starts_with('~')).count();
                    let name = format!("~{theirs}");
                    self.streams.insert(name.clone(), id);
                    let sender = matches!(handle, Received::Sender(_));
                    (if sender { "sender" } else { "receiver" }, name)
                }
                _ => unreachable!(),
            };
            words += &format!(" {word}={name}");
        }
        words
    }

    fn describe(&mut self, event: Event) -> String {
        match event {
            Event::Hello { codec, .. } => format!("hello codec={codec}"),
            Event::Bound { number, name, fingerprint } => {
                format!("bound {number} {name} {fingerprint}")
            }
            Event::Call { call, called, payload, handles, deadline, priority } => {
                let name = format!("~{}", call.index());
                self.incoming.insert(name.clone(), call);
                let called = match called {
                    Called::Procedure(number) => format!("procedure {number}"),
                    Called::Named { name, fingerprint } => format!("named {name} {fingerprint}"),
                    Called::Callback(id) => format!("callback {}", name_of(&self.callbacks, &id)),
                    _ => unreachable!(),
                };
                let mut line = format!("call {name} {called} {}", hex(&payload));
                line += &self.handles(handles);
                if let Some(deadline) = deadline {
                    line += &format!(" deadline={}", (deadline - self.now).as_millis());
                }
                match priority {
                    Priority::High => line += " priority=high",
                    Priority::Low => line += " priority=low",
                    _ => {}
                }
                line
            }
            Event::Cancelled { call, code } => {
                format!("cancelled {} {}", name_of(&self.incoming, &call), code.0)
            }
            Event::Answer { call, payload, handles } => {
                let handles = self.handles(handles);
                format!("answer {} {}{handles}", name_of(&self.calls, &call), hex(&payload))
            }
            Event::Failed { call, failure } => {
                let name = name_of(&self.calls, &call);
                let Failure { code, text, started, .. } = failure;
                format!("failed {name} {} {started:?} {text}", code.0).trim().to_lowercase()
            }
            Event::Readable(stream) => format!("readable {}", name_of(&self.streams, &stream)),
            Event::Writable(stream) => format!("writable {}", name_of(&self.streams, &stream)),
            Event::Stopped { stream, code } => {
                format!("stopped {} {}", name_of(&self.streams, &stream), code.0)
            }
            Event::Released(id) => format!("released {}", name_of(&self.callbacks, &id)),
            Event::GoingAway { code, text } => {
                format!("going-away {} {text}", code.0).trim().to_owned()
            }
            Event::Pong { .. } => "pong".into(),
            Event::Closed { cause } => format!("closed: {cause}"),
            _ => unreachable!(),
        }
    }

    /// The options `handles=...`, `deadline=...`, `priority=...` and `more` at the end of a line.
    fn options(&self, words: &[&str]) -> (CallOptions, Vec<Handle>) {
        let mut options = CallOptions::default();
        let mut handles = Vec::new();
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "more" => options.more = true,
                "deadline" => {
                    options.deadline = Some(Duration::from_millis(value.parse().unwrap()));
                }
                "priority" if value == "high" => options.priority = Priority::High,
                "priority" if value == "low" => options.priority = Priority::Low,
                "stream" => handles.push(Handle::Stream(self.streams[value])),
                "callback" => handles.push(Handle::Callback(self.callbacks[value])),
                _ => panic!("unknown option {word}"),
            }
        }
        (options, handles)
    }

    fn command(&mut self, words: &[&str]) {
        let now = self.now;
        match *words {
            ["bind", number, name, fingerprint] => {
                let target = self.conn.bind(name, fingerprint.parse().unwrap());
                self.targets.insert(number.into(), target);
            }
            ["call", name, kind, number, payload, ref options @ ..] => {
                let target = match kind {
                    "procedure" => self.targets[number].clone(),
                    "callback" => Target::Callback(self.remote[number]),
                    _ => panic!("unknown target {kind}"),
                };
                let (options, handles) = self.options(options);
                let payload = unhex(&[payload]).into();
                let id = self.conn.open_call(now, &target, payload, &handles, options).unwrap();
                self.calls.insert(name.into(), id);
            }
            ["arguments", name, payload, ref rest @ ..] => {
                let last = rest == ["last"];
                let payload = unhex(&[payload]);
                self.conn.send_arguments(self.calls[name], &payload, &[], last).unwrap();
            }
            ["cancel", name, code] => {
                self.conn.cancel(self.calls[name], Code(code.parse().unwrap()));
            }
            ["answer", name, payload, ref options @ ..] => {
                let (_, handles) = self.options(options);
                let payload = unhex(&[payload]).into();
                self.conn.answer(now, self.incoming[name], payload, &handles).unwrap();
            }
            ["fail", name, code, started, ref text @ ..] => {
                let started = if started == "yes" { Started::Yes } else { Started::No };
                let failure =
                    Failure::new(Code(code.parse().unwrap()), started).with_text(text.join(" "));
                self.conn.fail(self.incoming[name], &failure);
            }
            ["stream", name, direction] => {
                let direction =
                    if direction == "out" { Direction::Outgoing } else { Direction::Incoming };
                let id = self.conn.open_stream(direction).unwrap();
                self.streams.insert(name.into(), id);
            }
            ["callback", name] => {
                let id = self.conn.export_callback().unwrap();
                self.callbacks.insert(name.into(), id);
            }
            ["item", name, payload] => {
                self.conn.send_item(self.streams[name], &unhex(&[payload])).unwrap();
            }
            ["item", name, payload, ref options @ ..] => {
                let (_, handles) = self.options(options);
                let stream = self.streams[name];
                self.conn.send_item_with(stream, unhex(&[payload]), &handles).unwrap();
            }
            ["blocked", name] => {
                let refused = self.conn.send_item(self.streams[name], b"");
                assert_eq!(refused, Err(SendError::Blocked));
            }
            ["finish", name] => self.conn.finish(self.streams[name]),
            ["reset", name, code, ref text @ ..] => {
                let code = Code(code.parse().unwrap());
                self.conn.reset(self.streams[name], code, &text.join(" "));
            }
            ["stop", name, code] => {
                self.conn.stop(self.streams[name], Code(code.parse().unwrap()));
            }
            ["read", name] => self.read(name),
            ["release", name] => self.conn.release_callback(self.remote[name]),
            ["revoke", name] => self.conn.revoke_callback(self.callbacks[name]),
            ["ping"] => self.conn.ping(now),
            ["close"] => self.conn.close(now, None),
            ["abort", code, ref text @ ..] => {
                self.conn.abort(Code(code.parse().unwrap()), &text.join(" "));
            }
            ["wait", millis] => {
                self.now = now + Duration::from_millis(millis.parse().unwrap());
                self.conn.handle_timeout(self.now);
            }
            _ => panic!("unknown command {words:?}"),
        }
    }

    /// Reads all there is, and gives it back at once.
    fn read(&mut self, name: &str) {
        let stream = self.streams[name];
        loop {
            match self.conn.read(stream) {
                Read::Items(mut items) => {
                    self.conn.consume(stream, items.cost());
                    let handles = items.take_handles();
                    let mut lines = Vec::new();
                    while let Some(item) = items.next() {
                        lines.push(format!("item {name} {}", hex(item)));
                    }
                    let handles = self.handles(handles);
                    lines.last_mut().unwrap().push_str(&handles);
                    self.learned.extend(lines);
                }
                Read::Pending => return,
                Read::End { code, text } => {
                    let line = format!("end {name} {} {text}", code.0);
                    self.learned.push_back(line.trim().to_owned());
                    return;
                }
                _ => unreachable!(),
            }
        }
    }
}

fn run(block: &str) {
    let mut subject = Subject::new();
    for line in block.lines() {
        let line = line.split('#').next().unwrap().trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        println!("{line}");
        match words.split_first() {
            None => {}
            Some((&"<", bytes)) => {
                // One byte at a time: a vector has no favourite cuts.
                for byte in unhex(bytes) {
                    let _ = subject.conn.receive(subject.now, &[byte]);
                }
            }
            Some((&">", bytes)) => {
                subject.poll();
                let expected = unhex(bytes);
                let n = expected.len().min(subject.said.len());
                let said: Vec<u8> = subject.said.drain(..n).collect();
                assert_eq!(hex(&said), hex(&expected), "{line}");
            }
            Some((&">~", code)) => {
                subject.poll();
                let expected = [0xcf, code[0].parse().unwrap()];
                assert_eq!(subject.said.get(1..3), Some(&expected[..]), "{line}");
                subject.said.clear();
            }
            Some((&"=", words)) => {
                subject.poll();
                assert_eq!(subject.learned.pop_front(), Some(words.join(" ")), "{line}");
            }
            Some((&"!", words)) => subject.command(words),
            Some(_) => panic!("cannot read {line}"),
        }
    }
    subject.poll();
    assert_eq!(subject.learned, [""; 0], "was not expected");
    assert_eq!(hex(&subject.said), "-", "was not expected");
}

#[test]
fn the_vectors_of_the_specification_hold() {
    let blocks: Vec<&str> =
        SPEC.split("```vector\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 10, "{} vectors", blocks.len());
    for block in blocks {
        println!("----");
        run(block);
    }
}
