//! One socket, many peers.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use ipfi_arq::{Config, Greeting, connect};
use ipfi_transport::{BoxFuture, BoxStream, Listener};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::cookie::{LIFETIME, Offer, Oven};
use crate::packets::Accepted;

/// Peers that may wait to be accepted.
const BACKLOG: usize = 128;
/// Datagrams that may wait for the link of one peer.
const WAITING: usize = 512;

struct UdpListener {
    accepted: mpsc::Receiver<BoxStream>,
    local: SocketAddr,
}

impl Listener for UdpListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async {
            let closed = || io::Error::new(io::ErrorKind::BrokenPipe, "the socket has failed");
            self.accepted.recv().await.ok_or_else(closed)
        })
    }

    fn local(&self) -> Option<String> {
        Some(self.local.to_string())
    }
}

pub(crate) fn start(
    socket: UdpSocket,
    config: Config,
    peers: usize,
) -> io::Result<impl Listener + 'static> {
    let local = socket.local_addr()?;
    let (accept, accepted) = mpsc::channel(BACKLOG);
    let (gone, mut went) = mpsc::unbounded_channel();
    let socket = Arc::new(socket);
    let mut desk = Desk {
        socket: socket.clone(),
        config,
        peers,
        oven: Oven::new(Instant::now()),
        sessions: HashMap::new(),
        used: HashMap::new(),
        count: 0,
        accept,
        gone,
    };
    tokio::spawn(async move {
        let mut buf = [0; 2048];
        // Sessions outlive their listener.
        while !desk.accept.is_closed() || !desk.sessions.is_empty() {
            let closed = desk.accept.clone();
            tokio::select! {
                received = socket.recv_from(&mut buf) => {
                    // An error here is about a datagram that was sent: a loss.
                    if let Ok((length, from)) = received {
                        desk.take(buf.get(..length).unwrap_or_default(), from, Instant::now());
                    }
                }
                Some((peer, number)) = went.recv() => desk.close(peer, number),
                () = closed.closed(), if !desk.accept.is_closed() => {}
            }
        }
    });
    Ok(UdpListener { accepted, local })
}

struct Session {
    /// The peer's id and this side's.
    theirs: u32,
    ours: u32,
    number: u64,
    datagrams: mpsc::Sender<Vec<u8>>,
}

/// Says which link a datagram is for. Keeps nothing about strangers.
struct Desk {
    socket: Arc<UdpSocket>,
    config: Config,
    peers: usize,
    oven: Oven,
    sessions: HashMap<SocketAddr, Session>,
    /// Cookies that have opened a session and could still be used, and when they were.
    used: HashMap<(SocketAddr, u32), Instant>,
    count: u64,
    accept: mpsc::Sender<BoxStream>,
    gone: mpsc::UnboundedSender<(SocketAddr, u64)>,
}

impl Desk {
    fn take(&mut self, datagram: &[u8], from: SocketAddr, now: Instant) {
        let session = self.sessions.get(&from);
        let Some(greeting) = Greeting::parse(datagram) else {
            match session {
                Some(session) => drop(session.datagrams.try_send(datagram.to_vec())),
                None => self.reply(datagram, from, self.oven.nobody(from), 0, None),
            }
            return;
        };
        if let Some(session) = session.filter(|session| session.theirs == greeting.id) {
            let plain = Greeting::encode(&self.config, greeting.id, greeting.heard, None);
            drop(session.datagrams.try_send(plain));
            return;
        }
        let offer = greeting.cookie.map(|cookie| Offer { id: greeting.heard, cookie });
        match offer.filter(|offer| self.oven.made(*offer, from, greeting.id, now)) {
            Some(offer) => self.open(from, greeting.id, offer, now),
            None => {
                let offer = self.oven.offer(from, greeting.id, now);
                self.reply(datagram, from, offer.id, greeting.id, Some(offer.cookie));
            }
        }
    }

    /// Answers a stranger with no more than it sent.
    fn reply(&self, to: &[u8], from: SocketAddr, id: u32, heard: u32, cookie: Option<u64>) {
        let answer = Greeting::encode(&self.config, id, heard, cookie);
        if answer.len() <= to.len() {
            // Lost if there is no room: it will be asked for again.
            let _ = self.socket.try_send_to(&answer, from);
        }
    }

    /// The peer is where it says, and wants a session that it has not had.
    fn open(&mut self, from: SocketAddr, theirs: u32, offer: Offer, now: Instant) {
        self.used.retain(|_, since| now.duration_since(*since) < LIFETIME);
        let crowded = self.sessions.len() >= self.peers || self.used.len() >= self.peers * 4;
        let again = self.used.contains_key(&(from, theirs));
        if again || crowded || self.accept.is_closed() {
            return;
        }
        if let Some(old) = self.sessions.remove(&from) {
            // The program at this address has been started anew.
            let anew = Greeting::encode(&self.config, theirs, old.ours, None);
            drop(old.datagrams.try_send(anew));
        }
        let (datagrams, incoming) = mpsc::channel(WAITING);
        drop(datagrams.try_send(Greeting::encode(&self.config, theirs, offer.id, None)));
        self.count += 1;
        let number = self.count;
        self.used.insert((from, theirs), now);
        self.sessions.insert(from, Session { theirs, ours: offer.id, number, datagrams });
        let (socket, gone) = (self.socket.clone(), self.gone.clone());
        let inner = Accepted { socket, peer: from, number, incoming, gone };
        let (config, accept) = (self.config.clone(), self.accept.clone());
        tokio::spawn(async move {
            if let Ok(stream) = connect(Box::new(inner), config, offer.id).await {
                // Nobody accepts any more: dropping the stream tells the peer.
                let _ = accept.send(stream).await;
            }
        });
    }

    fn close(&mut self, peer: SocketAddr, number: u64) {
        if self.sessions.get(&peer).is_some_and(|session| session.number == number) {
            self.sessions.remove(&peer);
        }
    }
}
