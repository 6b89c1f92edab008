//! What the sockets can do at most: many frames in one buffer, echoed without looking at each.

use crate::measure::Peer;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const NAME: &[u8] = b"\x08John Doe";
const HELLO: &[u8] = b"\x10Hello, John Doe!";

async fn answer(mut stream: TcpStream) {
    let mut input = vec![0; 1 << 18];
    let mut have = 0;
    let mut output = Vec::new();
    loop {
        match stream.read(&mut input[have..]).await {
            Ok(0) | Err(_) => return,
            Ok(n) => have += n,
        }
        let mut at = 0;
        output.clear();
        while have - at >= 4 {
            let len = u32::from_le_bytes(input[at..at + 4].try_into().unwrap()) as usize;
            if have - at < 4 + len {
                break;
            }
            let frame = &input[at + 4..at + 4 + len];
            if len == 12 && frame.starts_with(b"item") {
                let count = u64::from_le_bytes(frame[4..].try_into().unwrap());
                send_items(&mut stream, count).await;
            } else {
                let answer = if frame == NAME { HELLO } else { frame };
                output.extend_from_slice(&(answer.len() as u32).to_le_bytes());
                output.extend_from_slice(answer);
            }
            at += 4 + len;
        }
        input.copy_within(at..have, 0);
        have -= at;
        if stream.write_all(&output).await.is_err() {
            return;
        }
    }
}

async fn send_items(stream: &mut TcpStream, count: u64) {
    let mut buffer = Vec::new();
    for n in 0..count {
        buffer.push(8);
        buffer.extend_from_slice(&n.to_le_bytes());
        if buffer.len() > 60_000 {
            stream.write_all(&buffer).await.unwrap();
            buffer.clear();
        }
    }
    stream.write_all(&buffer).await.unwrap();
}

pub struct Raw {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Raw {
    async fn exchange(&mut self, frame: &[u8], at_once: usize, answer: usize) {
        let mut output = Vec::with_capacity((frame.len() + 4) * at_once);
        for _ in 0..at_once {
            output.extend_from_slice(&(frame.len() as u32).to_le_bytes());
            output.extend_from_slice(frame);
        }
        let wanted = (answer + 4) * at_once;
        let mut have = 0;
        self.buffer.resize(wanted.max(self.buffer.len()), 0);
        if output.len() < 60_000 {
            self.stream.write_all(&output).await.unwrap();
            while have < wanted {
                have += self.stream.read(&mut self.buffer[have..wanted]).await.unwrap();
            }
        } else {
            let (mut read, mut write) = self.stream.split();
            let buffer = &mut self.buffer[..wanted];
            let (sent, got) = tokio::join!(write.write_all(&output), read.read_exact(buffer));
            sent.unwrap();
            got.unwrap();
        }
    }
}

impl Peer for Raw {
    async fn serve(listener: tokio::net::TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(answer(stream));
        }
    }

    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    async fn greet(&mut self) {
        self.exchange(NAME, 1, HELLO.len()).await;
        assert_eq!(&self.buffer[4..21], HELLO);
    }

    async fn greet_many(&mut self, at_once: usize) {
        self.exchange(NAME, at_once, HELLO.len()).await;
    }

    async fn echo(&mut self, bytes: &[u8]) {
        self.exchange(bytes, 1, bytes.len()).await;
    }

    async fn echo_many(&mut self, bytes: &[u8], at_once: usize) {
        self.exchange(bytes, at_once, bytes.len()).await;
    }

    async fn items(&mut self, count: u64) -> bool {
        let frame = [&b"item"[..], &count.to_le_bytes()].concat();
        self.stream.write_all(&(frame.len() as u32).to_le_bytes()).await.unwrap();
        self.stream.write_all(&frame).await.unwrap();
        let mut buffer = vec![0; 1 << 16];
        let (mut have, mut got, mut sum) = (0, 0, 0u64);
        while got < count {
            have += self.stream.read(&mut buffer[have..]).await.unwrap();
            let mut at = 0;
            while have - at >= 9 {
                sum += u64::from_le_bytes(buffer[at + 1..at + 9].try_into().unwrap());
                at += 9;
                got += 1;
            }
            buffer.copy_within(at..have, 0);
            have -= at;
        }
        assert_eq!(sum, count * (count - 1) / 2);
        true
    }
}
