//! Whatever bytes come, in whatever pieces: the engine learns the same, holds no more than it may, and
//! says at most one last thing.

use ipfi_proto::{
    Arguments, Code, Config, Connection, Event, Failure, IncomingId, Instant, Limits, Read,
    Received, Started, StreamId,
};

pub fn run(bytes: &[u8]) {
    let whole = hear([bytes].into_iter(), false);
    assert_eq!(hear(bytes.chunks(1), false), whole);
    let size = bytes.iter().fold(0, |sum: usize, &byte| sum + usize::from(byte)) % 61;
    assert_eq!(hear(bytes.chunks(2 + size), false), whole);
    // What is taken as it comes depends on how it comes.
    hear(bytes.chunks(1), true);
    hear(bytes.chunks(2 + size), true);
}

/// An application that answers some of what it gets, in a way that does not depend on the pieces.
#[derive(Default)]
struct Application {
    log: Vec<String>,
    receivers: Vec<StreamId>,
    calls: Vec<IncomingId>,
    /// Those whose arguments it takes as they come.
    taken: Vec<IncomingId>,
}

fn hear<'a>(pieces: impl Iterator<Item = &'a [u8]>, partial: bool) -> Vec<String> {
    let now = Instant::from_micros(0);
    let mut config = Config::default().with_limits(Limits::smallest());
    config.partial_arguments = partial;
    let mut side = Connection::new(config, now);
    let mut application = Application::default();
    for piece in pieces {
        let _ = side.receive(now, piece);
        assert!(side.stats().buffered <= side.limits().max_buffered);
        application.events(&mut side);
        application.arguments(&mut side);
        assert!(side.stats().buffered <= side.limits().max_buffered);
    }
    application.wind_up(&mut side, now);
    application.log
}

impl Application {
    fn events(&mut self, side: &mut Connection) {
        while let Some(event) = side.poll_event() {
            match &event {
                Event::Call { call, handles, .. } => {
                    self.calls.push(*call);
                    self.own(handles);
                }
                Event::Opened { call, .. } if side.take_arguments(*call) => {
                    self.calls.push(*call);
                    self.taken.push(*call);
                }
                _ => {}
            }
            // How often there is something to read depends on the pieces.
            if !matches!(event, Event::Readable(_)) {
                self.log.push(format!("{event:?}"));
            }
        }
    }

    fn own(&mut self, handles: &[Received]) {
        self.receivers.extend(handles.iter().filter_map(|handle| match handle {
            Received::Receiver(stream) => Some(*stream),
            _ => None,
        }));
    }

    fn arguments(&mut self, side: &mut Connection) {
        for call in std::mem::take(&mut self.taken) {
            loop {
                match side.read_arguments(call) {
                    Arguments::Part(bytes) => {
                        assert!(!bytes.is_empty());
                        side.consume_arguments(call, bytes.len());
                    }
                    Arguments::Pending => {
                        self.taken.push(call);
                        break;
                    }
                    Arguments::End { handles } => {
                        self.own(&handles);
                        break;
                    }
                    _ => break,
                }
            }
        }
    }

    fn wind_up(&mut self, side: &mut Connection, now: Instant) {
        for stream in std::mem::take(&mut self.receivers) {
            while let Read::Items(mut items) = side.read(stream) {
                while let Some(item) = items.next() {
                    self.log.push(format!("item {item:?}"));
                }
                for handle in items.take_handles() {
                    side.dispose(handle, Code::DROPPED);
                }
                side.consume(stream, items.cost());
            }
        }
        for (n, call) in std::mem::take(&mut self.calls).into_iter().enumerate() {
            if n % 2 == 0 {
                let _ = side.answer(now, call, vec![0; n * 100].into(), &[]);
            } else {
                side.fail(call, &Failure::new(Code::FAILED, Started::Yes));
            }
        }
        let mut buffer = [0; 1000];
        loop {
            let n = side.poll_transmit(now, &mut buffer);
            self.log.push(format!("{:x?}", &buffer[..n]));
            if n == 0 {
                break;
            }
        }
        side.receive_end();
        while side.poll_event().is_some() {}
        assert_eq!(side.stats().buffered, 0);
    }
}
