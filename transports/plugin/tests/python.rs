//! The demo in Python, which keeps every promise of a stream.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use ipfi_plugin::Plugins;
use ipfi_transport::{Address, BoxStream, Registry, conformance::Suite};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../demos/plugin-python");

fn registry() -> Registry {
    Registry::new().with_resolver(Plugins::on(FOLDER))
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// Between two processes that listen there is a moment when none does.
async fn dial(registry: &Registry, peer: &Address) -> BoxStream {
    loop {
        if let Ok(stream) = registry.dial(peer).await {
            return stream;
        }
    }
}

#[tokio::test]
async fn it_conforms() {
    let registry = registry();
    let listener = registry.listen(&address("webproxy-listen:127.0.0.1:0")).await.unwrap();
    let peer = address(&format!("webproxy:{}", listener.local().unwrap()));
    let listener = tokio::sync::Mutex::new(listener);
    let connect = || async {
        let mut listener = listener.lock().await;
        let (accepted, dialled) = tokio::join!(listener.accept(), dial(&registry, &peer));
        Ok((dialled, accepted?))
    };
    Suite::new().run(connect).await.unwrap();
}

#[tokio::test]
async fn it_goes_through_a_proxy() {
    let destination = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (to, via) = (destination.local_addr().unwrap(), proxy.local_addr().unwrap());
    // A proxy in a few lines, for one tunnel.
    tokio::spawn(async move {
        let (mut client, _) = proxy.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(client.read_u8().await.unwrap());
        }
        let request = String::from_utf8(request).unwrap();
        let to = request.strip_prefix("CONNECT ").unwrap().split_once(' ').unwrap().0;
        let mut server = TcpStream::connect(to).await.unwrap();
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
        tokio::io::copy_bidirectional(&mut client, &mut server).await.unwrap();
    });

    let peer = address(&format!("webproxy:{to},proxy={via}"));
    let registry = registry();
    let (dialled, accepted) = tokio::join!(registry.dial(&peer), destination.accept());
    let (mut dialled, (mut server, _)) = (dialled.unwrap(), accepted.unwrap());
    dialled.write_all(b"ping").await.unwrap();
    dialled.shutdown().await.unwrap();
    let (mut request, mut answer) = (String::new(), String::new());
    server.read_to_string(&mut request).await.unwrap();
    server.write_all(b"pong").await.unwrap();
    drop(server);
    dialled.read_to_string(&mut answer).await.unwrap();
    assert_eq!((&*request, &*answer), ("ping", "pong"));
}

#[tokio::test]
async fn its_errors_say_what_is_wrong() {
    let error = |text: &str| {
        let address = address(text);
        async move { registry().open(&address).await.err().unwrap().to_string() }
    };
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap();
    let in_use =
        error(&format!("webproxy-listen:{taken}")).await.replace(&taken.to_string(), "TAKEN");
    let messages = [
        error("webproxy:nowhere").await,
        error("webproxy:x:1,prox=y:2").await,
        in_use.split(" (while").next().unwrap().to_owned(), // Python adds the address.
    ];
    insta::assert_snapshot!(messages.join("\n"));
}
