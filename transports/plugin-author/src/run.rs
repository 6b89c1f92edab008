//! The protocol from the plug-in's side.

use std::io;

use ipfi_plugin::{Manifest, Reply};
use ipfi_transport::{AnyTransport, BoxStream, Transport};
use tokio::{
    io::AsyncWriteExt,
    signal::unix::{SignalKind, signal},
};

use crate::{
    pipes::{self, Output},
    relay::relay,
};

/// Why the process ends with a status other than 0.
pub(crate) enum Failure {
    /// The stream was cut.
    Cut(io::Error),
    /// The host knows: we said `error ...`, or it cut us itself.
    Said,
    /// Not called as a plug-in is.
    Usage,
}

pub(crate) async fn run<T: Transport>(transport: &T, arguments: &[String]) -> Result<(), Failure> {
    let mut words = arguments.iter().map(String::as_str);
    match (words.next(), words.next()) {
        (Some("describe"), None) => describe(transport).await.map_err(Failure::Cut),
        (Some(verb @ ("dial" | "listen")), Some(location)) => {
            let options = words.map(|word| word.split_once('=')).collect::<Option<Vec<_>>>();
            let options = options.ok_or(Failure::Usage)?;
            // From here on, whoever cuts us wants it passed on.
            let mut cut = signal(SignalKind::terminate()).map_err(Failure::Cut)?;
            let (input, mut output) = pipes::take().map_err(Failure::Cut)?;
            let opened = tokio::select! {
                opened = open(transport, verb, location, &options, &mut output) => opened,
                _ = cut.recv() => return Err(Failure::Said),
            };
            let stream = match opened {
                Ok(Some(stream)) => stream,
                Ok(None) => return Ok(()), // The host has left.
                Err(error) => {
                    let reason = ipfi_transport::reason(&error);
                    say(&mut output, &Reply::Error(reason)).await.map_err(Failure::Cut)?;
                    return Err(Failure::Said);
                }
            };
            say(&mut output, &Reply::Ok).await.map_err(Failure::Cut)?;
            relay(stream, input, output, cut).await
        }
        _ => Err(Failure::Usage),
    }
}

async fn describe<T: Transport>(transport: &T) -> io::Result<()> {
    let description = AnyTransport::describe(transport);
    let mut manifest = Manifest::new();
    manifest.summary = description.summary;
    // The defaults may be nonsense as a whole, an empty location above all.
    manifest.properties = transport.properties("", &T::Options::default());
    manifest.listens = description.listens;
    manifest.examples = description.examples;
    manifest.options = description.options;
    let mut output = tokio::io::stdout();
    output.write_all(manifest.to_string().as_bytes()).await?;
    output.flush().await
}

/// The stream; `None` if the host left while we waited.
async fn open<T: Transport>(
    transport: &T,
    verb: &str,
    location: &str,
    options: &[(&str, &str)],
    output: &mut Output,
) -> io::Result<Option<BoxStream>> {
    AnyTransport::check(transport, location, options)?;
    if verb == "dial" {
        return tokio::select! {
            stream = AnyTransport::dial(transport, location, options) => stream.map(Some),
            () = output.closed() => Ok(None),
        };
    }
    let mut listener = AnyTransport::listen(transport, location, options).await?;
    let local = listener.local().unwrap_or_else(|| location.into());
    say(output, &Reply::Listening(local)).await?;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = output.closed() => return Ok(None),
        };
        match accepted {
            Ok(stream) => return Ok(Some(stream)),
            // It concerns one peer.
            Err(error) => eprintln!("{}", ipfi_transport::reason(&error)),
        }
    }
}

async fn say(output: &mut Output, reply: &Reply) -> io::Result<()> {
    let writer = output.writer();
    writer.write_all(format!("{reply}\n").as_bytes()).await?;
    writer.flush().await
}
