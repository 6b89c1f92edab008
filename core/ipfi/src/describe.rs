//! What an interface tells about itself: a procedure that every interface has.

use std::sync::{Arc, OnceLock};

use ipfi_proto::{Code, Failure, Started};
use serde::{Deserialize, Serialize};

use crate::{
    handler::{Given, Place, Reply},
    scope,
    serve::{Incoming, Procedure, Served},
    shape::Fnv,
};

/// The name of the procedure. Its argument is a list of hashes of descriptions that the caller
/// knows already; its result is one of [`Answer`].
pub(crate) const NAME: &str = "ipfi.describe";

/// What an interface offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Description {
    /// Of everything below: the same for the same offers, so that it can be cached.
    pub hash: u64,
    /// All procedures.
    pub procedures: Vec<ProcedureDescription>,
}

/// What is known of a procedure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProcedureDescription {
    /// Its name.
    pub name: String,
    /// Its arguments and result, as Rust would write them: `(i64, i64) -> i64`.
    pub signature: String,
    /// For people.
    pub doc: String,
    /// What is compared before the first call; callers may say 0 if they do not know it.
    pub fingerprint: u64,
}

impl Description {
    pub(crate) fn new(procedures: Vec<ProcedureDescription>) -> Self {
        let mut hash = Fnv::new();
        for procedure in &procedures {
            for text in [&procedure.name, &procedure.signature, &procedure.doc] {
                hash.bytes(text.as_bytes());
                hash.bytes(&[0xff]);
            }
            hash.bytes(&procedure.fingerprint.to_le_bytes());
        }
        Self { hash: hash.0, procedures }
    }
}

/// Hash first: whoever knows the description already gets nothing but its hash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Known(u64),
    New(Description),
}

pub(crate) fn procedure() -> &'static Procedure {
    static PROCEDURE: OnceLock<Procedure> = OnceLock::new();
    PROCEDURE.get_or_init(|| Arc::new(serve))
}

fn serve(mut call: Incoming<'_>) -> Served {
    let handles = std::mem::take(&mut call.handles);
    let known: (Vec<u64>,) = match scope::decode(call.shared, call.payload, handles) {
        Ok(known) => known,
        Err(why) => {
            let failure = Failure::new(Code::BAD_ARGUMENTS, Started::No);
            return Served::Failed(failure.with_text(why));
        }
    };
    let description = call.shared.interface.description();
    let answer = if known.0.contains(&description.hash) {
        Answer::Known(description.hash)
    } else {
        Answer::New((**description).clone())
    };
    match answer.write(Place { shared: call.shared, out: call.reply }) {
        Ok(Given(given)) => Served::Done(given),
        Err(failure) => Served::Failed(failure),
    }
}
