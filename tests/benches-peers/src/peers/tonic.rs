//! gRPC by tonic and prost, written as its generator would: that needs a program of its own.

use crate::measure::Peer;
use futures::{SinkExt, StreamExt, channel::mpsc, future::join_all};
use std::{convert::Infallible, net::SocketAddr, task};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    codegen::{Body, BoxFuture, BoxStream, Service, StdError, http},
    server::{NamedService, ServerStreamingService, UnaryService},
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Blob {
    #[prost(bytes = "vec", tag = "1")]
    bytes: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Number {
    #[prost(uint64, tag = "1")]
    number: u64,
}

#[derive(Clone)]
struct Bench;

/// Items come from a task, as those of a procedure that has something to do between them.
#[derive(Clone)]
struct OneByOne;

impl ServerStreamingService<Number> for OneByOne {
    type Response = Number;
    type ResponseStream = BoxStream<Number>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Number>) -> Self::Future {
        let (mut sender, receiver) = mpsc::channel(64);
        tokio::spawn(async move {
            for number in 0..request.into_inner().number {
                if sender.send(Ok(Number { number })).await.is_err() {
                    break;
                }
            }
        });
        let stream: Self::ResponseStream = Box::pin(receiver);
        Box::pin(async move { Ok(Response::new(stream)) })
    }
}

impl NamedService for Bench {
    const NAME: &'static str = "Bench";
}

impl UnaryService<Text> for Bench {
    type Response = Text;
    type Future = BoxFuture<Response<Text>, Status>;

    fn call(&mut self, request: Request<Text>) -> Self::Future {
        let Text { text: name } = request.into_inner();
        Box::pin(async move { Ok(Response::new(Text { text: format!("Hello, {name}!") })) })
    }
}

impl UnaryService<Blob> for Bench {
    type Response = Blob;
    type Future = BoxFuture<Response<Blob>, Status>;

    fn call(&mut self, request: Request<Blob>) -> Self::Future {
        Box::pin(async move { Ok(Response::new(request.into_inner())) })
    }
}

impl ServerStreamingService<Number> for Bench {
    type Response = Number;
    type ResponseStream = BoxStream<Number>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Number>) -> Self::Future {
        let numbers = (0..request.into_inner().number).map(|number| Ok(Number { number }));
        let stream: Self::ResponseStream = Box::pin(futures::stream::iter(numbers));
        Box::pin(async move { Ok(Response::new(stream)) })
    }
}

impl<B> Service<http::Request<B>> for Bench
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/Bench/Greet" => {
                    let codec = ProstCodec::<Text, Text>::default();
                    tonic::server::Grpc::new(codec).unary(Bench, request).await
                }
                "/Bench/Echo" => {
                    let codec = ProstCodec::<Blob, Blob>::default();
                    tonic::server::Grpc::new(codec).unary(Bench, request).await
                }
                "/Bench/Items" => {
                    let codec = ProstCodec::<Number, Number>::default();
                    tonic::server::Grpc::new(codec).server_streaming(Bench, request).await
                }
                _ => {
                    let codec = ProstCodec::<Number, Number>::default();
                    tonic::server::Grpc::new(codec).server_streaming(OneByOne, request).await
                }
            })
        })
    }
}

pub struct Grpc(tonic::client::Grpc<Channel>);

impl Grpc {
    fn path(method: &'static str) -> http::uri::PathAndQuery {
        http::uri::PathAndQuery::from_static(method)
    }

    async fn greet_one(&self) -> String {
        let mut client = self.0.clone();
        client.ready().await.unwrap();
        let codec = ProstCodec::<Text, Text>::default();
        let request = Request::new(Text { text: "John Doe".into() });
        client.unary(request, Self::path("/Bench/Greet"), codec).await.unwrap().into_inner().text
    }
}

impl Peer for Grpc {
    async fn serve(listener: TcpListener) {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Server::builder().add_service(Bench).serve_with_incoming(incoming).await.unwrap();
    }

    async fn connect(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self(tonic::client::Grpc::new(endpoint.tcp_nodelay(true).connect().await.unwrap()))
    }

    async fn greet(&mut self) {
        assert_eq!(self.greet_one().await, "Hello, John Doe!");
    }

    async fn greet_many(&mut self, at_once: usize) {
        for hello in join_all((0..at_once).map(|_| self.greet_one())).await {
            assert_eq!(hello.len(), 16);
        }
    }

    async fn echo(&mut self, bytes: &[u8]) {
        self.echo_many(bytes, 1).await;
    }

    async fn echo_many(&mut self, bytes: &[u8], at_once: usize) {
        let calls = (0..at_once).map(|_| async {
            let mut client = self.0.clone();
            client.ready().await.unwrap();
            let codec = ProstCodec::<Blob, Blob>::default();
            let request = Request::new(Blob { bytes: bytes.to_vec() });
            client.unary(request, Self::path("/Bench/Echo"), codec).await.unwrap().into_inner()
        });
        for back in join_all(calls).await {
            assert_eq!(back.bytes.len(), bytes.len());
        }
    }

    async fn items(&mut self, count: u64) -> bool {
        self.add_up("/Bench/Items", count).await;
        true
    }

    async fn items_one_by_one(&mut self, count: u64) -> bool {
        self.add_up("/Bench/ItemsOneByOne", count).await;
        true
    }
}

impl Grpc {
    async fn add_up(&mut self, method: &'static str, count: u64) {
        self.0.ready().await.unwrap();
        let codec = ProstCodec::<Number, Number>::default();
        let request = Request::new(Number { number: count });
        let path = Self::path(method);
        let mut items = self.0.server_streaming(request, path, codec).await.unwrap().into_inner();
        let (mut got, mut sum) = (0, 0);
        while let Some(item) = items.next().await {
            got += 1;
            sum += item.unwrap().number;
        }
        assert_eq!((got, sum), (count, count * (count - 1) / 2));
    }
}
