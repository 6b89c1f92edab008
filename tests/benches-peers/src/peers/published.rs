//! The ipfi on crates.io, an older project of the same idea: with threads, and with tasks.

use crate::measure::Peer;
use ipfi::Bytes;
use published::ProcedureIndex;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

/// Its default is ten calls at once; those beyond are dropped without a word.
const AT_ONCE: u16 = 1000;
const GREET: u16 = 0;
const ECHO: u16 = 1;
const ITEMS: u16 = 2;

macro_rules! peer {
    ($name:ident, $wire:ty, $interface:ty, $start:ident, $go:expr $(, $await:tt)?) => {
        pub struct $name($wire);

        impl Peer for $name {
            const ITEMS: u64 = 50_000;

            async fn serve(listener: TcpListener) {
                let interface: &'static $interface = Box::leak(Box::default());
                interface.add_procedure(GREET, |(name,): (String,)| format!("Hello, {name}!"));
                interface.add_procedure(ECHO, |(bytes,): (Bytes,)| bytes);
                interface.add_sequence_procedure(ITEMS, |put, (count,): (u64,)| {
                    $go(move || {
                        for n in 0..count {
                            put(n, n + 1 == count).unwrap();
                        }
                    });
                });
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let wire = <$wire>::new(interface).max_ongoing_procedures(AT_ONCE);
                    $start(&wire, stream);
                    // Dropping a clone would end it.
                    std::mem::forget(wire);
                }
            }

            async fn connect(address: SocketAddr) -> Self {
                let interface: &'static $interface = Box::leak(Box::default());
                let wire = <$wire>::new(interface);
                $start(&wire, TcpStream::connect(address).await.unwrap());
                Self(wire)
            }

            async fn greet(&mut self) {
                let call = self.0.call(ProcedureIndex::new(GREET), ("John Doe",))$(.$await)?;
                let hello: String = call.unwrap().wait()$(.$await)?.unwrap();
                assert_eq!(hello, "Hello, John Doe!");
            }

            async fn greet_many(&mut self, at_once: usize) {
                let mut calls = Vec::new();
                for _ in 0..at_once {
                    let call = self.0.call(ProcedureIndex::new(GREET), ("John Doe",))$(.$await)?;
                    calls.push(call.unwrap());
                }
                for call in calls {
                    let hello: String = call.wait()$(.$await)?.unwrap();
                    assert_eq!(hello.len(), 16);
                }
            }

            async fn echo(&mut self, bytes: &[u8]) {
                self.echo_many(bytes, 1).await;
            }

            async fn echo_many(&mut self, bytes: &[u8], at_once: usize) {
                let mut calls = Vec::new();
                for _ in 0..at_once {
                    let arguments = (Bytes::from(bytes),);
                    let call = self.0.call(ProcedureIndex::new(ECHO), arguments)$(.$await)?;
                    calls.push(call.unwrap());
                }
                for call in calls {
                    let back: Bytes = call.wait()$(.$await)?.unwrap();
                    assert_eq!(back.len(), bytes.len());
                }
            }

            async fn items(&mut self, count: u64) -> bool {
                let call = self.0.call(ProcedureIndex::new(ITEMS), (count,))$(.$await)?;
                let mut items = call.unwrap().wait_chunk_stream()$(.$await)?.unwrap();
                let (mut got, mut sum) = (0, 0u64);
                while let Some(item) = items.recv::<u64>()$(.$await)?.unwrap() {
                    got += 1;
                    sum += item.unwrap();
                }
                assert_eq!((got, sum), (count, count * (count - 1) / 2));
                true
            }
        }
    };
}

peer!(
    Threads,
    published::blocking::Wire<'static>,
    published::blocking::Interface,
    start_threads,
    std::thread::spawn
);
peer!(
    Tasks,
    published::Wire<'static>,
    published::Interface,
    start_tasks,
    tokio::task::spawn_blocking,
    await
);

fn start_threads(wire: &published::blocking::Wire<'static>, stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    let _ = wire.start(stream.try_clone().unwrap(), stream);
}

fn start_tasks(wire: &published::Wire<'static>, stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let (read, write) = stream.into_split();
    let _ = wire.start(read, write);
}
