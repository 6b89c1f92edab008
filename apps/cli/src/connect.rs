//! From an address to a wire, and what the peer offers there.

use std::time::Duration;

use clap::Args;
use ipfi::{
    Code, Description, Started,
    proto::{CallOptions, Called, Event, Failure, Target},
};
use ipfi_transport::{Address, Registry};
use serde::{Deserialize, Serialize};

use crate::{
    cache::Cache,
    exit::Error,
    link::{Link, Wait},
    time,
};

/// What every command that talks to a peer takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Peer {
    /// Where the peer is, such as `tcp:host:7000` or `arq+serial:/dev/ttyUSB0`
    #[arg(value_name = "ADDRESS")]
    pub(crate) address: String,

    /// How long the peer may take to say hello; slow lines get more by themselves
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(crate) patience: Duration,
}

/// The transport that is our own standard input and output.
const STANDARD_STREAMS: &str = "stdio";

/// The option by which a program at the other end may use our terminal.
const TERMINAL: &str = "terminal";

/// An address on which calls can be made or served.
pub(crate) async fn check(registry: &Registry, text: &str) -> Result<Address, Error> {
    let address: Address = text
        .parse()
        .map_err(|error: ipfi_transport::AddressError| Error::Usage(error.to_string()))?;
    registry.check_reliable(&address).await?;
    Ok(address)
}

impl Peer {
    /// Dials, or waits for a peer if the address listens.
    pub(crate) async fn open<'a>(
        &self,
        registry: &Registry,
        link: &'a mut Option<Link>,
    ) -> Result<&'a mut Link, Error> {
        let address = check(registry, &self.address).await?;
        if address.scheme == STANDARD_STREAMS {
            return Err(Error::Usage(format!(
                "`{address}` is where the output goes: use a socket, or `exec:` with the peer as a command"
            )));
        }
        // Where a password is asked for is no place for anything else.
        let shared = address.option(TERMINAL).is_some_and(|value| value != "no");
        let what = match address.listen {
            _ if shared => "",
            true => "waiting for somebody",
            false => "dialling",
        };
        let stream = Wait::new(what).during(registry.open(&address)).await?;
        let link = link.insert(Link::new(stream, self.patience));
        if shared {
            link.waits("");
        }
        Ok(link)
    }

    /// The peer asks what it was asked, so it does not answer.
    pub(crate) fn echoes(&self) -> Error {
        Error::Refused(format!(
            "`{}` sends back what it is told: an echo, or another client; nobody serves there",
            self.address
        ))
    }

    /// What the peer offers now. Only a hash travels if that was known before; `None`: it does not
    /// tell.
    pub(crate) async fn describe(
        &self,
        link: &mut Link,
        cache: &Cache,
    ) -> Result<Option<Description>, Error> {
        link.waits("fetching the description");
        let known = cache.find(&self.address);
        let hashes: Vec<u64> = known.iter().map(|description| description.hash).collect();
        let mut arguments = Vec::new();
        let encoded = ipfi::Codec::MessagePack.encode(&(hashes,), &mut arguments);
        encoded.map_err(Error::Remote)?;
        let answer = match self.call(link, DESCRIBE, arguments).await? {
            Ok(answer) => answer,
            Err(failure) if failure.code == Code::NO_SUCH_PROCEDURE && link.echoes() => {
                return Err(self.echoes());
            }
            Err(failure) if failure.code == Code::NO_SUCH_PROCEDURE => return Ok(None),
            Err(failure) => return Err(Error::failed(DESCRIBE, &failure)),
        };
        match ipfi::Codec::MessagePack.decode(&answer) {
            Ok(Answer::New(description)) => {
                cache.keep(&self.address, &description);
                Ok(Some(description))
            }
            Ok(Answer::Known(hash)) if known.as_ref().is_some_and(|k| k.hash == hash) => Ok(known),
            Ok(Answer::Known(_)) => {
                Err(Error::Remote("the peer names a description that was not offered".into()))
            }
            Err(why) => Err(Error::Remote(format!("the peer's description: {why}"))),
        }
    }

    /// A call without streams and callbacks.
    async fn call(
        &self,
        link: &mut Link,
        name: &str,
        arguments: Vec<u8>,
    ) -> Result<Result<Vec<u8>, Failure>, Error> {
        let target = Target::Named { name: name.into(), fingerprint: 0 };
        link.asks(name);
        let now = link.now();
        let options = CallOptions::default();
        let opened = link.engine.open_call(now, &target, arguments.into(), &[], options);
        let id = opened.map_err(|error| Error::Refused(format!("`{name}`: {error}")))?;
        loop {
            match link.event().await {
                Event::Answer { call, payload, .. } if call == id => return Ok(Ok(payload)),
                // Why the wire ended comes next.
                Event::Failed { failure, .. } if failure.code == Code::WIRE_LOST => {}
                Event::Failed { call, failure } if call == id => return Ok(Err(failure)),
                Event::Closed { cause } => return Err(Error::lost(&self.address, &cause)),
                event => decline(link, event),
            }
        }
    }
}

/// What a program that offers nothing does with an event.
pub(crate) fn decline(link: &mut Link, event: Event) {
    if let Event::Call { call, called, handles, .. } = event {
        if let Called::Named { name, .. } = &called {
            link.is_asked(name);
        }
        for handle in handles {
            link.engine.dispose(handle, Code::NO_SUCH_PROCEDURE);
        }
        link.engine.fail(call, &Failure::new(Code::NO_SUCH_PROCEDURE, Started::No));
    }
}

/// The procedure that says what a peer offers (`core/proto/SPEC.md`, section 15).
pub(crate) const DESCRIBE: &str = "ipfi.describe";

/// As `core/ipfi` answers.
#[derive(Serialize, Deserialize)]
enum Answer {
    Known(u64),
    New(Description),
}
