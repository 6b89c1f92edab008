//! Real terminals, made by socat and by the kernel.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod common;

use std::{
    fs, io,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use common::Cable;
use ipfi_serial::Serial;
use ipfi_transport::{Address, BoxStream, OpenError, Registry, conformance::Suite};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_serial::{SerialPort, SerialStream};

async fn open(path: &Path, options: &str) -> Result<BoxStream, OpenError> {
    let address: Address = format!("serial:{}{options}", path.display()).parse().unwrap();
    Registry::new().with(Serial::new()).dial(&address).await
}

/// Whether this process still has `device` open.
fn is_open(device: &Path) -> bool {
    let targets = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = targets.filter_map(|fd| fs::read_link(fd.path()).ok());
    targets.into_iter().any(|t| t.to_string_lossy().starts_with(&*device.to_string_lossy()))
}

#[tokio::test]
async fn a_line_conforms() {
    let cable = Cable::new().await;
    let connect =
        || async { Ok((open(&cable.a(), "").await?, open(&cable.b(), ",baud=9600").await?)) };
    Suite::new().without_end().run(connect).await.unwrap();
}

#[tokio::test]
async fn an_unplugged_line_is_cut_and_its_descriptor_closed() {
    let mut cable = Cable::new().await;
    let device = cable.a().canonicalize().unwrap();
    let mut line = open(&cable.a(), "").await.unwrap();
    assert!(is_open(&device));

    let (pulled, read) = tokio::join!(cable.pull(), async {
        let error = line.read(&mut [0; 16]).await.unwrap_err();
        // At once: nothing but this line is polled between.
        (error, is_open(&device))
    });
    let ((), (error, still_open)) = (pulled, read);
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(!still_open);
    // It stays so.
    let kinds = [
        line.read(&mut [0; 16]).await.unwrap_err().kind(),
        line.write(b"x").await.unwrap_err().kind(),
        line.flush().await.unwrap_err().kind(),
        line.shutdown().await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [io::ErrorKind::ConnectionReset; 4]);
    assert_eq!(line.line(), None);
    assert_eq!(line.peer(), None);

    cable.plug().await;
    let (mut a, mut b) = (open(&cable.a(), "").await.unwrap(), open(&cable.b(), "").await.unwrap());
    a.write_all(b"back").await.unwrap();
    let mut back = [0; 4];
    b.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"back");
}

#[tokio::test]
async fn a_writer_and_a_reader_that_wait_both_learn_of_the_loss() {
    let mut cable = Cable::new().await;
    let device = cable.a().canonicalize().unwrap();
    let (mut read, mut write) = tokio::io::split(open(&cable.a(), "").await.unwrap());
    let reader = tokio::spawn(async move { read.read(&mut [0; 16]).await.unwrap_err() });
    // Nobody reads at the other end: the line fills up, and the writer waits.
    let writer = tokio::spawn(async move {
        loop {
            if let Err(error) = write.write(&[0; 4096]).await {
                return error;
            }
        }
    });
    cable.pull().await;
    let (reader, writer) = (reader.await.unwrap(), writer.await.unwrap());
    for error in [reader, writer] {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(error.to_string().contains("is gone"), "{error}");
    }
    assert!(!is_open(&device));
}

/// Whether it was woken.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

#[tokio::test]
async fn whoever_closes_the_descriptor_wakes_the_other() {
    let (master, slave) = SerialStream::pair().unwrap();
    let mut line = open(Path::new(&slave.name().unwrap()), "").await.unwrap();
    let reader = Arc::new(Flag(AtomicBool::new(false)));
    let waker = reader.clone().into();
    let mut buf = [0; 16];
    let mut buf = ReadBuf::new(&mut buf);
    assert!(Pin::new(&mut line).poll_read(&mut Context::from_waker(&waker), &mut buf).is_pending());
    drop(master);
    // The runtime has not had its turn, so that only the line itself can know.
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(Pin::new(&mut line).poll_write(&mut cx, b"x"), Poll::Ready(Err(_))));
    assert!(reader.0.load(Ordering::Acquire));
}

#[tokio::test]
async fn a_stopped_line_never_blocks_the_thread() {
    let cable = Cable::new().await;
    let mut line = open(&cable.a(), "").await.unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(n) = Pin::new(&mut line).poll_write(&mut cx, &[b'x'; 4096]) {
        assert!(n.unwrap() > 0);
    }
    assert!(matches!(Pin::new(&mut line).poll_flush(&mut cx), Poll::Ready(Ok(()))));
    // A pty has no queue of its own to wait for.
    assert!(matches!(Pin::new(&mut line).poll_shutdown(&mut cx), Poll::Ready(Ok(()))));
}

#[tokio::test]
async fn settings_reach_the_driver() {
    use tokio_serial::{FlowControl, StopBits};
    let (_master, slave) = SerialStream::pair().unwrap();
    let device = slave.name().unwrap();
    let device = Path::new(&device);
    // Rates that no table has, the DX7's MIDI among them.
    for rate in [50, 31_250, 115_200, 250_000, 1_234_567, 4_000_000] {
        let line = open(device, &format!(",baud={rate}")).await.unwrap();
        assert_eq!(slave.baud_rate().unwrap(), rate);
        assert_eq!(line.line().unwrap().bytes_per_second, Some(rate / 10));
    }
    for (options, stop, flow) in [
        (",baud=9600n82", StopBits::Two, FlowControl::None),
        (",flow=rtscts", StopBits::One, FlowControl::Hardware),
        (",stop=2,flow=xonxoff", StopBits::Two, FlowControl::Software),
    ] {
        drop(open(device, options).await.unwrap());
        assert_eq!((slave.stop_bits().unwrap(), slave.flow_control().unwrap()), (stop, flow));
    }
    // Lines and shapes that a pty does not have are no reason to refuse it.
    let line = open(device, ",dtr=no,rts=yes,baud=9600m71,hangup=no,low-latency").await.unwrap();
    assert_eq!(line.line().unwrap().bytes_per_second, Some(960));
    assert_eq!(line.peer().as_deref(), device.to_str());
}

#[tokio::test]
async fn a_locked_port_is_busy_and_a_shared_one_is_not() {
    let cable = Cable::new().await;
    let busy = |result: Result<BoxStream, OpenError>| match result.err() {
        Some(OpenError::Io { source, .. }) => source.kind() == io::ErrorKind::ResourceBusy,
        _ => false,
    };
    let locked = open(&cable.a(), "").await.unwrap();
    assert!(busy(open(&cable.a(), "").await));
    // The one that failed has not taken the lock away.
    assert!(busy(open(&cable.a(), ",lock=no").await));
    drop(locked);

    let mut first = open(&cable.a(), ",lock=no").await.unwrap();
    let mut second = open(&cable.a(), ",lock=no").await.unwrap();
    assert!(busy(open(&cable.a(), "").await));
    let mut far = open(&cable.b(), "").await.unwrap();
    first.write_all(b"1").await.unwrap();
    second.write_all(b"2").await.unwrap();
    let mut both = [0; 2];
    far.read_exact(&mut both).await.unwrap();
    both.sort_unstable();
    assert_eq!(&both, b"12");
}

#[tokio::test]
async fn errors_say_the_way_out() {
    let cable = Cable::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let device = cable.a().canonicalize().unwrap();

    let _held = open(&cable.a(), "").await.unwrap();
    let mut other = tokio::process::Command::new("flock")
        .arg(cable.b().canonicalize().unwrap())
        .args(["-c", "echo held; read line"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    other.stdout.as_mut().unwrap().read_exact(&mut [0; 4]).await.unwrap();

    let registry = Registry::new().with(Serial::new());
    let mut messages = Vec::new();
    for address in [
        "serial:",
        "serial:/dev/ttyNONE",
        "serial:ttyNONE",
        "serial:by-id=usb-nobody",
        "serial:usb=dead:beef",
        "serial:usb=dead",
        "serial:/dev/null",
        "serial:/dev",
        &format!("serial:{}", file.display()),
        &format!("serial:{}", device.display()),
        &format!("serial:{}", cable.b().display()),
        "serial:/dev/ttyS9,baud=0",
        "serial:/dev/ttyS9,speed=9600",
        "serial-listen:/dev/ttyS9",
    ] {
        let error = registry.open(&address.parse().unwrap()).await.err().unwrap();
        messages.push(error.to_string());
    }
    other.kill().await.unwrap();

    insta::with_settings!({filters => vec![
        (device.to_str().unwrap(), "/dev/pts/A"),
        (cable.a().parent().unwrap().to_str().unwrap(), "/tmp/cable"),
        (folder.path().to_str().unwrap(), "/tmp/folder"),
        (r"(sh|flock) \(process \d+\)", "flock (process 123)"),
    ]}, {
        insta::assert_snapshot!(messages.join("\n"));
    });
}
