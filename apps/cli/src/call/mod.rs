//! `ipfi call ADDRESS NAME [JSON...]`: calls a procedure.

mod arguments;
mod input;
mod session;

use std::time::Duration;

use clap::{Args, ValueEnum};
use ipfi::{Code, Description, Priority, ProcedureDescription};
use ipfi_transport::Registry;
use tokio::time::Instant;

pub(crate) use self::arguments::{Arguments, of_words};
use self::session::{Outcome, Session};
use crate::{
    cache::Cache,
    client::{Client, after, until},
    connect::Peer,
    exit::Error,
    link::Link,
    list::unknown,
    log::{self, clean},
    output::Output,
    signature::Signature,
    time,
};

/// The arguments of `ipfi call`.
#[derive(Debug, Args)]
pub(crate) struct Call {
    #[command(flatten)]
    peer: Peer,

    /// Which procedure
    name: String,

    /// Arguments as JSON; text may go without quotes, streams and callbacks may be left out
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    words: Vec<String>,

    /// Reads all arguments, a JSON array, from this file; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "words")]
    args: Option<String>,

    /// Sends lines of standard input, one JSON value each, as items of the stream that the
    /// procedure reads
    #[arg(long)]
    stream: bool,

    /// Takes and prints text as it is, without quotes
    #[arg(long, short)]
    raw: bool,

    /// Cancels the call when it takes longer, dialling included
    #[arg(long, value_name = "TIME", value_parser = time)]
    deadline: Option<Duration>,

    /// Before or after other calls on the same wire
    #[arg(long, value_enum, default_value_t)]
    priority: Class,

    /// The signature, for peers that do not tell theirs, and to save asking
    #[arg(long, value_name = "SIGNATURE")]
    signature: Option<String>,
}

/// A class of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Class {
    High,
    #[default]
    Normal,
    Low,
}

impl From<Class> for Priority {
    fn from(class: Class) -> Self {
        match class {
            Class::High => Self::High,
            Class::Normal => Self::Normal,
            Class::Low => Self::Low,
        }
    }
}

/// A procedure, and what it takes.
pub(crate) struct Procedure {
    pub(crate) signature: Signature,
    /// 0: not known.
    pub(crate) fingerprint: u64,
}

impl Procedure {
    /// Asks the peer for it.
    pub(crate) async fn find(
        peer: &Peer,
        link: &mut Link,
        cache: &Cache,
        name: &str,
    ) -> Result<Self, Error> {
        match peer.describe(link, cache).await? {
            Some(description) => Self::described(peer, &description, name),
            None => Ok(Self { signature: Signature::unknown(), fingerprint: 0 }),
        }
    }

    fn described(peer: &Peer, description: &Description, name: &str) -> Result<Self, Error> {
        let found = description.procedures.iter().find(|procedure| procedure.name == name);
        let Some(ProcedureDescription { signature, fingerprint, .. }) = found else {
            let names: Vec<_> = description.procedures.iter().map(|p| p.name.as_str()).collect();
            return Err(unknown(&peer.address, name, &names));
        };
        let fingerprint = *fingerprint;
        // A language that writes signatures in another way still has procedures.
        let signature = Signature::parse(signature).unwrap_or_else(|why| {
            log::say(&format!("`{name}` has a signature that is not understood: {why}"));
            Signature::unknown()
        });
        Ok(Self { signature, fingerprint })
    }
}

/// A call that is made.
pub(crate) struct Calling<'a> {
    args: &'a Call,
    /// When it is over.
    deadline: Option<Instant>,
}

impl<'a> Calling<'a> {
    /// From now on its deadline runs.
    pub(crate) fn new(args: &'a Call) -> Self {
        Self { args, deadline: after(args.deadline) }
    }
}

impl Client for Calling<'_> {
    async fn work(
        &mut self,
        registry: &Registry,
        link: &mut Option<Link>,
        out: &mut Output,
    ) -> Result<(), Error> {
        let late = || Error::late(&self.args.name);
        until(self.deadline, late, self.call(registry, link, out)).await
    }
}

impl Calling<'_> {
    async fn call(
        &self,
        registry: &Registry,
        link: &mut Option<Link>,
        out: &mut Output,
    ) -> Result<(), Error> {
        let args = self.args;
        if args.stream && args.args.as_deref() == Some("-") {
            let why =
                "--stream and --args - cannot both have standard input: use a file for --args";
            return Err(Error::Usage(why.into()));
        }
        let given = match &args.signature {
            Some(text) => Some(
                Signature::parse(text)
                    .map_err(|why| Error::Usage(format!("--signature: {why}")))?,
            ),
            None => None,
        };
        let text = match &args.args {
            Some(path) => Some(arguments::read(path).await?),
            None => None,
        };
        let cache = Cache::new();
        // What was true last time is taken for true; the peer compares fingerprints. With --stream,
        // items could be lost when it is not, so it is asked.
        let remembered = match cache.find(&args.peer.address) {
            Some(description) if !args.stream && given.is_none() => {
                Procedure::described(&args.peer, &description, &args.name).ok()
            }
            _ => None,
        };
        let link = args.peer.open(registry, link).await?;
        if let Some(procedure) = remembered
            && let Ok(arguments) = self.arguments(text.as_deref(), &procedure)
        {
            let session = Session::open(self, link, out, &procedure, arguments)?;
            let outcome = session.run().await?;
            match outcome {
                Outcome::Failed(failure)
                    if matches!(
                        failure.code,
                        Code::SIGNATURE_MISMATCH | Code::NO_SUCH_PROCEDURE
                    ) =>
                {
                    cache.forget(&args.peer.address); // It is asked anew; nothing has run.
                }
                outcome => return self.end(link, outcome),
            }
        }
        let procedure = match given {
            Some(signature) => Procedure { signature, fingerprint: 0 },
            None => Procedure::find(&args.peer, link, &cache, &args.name).await?,
        };
        let arguments = self.arguments(text.as_deref(), &procedure)?;
        let outcome = Session::open(self, link, out, &procedure, arguments)?.run().await?;
        self.end(link, outcome)
    }

    fn arguments(&self, text: Option<&str>, procedure: &Procedure) -> Result<Arguments, Error> {
        let name = clean(&self.args.name);
        match text {
            Some(text) => arguments::of_text(&name, &procedure.signature, text),
            None => of_words(&name, &procedure.signature, &self.args.words, self.args.raw),
        }
    }

    fn end(&self, link: &Link, outcome: Outcome) -> Result<(), Error> {
        match outcome {
            Outcome::Failed(failure)
                if failure.code == Code::NO_SUCH_PROCEDURE && link.echoes() =>
            {
                Err(self.args.peer.echoes())
            }
            Outcome::Failed(failure) => Err(Error::failed(&self.args.name, &failure)),
            Outcome::Done => Ok(()),
        }
    }
}
