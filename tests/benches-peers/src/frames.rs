//! Frames with a length of four bytes, one after another through tokio's buffers, each payload
//! owned: what a program without any RPC does.

use crate::measure::Peer;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

pub struct Frames {
    read: BufReader<OwnedReadHalf>,
    write: BufWriter<OwnedWriteHalf>,
}

impl Frames {
    fn new(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self {
            read: BufReader::with_capacity(1 << 16, read),
            write: BufWriter::with_capacity(1 << 16, write),
        }
    }

    async fn put(&mut self, frame: &[u8]) {
        self.write.write_u32_le(frame.len() as u32).await.unwrap();
        self.write.write_all(frame).await.unwrap();
    }

    async fn get(&mut self) -> Option<Vec<u8>> {
        let len = self.read.read_u32_le().await.ok()?;
        let mut frame = vec![0; len as usize];
        self.read.read_exact(&mut frame).await.ok()?;
        Some(frame)
    }
}

async fn answer(mut frames: Frames) {
    while let Some(frame) = frames.get().await {
        if frame.len() == 12 && frame.starts_with(b"item") {
            for n in 0..u64::from_le_bytes(frame[4..].try_into().unwrap()) {
                frames.put(&n.to_le_bytes()).await;
            }
        } else if frame == b"John Doe" {
            let name = String::from_utf8(frame).unwrap();
            frames.put(format!("Hello, {name}!").as_bytes()).await;
        } else {
            frames.put(&frame).await;
        }
        // Everything that came is answered before anything is written.
        if frames.read.buffer().len() < 4 {
            frames.write.flush().await.unwrap();
        }
    }
}

impl Peer for Frames {
    async fn serve(listener: tokio::net::TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(answer(Frames::new(stream)));
        }
    }

    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::new(stream)
    }

    async fn greet(&mut self) {
        self.greet_many(1).await;
    }

    async fn greet_many(&mut self, at_once: usize) {
        for _ in 0..at_once {
            self.put(b"John Doe").await;
        }
        self.write.flush().await.unwrap();
        for _ in 0..at_once {
            let answer = String::from_utf8(self.get().await.unwrap()).unwrap();
            assert_eq!(answer.len(), 16);
        }
    }

    async fn echo(&mut self, bytes: &[u8]) {
        self.echo_many(bytes, 1).await;
    }

    async fn echo_many(&mut self, bytes: &[u8], at_once: usize) {
        let Self { read, write } = self;
        let send = async {
            for _ in 0..at_once {
                write.write_u32_le(bytes.len() as u32).await.unwrap();
                write.write_all(bytes).await.unwrap();
            }
            write.flush().await.unwrap();
        };
        let receive = async {
            for _ in 0..at_once {
                let mut frame = vec![0; read.read_u32_le().await.unwrap() as usize];
                read.read_exact(&mut frame).await.unwrap();
                assert_eq!(frame.len(), bytes.len());
            }
        };
        tokio::join!(send, receive);
    }

    async fn items(&mut self, count: u64) -> bool {
        self.put(&[&b"item"[..], &count.to_le_bytes()].concat()).await;
        self.write.flush().await.unwrap();
        let mut sum = 0;
        for _ in 0..count {
            let mut item = [0; 8];
            assert_eq!(self.read.read_u32_le().await.unwrap(), 8);
            self.read.read_exact(&mut item).await.unwrap();
            sum += u64::from_le_bytes(item);
        }
        assert_eq!(sum, count * (count - 1) / 2);
        true
    }
}
