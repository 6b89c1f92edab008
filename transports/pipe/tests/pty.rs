//! `pty:` keeps the contract, outlives the programs that open it, and sleeps meanwhile.

#![allow(clippy::unwrap_used, reason = "it is how a test fails")]

use std::{
    fs,
    future::Future,
    io::{self, Read, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use ipfi_pipe::{File, Pty};
use ipfi_transport::{Address, BoxStream, Registry, conformance::Suite};
use rustix::termios::{LocalModes, tcgetattr};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf},
    time::timeout,
};

fn registry() -> Registry {
    Registry::new().with(Pty::new()).with(File::new())
}

async fn dial(address: &str) -> io::Result<BoxStream> {
    Ok(registry().dial(&address.parse::<Address>().unwrap()).await?)
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn link(&self) -> PathBuf {
        self.dir.path().join("tty")
    }

    async fn pty(&self, options: &str) -> BoxStream {
        dial(&format!("pty:{}{options}", self.link().display())).await.unwrap()
    }

    /// What a program does that opens it.
    fn open(&self) -> fs::File {
        fs::File::options().read(true).write(true).open(self.link()).unwrap()
    }
}

#[tokio::test]
async fn conforms() {
    let place = Place::new();
    let pair = async || {
        let pty = place.pty("").await;
        Ok((pty, dial(&format!("file:{}", place.link().display())).await?))
    };
    Suite::new().without_end().run(pair).await.unwrap();
    let turned = async || {
        let (pty, program) = pair().await?;
        Ok((program, pty))
    };
    Suite::new().without_end().run(turned).await.unwrap();
}

#[tokio::test]
async fn programs_come_and_go() {
    let place = Place::new();
    let mut pty = place.pty("").await;
    for round in 0..50_u8 {
        let mut program = place.open();
        program.write_all(&[round]).unwrap();
        pty.write_all(&[!round]).await.unwrap();
        let mut byte = [0];
        pty.read_exact(&mut byte).await.unwrap();
        assert_eq!(byte, [round]);
        program.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [!round]);
        // Now and then they are gone before or after we look.
        if round % 3 == 0 {
            drop(program);
            poll_once(&mut pty).await;
        }
    }
}

/// Lets the stream see where it stands.
async fn poll_once(stream: &mut BoxStream) {
    let mut buf = [0; 16];
    let mut buf = ReadBuf::new(&mut buf);
    let poll =
        std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *stream).poll_read(cx, &mut buf)));
    assert!(poll.await.is_pending());
}

/// How often a future is polled within a while.
async fn polls<T>(future: impl Future<Output = T>) -> (usize, Option<T>) {
    let (mut count, mut future) = (0, pin!(future));
    let counted = std::future::poll_fn(|cx| {
        count += 1;
        future.as_mut().poll(cx)
    });
    let result = timeout(Duration::from_millis(300), counted).await.ok();
    (count, result)
}

#[tokio::test]
async fn nobody_there_is_no_work() {
    let place = Place::new();
    let mut pty = place.pty("").await;
    let mut buf = [0; 16];
    let (count, read) = polls(pty.read(&mut buf)).await;
    assert!(read.is_none() && count <= 2, "never opened: {count} polls");
    drop(place.open());
    let (count, read) = polls(pty.read(&mut buf)).await;
    assert!(read.is_none() && count <= 4, "closed: {count} polls");

    // Filled up while nobody reads.
    let mut sent = 0;
    let (count, write) = polls(async {
        loop {
            sent += pty.write(&[7; 1000]).await.unwrap();
        }
    })
    .await;
    let _: Option<()> = write;
    assert!(count <= 6, "full: {count} polls");

    // A program that has it open and says nothing.
    let mut program = place.open();
    let (count, read) = polls(pty.read(&mut buf)).await;
    assert!(read.is_none() && count <= 4, "open: {count} polls");

    // It still works, in both directions. The kernel tells of room when its queue is nearly empty.
    let mut bytes = vec![0; sent];
    program.read_exact(&mut bytes).unwrap();
    assert!(bytes.iter().all(|&byte| byte == 7));
    program.write_all(b"ok").unwrap();
    pty.read_exact(&mut bytes[..2]).await.unwrap();
    let (_, written) = polls(pty.write_all(&[7; 100])).await;
    written.expect("there is room again").unwrap();
}

#[tokio::test]
async fn a_writer_that_waits_for_room_wakes_up() {
    let place = Place::new();
    let mut pty = place.pty("").await;
    drop(place.open());
    poll_once(&mut pty).await;
    let write = tokio::spawn(async move {
        let bytes: Vec<u8> = (0..200_000_u32).map(|i| i.to_le_bytes()[0]).collect();
        pty.write_all(&bytes).await.unwrap();
        pty.shutdown().await.unwrap();
        bytes
    });
    let link = place.link();
    let read = tokio::task::spawn_blocking(move || {
        // Several programs, one after the other, read a piece each.
        let mut bytes = Vec::new();
        while bytes.len() < 200_000 {
            let program = fs::File::options().read(true).write(true).open(&link).unwrap();
            let rest = 200_000 - bytes.len();
            Read::take(program, rest.min(30_000) as u64).read_to_end(&mut bytes).unwrap();
        }
        bytes
    });
    let (sent, received) = tokio::join!(write, read);
    assert!(sent.unwrap() == received.unwrap());
}

#[tokio::test]
async fn quick_programs_are_heard() {
    let place = Place::new();
    let mut pty = place.pty("").await;
    for round in 0..100 {
        let text = format!("{round:03}");
        place.open().write_all(text.as_bytes()).unwrap();
        let mut bytes = [0; 3];
        pty.read_exact(&mut bytes).await.unwrap();
        assert_eq!(bytes, text.as_bytes());
    }
}

#[tokio::test]
async fn closing_can_be_the_end() {
    let place = Place::new();
    let mut pty = place.pty(",eof=close").await;
    poll_once(&mut pty).await; // Not yet opened is not closed.
    place.open().write_all(b"all of it").unwrap();
    let mut text = String::new();
    pty.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "all of it");
    let _program = place.open();
    assert_eq!(pty.read(&mut [0]).await.unwrap(), 0);
    let error = pty.write_all(b"x").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn what_was_written_arrives_before_the_end() {
    for finish in [true, false] {
        let place = Place::new();
        let mut pty = place.pty("").await;
        let mut program = place.open();
        pty.write_all(&[9; 10_000]).await.unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            // To a program the hang-up is an end or EIO, as the kernel likes.
            let _ = program.read_to_end(&mut bytes);
            bytes
        });
        if finish {
            pty.shutdown().await.unwrap();
            pty.write_all(b"x").await.unwrap_err();
        }
        drop(pty);
        let bytes = read.await.unwrap();
        assert_eq!(bytes.len(), 10_000, "finish: {finish}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_program_that_does_not_read_does_not_hold_the_end_up() {
    let place = Place::new();
    let mut pty = place.pty("").await;
    let _program = place.open();
    pty.write_all(b"never read").await.unwrap();
    timeout(Duration::from_secs(5), pty.shutdown()).await.unwrap().unwrap();
}

#[tokio::test]
async fn it_can_wait_for_a_program() {
    let place = Place::new();
    let waiting = tokio::spawn(dial_wait(place.link()));
    while !place.link().exists() {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    let mut program = place.open();
    let mut pty = waiting.await.unwrap();
    program.write_all(b"x").unwrap();
    pty.read_exact(&mut [0]).await.unwrap();
}

async fn dial_wait(link: PathBuf) -> BoxStream {
    dial(&format!("pty:,link={},wait", link.display())).await.unwrap()
}

#[tokio::test]
async fn it_is_raw_unless_told_otherwise() {
    let place = Place::new();
    for (options, cooked) in [("", false), (",raw=no", true)] {
        let pty = place.pty(options).await;
        for _ in 0..2 {
            let modes = tcgetattr(place.open()).unwrap().local_modes;
            assert_eq!(modes.contains(LocalModes::ICANON | LocalModes::ECHO), cooked);
        }
        drop(pty);
    }
}

#[tokio::test]
async fn the_link_comes_and_goes_and_the_mode_is_set() {
    let place = Place::new();
    let pty = place.pty(",mode=642").await;
    let target = fs::read_link(place.link()).unwrap();
    assert!(target.starts_with("/dev/pts"));
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o642);
    assert!(pty.peer().unwrap().contains(target.to_str().unwrap()));
    drop(pty);
    assert!(fs::symlink_metadata(place.link()).is_err());
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn only_a_stale_link_is_replaced() {
    let place = Place::new();
    let link = place.link();
    for stale in [Path::new("/dev/pts/12345"), Path::new("/ipfi/nowhere")] {
        symlink(stale, &link).unwrap();
        drop(place.pty("").await);
        assert!(fs::symlink_metadata(&link).is_err());
    }
    // One that somebody else has put there since is not ours to remove.
    let pty = place.pty("").await;
    fs::remove_file(&link).unwrap();
    symlink("/dev/null", &link).unwrap();
    drop(pty);
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("/dev/null"));
}

#[tokio::test]
async fn errors_name_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display().to_string();
    fs::write(dir.path().join("file"), "precious").unwrap();
    symlink("file", dir.path().join("other")).unwrap();
    let mut lines = Vec::new();
    for text in [
        "pty:DIR/file",
        "pty:DIR/other",
        "pty:DIR",
        "pty:DIR/no/tty",
        "pty:DIR/a,link=DIR/b",
        "pty:DIR/a,eof=open",
        "pty:DIR/a,mode=rw",
        "pty:DIR/a,lnk=x",
        "pty-listen:DIR/a",
    ] {
        let address = text.replace("DIR", &here).parse().unwrap();
        let error = registry().open(&address).await.err().unwrap();
        lines.push(error.to_string().replace(&here, "/dir"));
    }
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"precious");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}
