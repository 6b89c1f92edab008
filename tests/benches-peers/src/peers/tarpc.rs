//! tarpc with bincode.

use crate::measure::Peer;
use futures::{StreamExt, future::join_all};
use ipfi::Bytes;
use std::net::SocketAddr;
use tarpc::{
    client, context,
    serde_transport::Transport,
    server::{BaseChannel, Channel},
    tokio_serde::formats::Bincode,
};
use tokio::net::{TcpListener, TcpStream};

#[tarpc::service]
trait Bench {
    async fn greet(name: String) -> String;
    async fn echo(bytes: Bytes) -> Bytes;
}

#[derive(Clone)]
struct Here;

impl Bench for Here {
    async fn greet(self, _: context::Context, name: String) -> String {
        format!("Hello, {name}!")
    }

    async fn echo(self, _: context::Context, bytes: Bytes) -> Bytes {
        bytes
    }
}

pub struct Tarpc(BenchClient);

impl Peer for Tarpc {
    async fn serve(listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let channel = BaseChannel::with_defaults(Transport::from((stream, Bincode::default())));
            tokio::spawn(channel.execute(Here.serve()).for_each(|answer| async move {
                tokio::spawn(answer);
            }));
        }
    }

    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let transport = Transport::from((stream, Bincode::default()));
        Self(BenchClient::new(client::Config::default(), transport).spawn())
    }

    async fn greet(&mut self) {
        let hello = self.0.greet(context::current(), "John Doe".into()).await.unwrap();
        assert_eq!(hello, "Hello, John Doe!");
    }

    async fn greet_many(&mut self, at_once: usize) {
        let calls = (0..at_once).map(|_| self.0.greet(context::current(), "John Doe".into()));
        for hello in join_all(calls).await {
            assert_eq!(hello.unwrap().len(), 16);
        }
    }

    async fn echo(&mut self, bytes: &[u8]) {
        self.echo_many(bytes, 1).await;
    }

    async fn echo_many(&mut self, bytes: &[u8], at_once: usize) {
        let calls = (0..at_once).map(|_| self.0.echo(context::current(), bytes.into()));
        for back in join_all(calls).await {
            assert_eq!(back.unwrap().len(), bytes.len());
        }
    }

    async fn items(&mut self, _: u64) -> bool {
        false
    }
}
