//! IPFI: the service that a user writes.

use crate::measure::{Client, Table, run as measure, serve};
use ipfi::{Bytes, Interface, Sender, Wire, channel};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpStream;

pub fn run(table: &mut Table) {
    let address = serve(|listener| async move {
        let interface = Interface::new()
            .procedure("greet", |name: String| format!("Hello, {name}!"))
            .procedure("echo", |bytes: Bytes| bytes)
            .procedure("items", async |count: u64, out: Sender<u64>| {
                for n in 0..count {
                    if out.send(n).await.is_err() {
                        break;
                    }
                }
            });
        let interface = Arc::new(interface);
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            Wire::spawn(stream, interface.clone()).detach();
        }
    });
    measure::<Ipfi>(table, "ipfi", address);
}

struct Ipfi(Wire);

impl Client for Ipfi {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(Wire::spawn(stream, Interface::new()))
    }

    async fn greet(&mut self) {
        let hello: String = self.0.call("greet", ("John Doe",)).await.unwrap();
        assert_eq!(hello, "Hello, John Doe!");
    }

    async fn greet_many(&mut self, at_once: usize) {
        let calls: Vec<_> =
            (0..at_once).map(|_| self.0.call::<String>("greet", ("John Doe",)).start()).collect();
        for call in calls {
            assert_eq!(call.await.unwrap().len(), 16);
        }
    }

    async fn echo(&mut self, bytes: &[u8]) {
        let back: Bytes = self.0.call("echo", (Bytes::from(bytes),)).await.unwrap();
        assert_eq!(back.len(), bytes.len());
    }

    async fn echo_many(&mut self, bytes: &[u8], at_once: usize) {
        let calls: Vec<_> = (0..at_once)
            .map(|_| self.0.call::<Bytes>("echo", (Bytes::from(bytes),)).start())
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap().len(), bytes.len());
        }
    }

    async fn items(&mut self, count: u64) -> Option<u64> {
        let (sender, mut receiver) = channel::<u64>(64);
        let call = self.0.call::<()>("items", (count, sender)).start();
        let (mut got, mut sum) = (0, 0u64);
        while let Some(n) = receiver.recv().await.unwrap() {
            got += 1;
            sum += n;
        }
        call.await.unwrap();
        assert_eq!(sum, count * (count - 1) / 2);
        Some(got)
    }
}
