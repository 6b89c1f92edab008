//! IPFI: a service as a user writes it.

use crate::measure::Peer;
use ipfi::{Bytes, Interface, Receiver, Sender, Wire, channel};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::{TcpListener, TcpStream};

#[ipfi::service]
trait Bench {
    fn greet(&self, name: String) -> String;
    fn echo(&self, bytes: Bytes) -> Bytes;
    async fn items(&self, count: u64, out: Sender<u64>);
    async fn items_one_by_one(&self, count: u64, out: Sender<u64>);
}

struct Here;

impl Bench for Here {
    fn greet(&self, name: String) -> String {
        format!("Hello, {name}!")
    }

    fn echo(&self, bytes: Bytes) -> Bytes {
        bytes
    }

    async fn items(&self, count: u64, out: Sender<u64>) {
        let _ = out.send_all(0..count).await;
    }

    async fn items_one_by_one(&self, count: u64, out: Sender<u64>) {
        for n in 0..count {
            if out.send(n).await.is_err() {
                break;
            }
        }
    }
}

pub struct Ipfi(BenchClient);

impl Peer for Ipfi {
    async fn serve(listener: TcpListener) {
        let interface = Arc::new(Here.into_interface());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            Wire::spawn(stream, interface.clone()).detach();
        }
    }

    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BenchClient::new(Wire::spawn(stream, Interface::new())))
    }

    async fn greet(&mut self) {
        let hello = self.0.greet("John Doe".into()).await.unwrap();
        assert_eq!(hello, "Hello, John Doe!");
    }

    async fn greet_many(&mut self, at_once: usize) {
        let calls: Vec<_> = (0..at_once).map(|_| self.0.greet("John Doe".into()).start()).collect();
        for call in calls {
            assert_eq!(call.await.unwrap().len(), 16);
        }
    }

    async fn echo(&mut self, bytes: &[u8]) {
        let back = self.0.echo(Bytes::from(bytes)).await.unwrap();
        assert_eq!(back.len(), bytes.len());
    }

    async fn echo_many(&mut self, bytes: &[u8], at_once: usize) {
        let calls: Vec<_> = (0..at_once).map(|_| self.0.echo(Bytes::from(bytes)).start()).collect();
        for call in calls {
            assert_eq!(call.await.unwrap().len(), bytes.len());
        }
    }

    async fn items(&mut self, count: u64) -> bool {
        let (sender, receiver) = channel(64);
        let call = self.0.items(count, sender).start();
        add_up(receiver, count).await;
        call.await.unwrap();
        true
    }

    async fn items_one_by_one(&mut self, count: u64) -> bool {
        let (sender, receiver) = channel(64);
        let call = self.0.items_one_by_one(count, sender).start();
        add_up(receiver, count).await;
        call.await.unwrap();
        true
    }
}

async fn add_up(mut receiver: Receiver<u64>, count: u64) {
    let (mut got, mut sum) = (0, 0);
    while let Some(n) = receiver.recv().await.unwrap() {
        got += 1;
        sum += n;
    }
    assert_eq!((got, sum), (count, count * (count - 1) / 2));
}
