//! `pipe:` keeps the contract, waits without blocking, and says what is wrong.

#![allow(clippy::unwrap_used, reason = "it is how a test fails")]

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use ipfi_pipe::{Exec, Pipe};
use ipfi_transport::{Address, BoxStream, Registry, conformance::Suite};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

fn registry() -> Registry {
    Registry::new().with(Pipe::new()).with(Exec::new())
}

async fn dial(address: &str) -> io::Result<BoxStream> {
    Ok(registry().dial(&address.parse::<Address>().unwrap()).await?)
}

#[tokio::test]
async fn conforms() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let (a, b) = (a.display(), b.display());
    let (here, there) = (format!("pipe:{a},out={b},create"), format!("pipe:{b},out={a},create"));
    let pair = async || tokio::try_join!(dial(&here), dial(&there));
    Suite::new().without_abort().run(pair).await.unwrap();
}

/// A program between two pipes of its own and two named ones: `exec:` conforms too.
#[tokio::test]
async fn a_program_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let mut count = 0;
    let pair = || {
        count += 1;
        let [there, back] = ["there", "back"].map(|name| dir.path().join(format!("{name}{count}")));
        let (there, back) = (there.display().to_string(), back.display().to_string());
        async move {
            let far = format!("pipe:{there},out={back},create");
            let mut program: Address = "exec:,shell,grace=100ms".parse().unwrap();
            program.location = format!(
                "exec 3<&0 </dev/null 4>{there}; cat <&3 >&4 & exec 3<&- 4>&-; cat <{back}; wait"
            );
            let make = dial(&format!("pipe:{there},create")).await?;
            drop((make, dial(&format!("pipe:{back},create")).await?));
            let near = registry().dial(&program).await?;
            Ok((near, dial(&far).await?))
        }
    };
    Suite::new().without_abort().run(pair).await.unwrap();
}

#[tokio::test]
async fn missing_pipes_are_made_with_their_mode() {
    let dir = tempfile::tempdir().unwrap();
    for mode in ["600", "666", "622"] {
        let path = dir.path().join(mode);
        let _pipe = dial(&format!("pipe:{},create,mode={mode}", path.display())).await.unwrap();
        let found = fs::metadata(&path).unwrap();
        assert!(found.file_type().is_fifo());
        assert_eq!(format!("{:o}", found.permissions().mode() & 0o7777), mode);
    }
}

fn fifo(path: &Path) -> String {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    path.display().to_string()
}

#[tokio::test(start_paused = true)]
async fn dialling_waits_for_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(&dir.path().join("p"));
    let address = format!("pipe:,out={path}");
    timeout(Duration::from_secs(60), dial(&address)).await.err().unwrap();

    let (writer, reader) = tokio::join!(dial(&address), async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        dial(&format!("pipe:{path}")).await
    });
    let (mut writer, mut reader) = (writer.unwrap(), reader.unwrap());
    writer.write_all(b"x").await.unwrap();
    writer.shutdown().await.unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "x");
    // The one way was finished, so the stream is.
    assert_eq!(writer.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn reading_waits_for_the_first_writer_and_ends_with_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(&dir.path().join("p"));
    let mut reader = dial(&format!("pipe:{path}")).await.unwrap();
    timeout(Duration::from_millis(20), reader.read(&mut [0])).await.unwrap_err();
    let mut writer = dial(&format!("pipe:,out={path}")).await.unwrap();
    timeout(Duration::from_millis(20), reader.read(&mut [0])).await.unwrap_err();
    writer.write_all(b"x").await.unwrap();
    drop(writer);
    let mut text = Vec::new();
    reader.read_to_end(&mut text).await.unwrap();
    assert_eq!(text, b"x");
    // Another writer is another stream.
    let _writer = dial(&format!("pipe:,out={path}")).await.unwrap().write_all(b"y").await;
    assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
    let error = reader.write_all(b"z").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(error.to_string(), format!("{path} is only for reading"));
}

#[tokio::test]
async fn with_keep_one_writer_follows_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(&dir.path().join("p"));
    let mut reader = dial(&format!("pipe:{path},keep")).await.unwrap();
    for word in ["on", "of"] {
        dial(&format!("pipe:,out={path}")).await.unwrap().write_all(word.as_bytes()).await.unwrap();
        let mut text = [0; 2];
        reader.read_exact(&mut text).await.unwrap();
        assert_eq!(text, word.as_bytes());
    }
}

#[tokio::test]
async fn files_do_too() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in"), dir.path().join("out"));
    fs::write(&input, "question").unwrap();
    fs::write(&output, "something longer than the answer").unwrap();
    let address = format!("pipe:{},out={}", input.display(), output.display());
    let mut stream = dial(&address).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "question");
    stream.write_all(b"answer").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(fs::read(&output).unwrap(), b"answer");
}

#[tokio::test]
async fn errors_name_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display().to_string();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let mut lines = Vec::new();
    for text in [
        "pipe:",
        "pipe:,keep,out=/x",
        "pipe:DIR/none",
        "pipe:,out=DIR/none",
        "pipe:DIR/no/p,create",
        "pipe:DIR",
        "pipe:,out=DIR",
        "pipe:DIR/socket",
        "pipe:,out=DIR/socket",
        "pipe:DIR/p,create,mode=8",
        "pipe:DIR/p,output=x",
        "pipe-listen:DIR/p",
    ] {
        let address = text.replace("DIR", &here).parse().unwrap();
        let error = registry().open(&address).await.err().unwrap();
        lines.push(error.to_string().replace(&here, "/dir"));
    }
    insta::assert_snapshot!(lines.join("\n"));
}
