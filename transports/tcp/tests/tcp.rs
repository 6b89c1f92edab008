//! `tcp:` keeps the contract, and says what is wrong.

use std::time::Duration;

use ipfi_tcp::{Stream, Tcp, TcpOptions};
use ipfi_transport::{Registry, conformance::Suite};
use socket2::SockRef;

fn registry() -> Registry {
    Registry::new().with(Tcp::new())
}

#[tokio::test]
async fn conforms() {
    for address in ["tcp-listen:127.0.0.1:0", "tcp-listen:localhost:0,nodelay=no"] {
        Suite::new().run_listener(&registry(), &address.parse().unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn a_port_of_every_address_takes_both_families() {
    let listener = registry().listen(&"tcp-listen::0".parse().unwrap()).await.unwrap();
    let port = listener.local().unwrap().rsplit(':').next().unwrap().to_owned();
    let address = format!("tcp:127.0.0.1:{port}").parse().unwrap();
    registry().dial(&address).await.unwrap();
}

#[tokio::test]
async fn options_reach_the_socket() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connect = async || tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await;
    let socket = connect().await.unwrap();
    let keeper = socket.into_std().unwrap();
    let ours = tokio::net::TcpStream::from_std(keeper.try_clone().unwrap()).unwrap();
    let _stream = Stream::new(ours, &TcpOptions::default()).unwrap();
    let socket = SockRef::from(&keeper);
    assert!(socket.tcp_nodelay().unwrap());
    assert!(socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(15));
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(5));
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    #[cfg(target_os = "linux")]
    assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(30)));
}

#[tokio::test]
async fn errors_name_the_way_out() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let free = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap().port().to_string()
    };
    let mut lines = Vec::new();
    for address in [
        format!("tcp-listen:127.0.0.1:{port}"),
        format!("tcp:127.0.0.1:{free}"),
        "tcp:localhost".into(),
        "tcp:127.0.0.1:7,family=6".into(),
        "tcp:127.0.0.1:7,nodealy=no".into(),
        "tcp:127.0.0.1:7,keepalive=often".into(),
        "tcp:127.0.0.1:7,family=5".into(),
        "tcp-listen:192.0.2.1:7".into(),
        "tcp-listen:systemd".into(),
    ] {
        let error = registry().open(&address.parse().unwrap()).await.err().unwrap();
        lines.push(error.to_string().replace(&port, "PORT").replace(&free, "PORT"));
    }
    insta::assert_snapshot!(lines.join("\n"));
}
