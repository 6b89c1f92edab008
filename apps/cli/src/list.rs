//! `ipfi list ADDRESS`: what a peer offers.

use std::time::Duration;

use clap::Args;
use ipfi_transport::Registry;

use crate::{
    cache::Cache,
    client::{Client, after, until},
    connect::Peer,
    exit::Error,
    link::Link,
    log::{BOLD, DIM, clean, styled},
    output::Output,
    time,
};

/// The arguments of `ipfi list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    peer: Peer,

    /// Shows this procedure only
    name: Option<String>,

    /// Prints a JSON object for each procedure
    #[arg(long)]
    json: bool,

    /// Gives up when it takes longer, dialling included
    #[arg(long, value_name = "TIME", value_parser = time)]
    deadline: Option<Duration>,
}

impl Client for &List {
    async fn work(
        &mut self,
        registry: &Registry,
        link: &mut Option<Link>,
        out: &mut Output,
    ) -> Result<(), Error> {
        let address = &self.peer.address;
        let description = async {
            let link = self.peer.open(registry, link).await?;
            self.peer.describe(link, &Cache::new()).await
        };
        let description = until(after(self.deadline), || Error::late(address), description).await?;
        let description = description.ok_or_else(|| {
            Error::Refused(format!("`{address}` does not tell what it offers: you have to know"))
        })?;
        let mut procedures = description.procedures;
        if let Some(name) = &self.name {
            if !procedures.iter().any(|procedure| procedure.name == *name) {
                let names: Vec<_> = procedures.iter().map(|p| p.name.as_str()).collect();
                return Err(unknown(address, name, &names));
            }
            procedures.retain(|procedure| procedure.name == *name);
        }
        for procedure in procedures {
            if self.json {
                let json = serde_json::to_string(&procedure).map_err(std::io::Error::from)?;
                out.print(&json);
                continue;
            }
            let gap = if procedure.signature.starts_with('(') { "" } else { " " };
            let name = styled(BOLD, &clean(&procedure.name));
            out.print(&format!("{name}{gap}{}", clean(&procedure.signature)));
            for line in procedure.doc.lines() {
                out.print(&styled(DIM, &format!("    {}", clean(line.trim_end()))));
            }
        }
        Ok(())
    }
}

/// There is no procedure of this name.
pub(crate) fn unknown(address: &str, name: &str, names: &[&str]) -> Error {
    let guess = nearest(name, names).map(|guess| format!(", did you mean `{guess}`?"));
    let guess = guess.unwrap_or_else(|| ";".into());
    Error::Refused(format!("there is no procedure `{name}`{guess} `ipfi list {address}` shows all"))
}

fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let likeness = |other: &&'a str| (strsim::damerau_levenshtein(name, other), *other);
    let (distance, guess) = names.iter().map(likeness).min()?;
    (distance <= 2.max(name.len() / 3)).then_some(guess)
}
