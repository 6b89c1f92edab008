//! Over real sockets of this machine.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use ipfi_transport::conformance::Suite;
use ipfi_transport::{BoxStream, Listener, Registry};
use ipfi_udp::Udp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

fn registry() -> Registry {
    Registry::new().with(Udp::new())
}

async fn listen() -> Box<dyn Listener> {
    let address = "udp-listen:127.0.0.1:0".parse().expect("an address");
    registry().listen(&address).await.expect("a listener")
}

async fn dial(to: &str) -> BoxStream {
    let address = format!("udp:{to}").parse().expect("an address");
    registry().dial(&address).await.expect("a stream")
}

#[tokio::test]
async fn fulfils_the_contract() {
    let address = "udp-listen:127.0.0.1:0".parse().unwrap();
    Suite::new().run_listener(&registry(), &address).await.unwrap();
}

#[tokio::test]
async fn nobody_listens() {
    let address = "udp:127.0.0.1:9,connect=2s".parse().unwrap();
    let start = Instant::now();
    let error = registry().dial(&address).await.err().expect("nobody is there").to_string();
    assert!(error.ends_with(": connection refused; nothing listens there"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_restarted_listener_is_noticed() {
    // Another program, as far as a test can have one: its tasks vanish without a farewell.
    let other = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (tell, told) = oneshot::channel();
    other.spawn(async move {
        let mut listener = listen().await;
        tell.send(listener.local().unwrap()).unwrap();
        let _stream = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
    });
    let to = told.await.unwrap();
    let mut here = dial(&to).await;
    here.write_all(b"old").await.unwrap();
    tokio::task::spawn_blocking(move || other.shutdown_timeout(Duration::from_secs(5)))
        .await
        .unwrap();

    let address = format!("udp-listen:{to}").parse().unwrap();
    let mut anew = registry().listen(&address).await.unwrap();
    let start = Instant::now();
    here.write_all(b"are you there?").await.unwrap();
    let error = here.read(&mut [0; 16]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    assert!(start.elapsed() < Duration::from_secs(1));
    let (_again, there) = tokio::join!(dial(&to), anew.accept());
    assert!(there.is_ok());
}

/// What a datagram has to pass on a bad path.
struct Fate {
    random: u64,
    /// Overtaken by the next one.
    held: Option<Vec<u8>>,
}

impl Fate {
    fn chance(&mut self, percent: u64) -> bool {
        // Marsaglia 2003.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 100 < percent
    }

    /// What comes out when this goes in: 5 % are lost, 5 % doubled, 5 % overtaken.
    fn pass(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        if self.chance(5) {
            return out;
        }
        if self.held.is_none() && self.chance(5) {
            self.held = Some(datagram.to_vec());
            return out;
        }
        out.push(datagram.to_vec());
        if self.chance(5) {
            out.push(datagram.to_vec());
        }
        out.extend(self.held.take());
        out
    }
}

/// A path for one peer that loses, doubles and reorders; its address.
async fn bad_path(to: String, seed: u64) -> String {
    let front = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let back = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    back.connect(to).await.expect("an address");
    let address = front.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        let mut fates = [seed, !seed].map(|random| Fate { random, held: None });
        let (mut there, mut here) = ([0; 2048], [0; 2048]);
        let mut peer = None;
        loop {
            tokio::select! {
                Ok((length, from)) = front.recv_from(&mut there) => {
                    peer = Some(from);
                    for datagram in fates[0].pass(&there[..length]) {
                        let _ = back.send(&datagram).await;
                    }
                }
                Ok(length) = back.recv(&mut here) => {
                    for datagram in fates[1].pass(&here[..length]) {
                        let _ = front.send_to(&datagram, peer.expect("it asked")).await;
                    }
                }
            }
        }
    });
    address
}

#[tokio::test]
async fn every_byte_arrives_once_over_a_bad_path() {
    let first: u64 = std::env::var("IPFI_SEED").map_or(1, |seed| seed.parse().unwrap());
    for seed in first..first + 3 {
        let mut listener = listen().await;
        let path = bad_path(listener.local().unwrap(), seed).await;
        let (here, there) = tokio::join!(dial(&path), listener.accept());
        let text: Vec<u8> = (0..=250).cycle().take(300_000).collect();
        let talk = async |stream: BoxStream| {
            let (mut read, mut write) = tokio::io::split(stream);
            let mut got = Vec::new();
            let writing = async {
                write.write_all(&text).await?;
                write.shutdown().await
            };
            tokio::try_join!(writing, read.read_to_end(&mut got)).unwrap();
            assert!(got == text, "seed {seed}");
        };
        let both = async { tokio::join!(talk(here), talk(there.unwrap())) };
        tokio::time::timeout(Duration::from_secs(60), both).await.expect("in time");
    }
}

#[tokio::test]
async fn many_peers_at_once() {
    let mut listener = listen().await;
    let to = listener.local().unwrap();
    let mut peers = Vec::new();
    for number in 0..20u8 {
        let (here, there) = tokio::join!(dial(&to), listener.accept());
        peers.push((number, here, there.unwrap()));
    }
    for (number, here, there) in &mut peers {
        there.write_all(&[*number; 1000]).await.unwrap();
        let mut bytes = [0; 1000];
        here.read_exact(&mut bytes).await.unwrap();
        assert_eq!(bytes, [*number; 1000]);
    }
}
