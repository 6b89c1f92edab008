//! Cap'n Proto. Items are calls of a capability that the caller gives.

#[allow(clippy::all, clippy::pedantic)]
mod bench_capnp {
    include!(concat!(env!("OUT_DIR"), "/bench_capnp.rs"));
}

use self::bench_capnp::{bench, sink};
use crate::measure::Peer;
use capnp::Error;
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp::Side, twoparty::VatNetwork};
use futures::{
    AsyncReadExt,
    future::join_all,
    io::{BufReader, BufWriter},
};
use std::{cell::Cell, net::SocketAddr, rc::Rc};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::TokioAsyncReadCompatExt;

struct Here;

impl bench::Server for Here {
    async fn greet(
        self: Rc<Self>,
        params: bench::GreetParams,
        mut results: bench::GreetResults,
    ) -> Result<(), Error> {
        let name = params.get()?.get_name()?.to_str()?;
        results.get().set_hello(format!("Hello, {name}!"));
        Ok(())
    }

    async fn echo(
        self: Rc<Self>,
        params: bench::EchoParams,
        mut results: bench::EchoResults,
    ) -> Result<(), Error> {
        results.get().set_bytes(params.get()?.get_bytes()?);
        Ok(())
    }

    async fn items(
        self: Rc<Self>,
        params: bench::ItemsParams,
        _: bench::ItemsResults,
    ) -> Result<(), Error> {
        let sink = params.get()?.get_sink()?;
        let count = params.get()?.get_count();
        let mut next = 0;
        while next < count {
            let end = count.min(next + 64);
            let calls = (next..end).map(|n| {
                let mut call = sink.put_request();
                call.get().set_number(n);
                call.send().promise
            });
            for done in join_all(calls).await {
                done?;
            }
            next = end;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Sum {
    got: Cell<u64>,
    sum: Cell<u64>,
}

impl sink::Server for Sum {
    async fn put(
        self: Rc<Self>,
        params: sink::PutParams,
        _: sink::PutResults,
    ) -> Result<(), Error> {
        self.got.set(self.got.get() + 1);
        self.sum.set(self.sum.get() + params.get()?.get_number());
        Ok(())
    }
}

fn network(stream: TcpStream, side: Side) -> Box<VatNetwork<impl futures::AsyncRead + Unpin>> {
    stream.set_nodelay(true).unwrap();
    let (read, write) = stream.compat().split();
    let options = capnp::message::ReaderOptions::new();
    Box::new(VatNetwork::new(BufReader::new(read), BufWriter::new(write), side, options))
}

pub struct Capnp(bench::Client);

impl Peer for Capnp {
    const ITEMS: u64 = 50_000;

    async fn serve(listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let here: bench::Client = capnp_rpc::new_client(Here);
            let system = RpcSystem::new(network(stream, Side::Server), Some(here.client));
            tokio::task::spawn_local(system);
        }
    }

    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut system = RpcSystem::new(network(stream, Side::Client), None);
        let client = system.bootstrap(Side::Server);
        tokio::task::spawn_local(system);
        Self(client)
    }

    async fn greet(&mut self) {
        self.greet_many(1).await;
    }

    async fn greet_many(&mut self, at_once: usize) {
        let calls = (0..at_once).map(|_| {
            let mut call = self.0.greet_request();
            call.get().set_name("John Doe");
            call.send().promise
        });
        for answer in join_all(calls).await {
            let answer = answer.unwrap();
            let hello = answer.get().unwrap().get_hello().unwrap().to_string().unwrap();
            assert_eq!(hello, "Hello, John Doe!");
        }
    }

    async fn echo(&mut self, bytes: &[u8]) {
        self.echo_many(bytes, 1).await;
    }

    async fn echo_many(&mut self, bytes: &[u8], at_once: usize) {
        let calls = (0..at_once).map(|_| {
            let mut call = self.0.echo_request();
            call.get().set_bytes(bytes);
            call.send().promise
        });
        for answer in join_all(calls).await {
            let answer = answer.unwrap();
            assert_eq!(answer.get().unwrap().get_bytes().unwrap().len(), bytes.len());
        }
    }

    async fn items(&mut self, count: u64) -> bool {
        let sum = Rc::new(Sum::default());
        let mut call = self.0.items_request();
        call.get().set_count(count);
        call.get().set_sink(capnp_rpc::new_client_from_rc(sum.clone()));
        call.send().promise.await.unwrap();
        assert_eq!((sum.got.get(), sum.sum.get()), (count, count * (count - 1) / 2));
        true
    }
}
