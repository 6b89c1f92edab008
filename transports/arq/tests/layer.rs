//! The layer `arq+` over the transports of the contract, on a paused clock.

use std::io;
use std::time::Duration;

use ipfi_arq::{Arq, ArqOptions};
use ipfi_transport::conformance::Suite;
use ipfi_transport::{BoxStream, Memory, Noise, OpenError, Options, Registry, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

fn registry() -> Registry {
    Registry::new().with(Memory::new()).with_layer(Noise::new()).with_layer(Arq::new())
}

/// Two ends of a line with these faults, the options of the dialling end.
async fn pair(options: &str) -> Result<(BoxStream, BoxStream), OpenError> {
    let registry = registry();
    let mut listener =
        registry.listen(&"arq+memory-listen:line".parse().expect("an address")).await?;
    let address = format!("arq+noise+memory:line{options}").parse().expect("an address");
    let dial = registry.dial(&address);
    let (dialled, accepted) = tokio::join!(dial, listener.accept());
    Ok((dialled?, accepted.expect("a peer")))
}

#[tokio::test(start_paused = true)]
async fn fulfils_the_contract() {
    let address = "arq+memory-listen:line".parse().unwrap();
    Suite::new().run_listener(&registry(), &address).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn fulfils_the_contract_on_a_bad_line() {
    let suite = Suite::new().volume(50_000).patience(Duration::from_secs(300));
    let mut seed = 0;
    let connect = || {
        seed += 1;
        let options = format!(",flip=1e-4,drop=1e-4,insert=1e-4,rate=100000,noise.seed={seed}");
        async move { pair(&options).await.map_err(io::Error::other) }
    };
    suite.run(connect).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn is_reliable_and_ends() {
    let properties = registry().check(&"arq+noise+memory:line".parse().unwrap()).await.unwrap();
    assert!(properties.reliable && !properties.endless);
}

#[tokio::test(start_paused = true)]
async fn tells_its_rate_and_what_waits() {
    let (mut known, mut unknown) = pair(",rate=11520").await.unwrap();
    let line = known.line().unwrap();
    assert_eq!(line.bytes_per_second, Some(11_520));
    let before = line.queued;
    let taken = known.write(&vec![0; 40_000]).await.unwrap();
    assert_eq!(taken, 1024 + 576);
    assert_eq!(known.line().unwrap().queued - before, taken);
    assert_eq!(unknown.line(), None);
    assert_eq!(unknown.write(&vec![0; 40_000]).await.unwrap(), 32 << 10);
}

#[tokio::test(start_paused = true)]
async fn carries_bytes_both_ways_through_noise() {
    let (left, right) = pair(",flip=3e-4,drop=1e-4,rate=11520,delay=5ms").await.unwrap();
    let text: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let (mut left_reads, mut left_writes) = tokio::io::split(left);
    let (mut right_reads, mut right_writes) = tokio::io::split(right);
    let (mut there, mut back) = (Vec::new(), Vec::new());
    let start = Instant::now();
    tokio::try_join!(
        async {
            left_writes.write_all(&text).await?;
            left_writes.shutdown().await
        },
        async {
            right_writes.write_all(&text).await?;
            right_writes.shutdown().await
        },
        right_reads.read_to_end(&mut there),
        left_reads.read_to_end(&mut back),
    )
    .unwrap();
    assert!(there == text && back == text);
    let goodput = 100_000.0 / start.elapsed().as_secs_f64() / 11_520.0;
    assert!(goodput > 0.5, "{goodput}");
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_an_error_in_time() {
    let registry = registry();
    let mut listener = registry.listen(&"memory-listen:line".parse().unwrap()).await.unwrap();
    let address = "arq+memory:line,connect=3s".parse().unwrap();
    let start = Instant::now();
    let (dialled, _silent) = tokio::join!(registry.dial(&address), listener.accept());
    let error = dialled.err().unwrap();
    assert_eq!(
        error.to_string(),
        "cannot open `arq+memory:line,connect=3s`: nobody answers on the link: does the other end \
         use `arq+` as well?"
    );
    assert!(start.elapsed() < Duration::from_secs(4));
}

/// The stream below can be opened again as soon as an error has been reported.
#[tokio::test(start_paused = true)]
async fn a_restarted_peer_ends_the_stream_and_frees_the_line() {
    // A line that stays, whoever is at its ends: as a serial port does.
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (line, other) = (Line::new(ours), Line::new(theirs));
    let (first, survivor) = tokio::join!(line.open(), other.open());
    let (mut first, mut survivor) = (first.unwrap(), survivor.unwrap());
    first.write_all(b"old").await.unwrap();
    let mut buf = [0; 16];
    assert_eq!(survivor.read(&mut buf).await.unwrap(), 3);
    line.kill();
    let start = Instant::now();
    let (second, error) = tokio::join!(line.open(), async {
        let error = survivor.read(&mut buf).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(1));
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        other.open().await
    });
    let (mut second, mut third) = (second.unwrap(), error.unwrap());
    second.write_all(b"new").await.unwrap();
    assert_eq!(third.read(&mut buf).await.unwrap(), 3);
    assert_eq!(&buf[..3], b"new");
    assert!(first.read(&mut buf).await.is_err(), "its line has been taken away");
}

#[tokio::test(start_paused = true)]
async fn tells_how_it_fares() {
    let (mut left, mut right) = pair(",flip=1e-3,rate=10000").await.unwrap();
    let start = Instant::now();
    left.write_all(&vec![7; 20_000]).await.unwrap();
    right.read_exact(&mut vec![0; 20_000]).await.unwrap();
    let goodput = 20_000.0 / start.elapsed().as_secs_f64();
    let health = left.health();
    let value = |name| &health.iter().find(|reading| reading.name == name).unwrap().value;
    // Up to the last acknowledgement, which may be on its way.
    assert!(
        matches!(value("goodput"), Value::Rate(rate) if (0.9..1.05).contains(&(rate / goodput)))
    );
    assert!(matches!(value("fec"), Value::Text(mode) if mode != "off"));
    let bad = right.health().into_iter().find(|reading| reading.name == "bad-frames");
    assert!(matches!(bad.unwrap().value, Value::Count(10..)));
    assert!(matches!(value("rtt"), Value::Time(_)));
    assert!(matches!(value("retransmitted"), Value::Count(10..)));
    assert!(matches!(value("byte-errors"), Value::Number(rate) if (2e-3..3e-2).contains(rate)));
    assert!(matches!(value("frame"), Value::Count(32..100)));
}

#[tokio::test(start_paused = true)]
async fn an_abort_arrives_with_its_reason() {
    let (mut left, mut right) = pair("").await.unwrap();
    left.abort();
    let error = right.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let text = "the other end aborted the stream: the other program broke off (code 2)";
    assert_eq!(error.to_string(), text);
}

/// How long an end with these options takes to miss the other one, in an hour.
async fn missed_after(options: &[(&str, &str)]) -> Option<Duration> {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (line, other) = (Line::new(ours), Line::new(theirs));
    let options = ArqOptions::from_pairs(options.iter().copied()).expect("options");
    let (dead, survivor) = tokio::join!(line.open(), other.open_with(&options));
    let (_dead, mut survivor) = (dead.expect("a stream"), survivor.expect("a stream"));
    line.kill();
    let start = Instant::now();
    let mut buf = [0; 8];
    let read = tokio::time::timeout(Duration::from_secs(3600), survivor.read(&mut buf));
    let error = read.await.ok()?.expect_err("nobody is there");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    Some(start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn silence_is_asked_about_and_given_up_as_the_options_say() {
    let seconds = |from: u64, to: u64| Duration::from_secs(from)..Duration::from_secs(to);
    let usual = missed_after(&[]).await.unwrap();
    assert!(seconds(9, 13).contains(&usual), "{usual:?}");
    let soon = missed_after(&[("keepalive", "1s"), ("dead", "3s")]).await.unwrap();
    assert!(seconds(2, 5).contains(&soon), "{soon:?}");
    assert_eq!(missed_after(&[("keepalive", "none")]).await, None, "nothing is owed");
}

#[tokio::test(start_paused = true)]
async fn sleeps_while_nothing_happens() {
    let (left, right) = pair("").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    // The clock moves only when every task sleeps: a driver that spins would stop it.
    assert!(left.peer().is_none() && right.peer().is_none());
}

use line::Line;

mod line {
    //! One end of a line that can be opened again and again.

    use std::io;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, Waker};

    use ipfi_arq::{Arq, ArqOptions};
    use ipfi_transport::{BoxStream, Layer, Side, boxed};
    use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

    pub(crate) struct Line {
        stream: Arc<Mutex<DuplexStream>>,
        open: Arc<AtomicU32>,
        waker: Arc<Mutex<Option<Waker>>>,
    }

    struct Opened {
        stream: Arc<Mutex<DuplexStream>>,
        number: u32,
        open: Arc<AtomicU32>,
        waker: Arc<Mutex<Option<Waker>>>,
    }

    impl Line {
        pub(crate) fn new(stream: DuplexStream) -> Self {
            Self {
                stream: Arc::new(Mutex::new(stream)),
                open: Arc::default(),
                waker: Arc::default(),
            }
        }

        pub(crate) async fn open(&self) -> io::Result<BoxStream> {
            self.open_with(&ArqOptions::default()).await
        }

        pub(crate) async fn open_with(&self, options: &ArqOptions) -> io::Result<BoxStream> {
            let number = self.open.fetch_add(1, Ordering::SeqCst) + 1;
            let (stream, open, waker) =
                (self.stream.clone(), self.open.clone(), self.waker.clone());
            let opened = boxed(Opened { stream, number, open, waker });
            Arq::new().wrap(opened, Side::Dial, options).await
        }

        /// What has the line open is dead from now on.
        pub(crate) fn kill(&self) {
            self.open.fetch_add(1, Ordering::SeqCst);
            if let Some(waker) = self.waker.lock().expect("no panic").take() {
                waker.wake();
            }
        }
    }

    impl Opened {
        fn check(&self, cx: &Context<'_>) -> io::Result<()> {
            *self.waker.lock().expect("no panic") = Some(cx.waker().clone());
            if self.open.load(Ordering::SeqCst) == self.number {
                Ok(())
            } else {
                Err(io::ErrorKind::NotConnected.into())
            }
        }
    }

    impl AsyncRead for Opened {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.check(cx)?;
            Pin::new(&mut *self.stream.lock().expect("no panic")).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Opened {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.check(cx)?;
            Pin::new(&mut *self.stream.lock().expect("no panic")).poll_write(cx, buf)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
}
