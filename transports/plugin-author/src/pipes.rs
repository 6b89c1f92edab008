//! Standard input and output as a stream to the program that runs us.

use std::{io, os::fd::OwnedFd};

use rustix::{
    fs::{FileType, Mode, OFlags, fstat, open},
    stdio::{dup2_stdin, dup2_stdout, stdin, stdout},
};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncWrite, Interest},
    net::unix::pipe::{Receiver, Sender},
};

/// What the host writes to us.
pub(crate) type Input = Box<dyn AsyncRead + Send + Unpin>;

/// What the host reads from us.
pub(crate) enum Output {
    /// What a host gives us.
    Pipe(Sender),
    /// What a person at a terminal gives us.
    Other(File),
}

/// Takes both. From now on nobody else can write to them, and closing ours really closes them.
pub(crate) fn take() -> io::Result<(Input, Output)> {
    let (input, output) = (take_in()?, take_out()?);
    let input: Input = if is_pipe(&input)? {
        Box::new(Receiver::from_owned_fd(input)?)
    } else {
        Box::new(File::from_std(input.into()))
    };
    let output = if is_pipe(&output)? {
        Output::Pipe(Sender::from_owned_fd(output)?)
    } else {
        Output::Other(File::from_std(output.into()))
    };
    Ok((input, output))
}

fn take_in() -> io::Result<OwnedFd> {
    let ours = stdin().try_clone_to_owned()?;
    dup2_stdin(open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)?;
    Ok(ours)
}

fn take_out() -> io::Result<OwnedFd> {
    let ours = stdout().try_clone_to_owned()?;
    dup2_stdout(open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?)?;
    Ok(ours)
}

fn is_pipe(fd: &OwnedFd) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Fifo)
}

impl Output {
    /// The writer.
    pub(crate) fn writer(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        match self {
            Self::Pipe(pipe) => pipe,
            Self::Other(file) => file,
        }
    }

    /// Waits until nobody reads any more: the host has left.
    pub(crate) async fn closed(&self) {
        if let Self::Pipe(pipe) = self
            && pipe.ready(Interest::ERROR).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
