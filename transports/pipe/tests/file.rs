//! `file:` reads and writes files and devices, and says what is wrong.

#![allow(clippy::unwrap_used, reason = "it is how a test fails")]

use std::{fs, io, os::unix::fs::PermissionsExt};

use ipfi_pipe::File;
use ipfi_transport::{Address, BoxStream, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn registry() -> Registry {
    Registry::new().with(File::new())
}

async fn dial(address: &str) -> io::Result<BoxStream> {
    Ok(registry().dial(&address.parse::<Address>().unwrap()).await?)
}

async fn write(address: &str, text: &str) {
    let mut stream = dial(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

async fn read(address: &str) -> String {
    let mut text = String::new();
    dial(address).await.unwrap().read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn files_are_made_emptied_and_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let file = format!("file:{}", path.display());
    write(&format!("{file},access=write,create,mode=640"), "one").await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    write(&format!("{file},access=write,append"), " two").await;
    assert_eq!(read(&format!("{file},access=read")).await, "one two");
    write(&file, "ONE").await;
    assert_eq!(read(&file).await, "ONE two");
    write(&format!("{file},truncate"), "new").await;
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[tokio::test]
async fn reading_and_writing_do_not_move_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "abcdef").unwrap();
    let mut stream = dial(&format!("file:{}", path.display())).await.unwrap();
    let mut three = [0; 3];
    stream.read_exact(&mut three).await.unwrap();
    stream.write_all(b"XYZ").await.unwrap();
    stream.flush().await.unwrap();
    stream.read_exact(&mut three).await.unwrap();
    assert_eq!(&three, b"def");
    assert_eq!(fs::read(&path).unwrap(), b"XYZdef");
    assert_eq!(stream.read(&mut three).await.unwrap(), 0);
}

#[tokio::test]
async fn one_way_is_one_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "abc").unwrap();
    let mut reader = dial(&format!("file:{},access=read", path.display())).await.unwrap();
    let error = reader.write_all(b"x").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    let mut writer = dial(&format!("file:{},access=write", path.display())).await.unwrap();
    writer.shutdown().await.unwrap();
    assert_eq!(writer.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn devices() {
    let mut null = dial("file:/dev/null").await.unwrap();
    null.write_all(&vec![7; 100_000]).await.unwrap();
    assert_eq!(null.read(&mut [0]).await.unwrap(), 0);
    let mut zero = dial("file:/dev/zero,access=read").await.unwrap();
    let mut bytes = vec![1; 100_000];
    zero.read_exact(&mut bytes).await.unwrap();
    assert!(bytes.iter().all(|&byte| byte == 0));
    let endless =
        async |text: &str| registry().check(&text.parse().unwrap()).await.unwrap().endless;
    assert!(endless("file:/dev/ptmx").await);
    assert!(endless("file:/dev/ipfi-unplugged").await);
    assert!(!endless("file:/dev/null").await);
    assert!(!endless("file:/etc/passwd").await);
}

#[tokio::test]
async fn errors_name_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display().to_string();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let mut lines = Vec::new();
    for text in [
        "file:",
        "file:DIR",
        "file:DIR/none",
        "file:DIR/no/f,create",
        "file:DIR/socket",
        "file:/proc/version,access=readonly",
        "file:/proc/version,access=read,append",
        "file:/proc/version,mode=600",
        "file:/etc/passwd/x",
        "file:DIR/f,creat",
        "file-listen:DIR/f",
    ] {
        let address = text.replace("DIR", &here).parse().unwrap();
        let error = registry().open(&address).await.err().unwrap();
        lines.push(error.to_string().replace(&here, "/dir"));
    }
    insta::assert_snapshot!(lines.join("\n"));
}
