//! The list.

mod breaches;
mod callbacks;
mod calls;
mod cancel;
mod drive;
mod ends;
mod frames;
mod limits;
mod splits;
mod streams;

use std::{fmt, future::Future, pin::Pin, time::Duration};

use anyhow::{Context, Result};

use crate::{
    Peer,
    session::{Manner, Session},
};

/// A check that takes longer is taken for one that hangs.
const TIME: Duration = Duration::from_secs(180);

type Run = Box<dyn Fn(Peer) -> Pin<Box<dyn Future<Output = Result<()>>>> + Send + Sync>;

/// One thing that a peer has to do.
pub struct Check {
    name: String,
    run: Run,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}

impl Check {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Holds a peer to it.
    ///
    /// # Errors
    ///
    /// What the peer did not do.
    pub fn run(&self, peer: &Peer) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            tokio::time::timeout(TIME, (self.run)(peer.clone())).await.context("it hangs")?
        })
    }
}

/// Checks, as they are put together.
#[derive(Debug, Default)]
struct List(Vec<Check>);

impl List {
    /// A conversation that ends in peace, in every manner.
    fn talk(
        &mut self,
        name: &str,
        talk: impl AsyncFn(&Session) -> Result<()> + Copy + Send + Sync + 'static,
    ) {
        for manner in Manner::ALL {
            let run = move |peer: Peer| -> Pin<Box<dyn Future<Output = Result<()>>>> {
                Box::pin(async move {
                    let session = Session::open(&peer, manner)?;
                    talk(&session).await?;
                    session.end().await
                })
            };
            let name = format!("{}::{name}", manner.prefix());
            self.0.push(Check { name, run: Box::new(run) });
        }
    }

    /// Anything else.
    fn check(
        &mut self,
        name: &str,
        run: impl AsyncFn(&Peer) -> Result<()> + Copy + Send + Sync + 'static,
    ) {
        let run = move |peer: Peer| -> Pin<Box<dyn Future<Output = Result<()>>>> {
            Box::pin(async move { run(&peer).await })
        };
        self.0.push(Check { name: name.to_owned(), run: Box::new(run) });
    }
}

/// All checks.
#[must_use]
pub fn list() -> Vec<Check> {
    let mut list = List::default();
    calls::add(&mut list);
    drive::add(&mut list);
    streams::add(&mut list);
    callbacks::add(&mut list);
    cancel::add(&mut list);
    frames::add(&mut list);
    limits::add(&mut list);
    breaches::add(&mut list);
    ends::add(&mut list);
    splits::add(&mut list);
    list.0
}
