//! What else there is for calling procedures.

#[cfg(has_capnp)]
mod capnp;
mod published;
mod tarpc;
mod tonic;

use crate::measure::{Role, take, take_mt};

pub fn all() -> Vec<(&'static str, fn(Role))> {
    vec![
        ("tonic", take::<tonic::Grpc>),
        ("tonic-mt", take_mt::<tonic::Grpc>),
        ("tarpc", take::<tarpc::Tarpc>),
        ("tarpc-mt", take_mt::<tarpc::Tarpc>),
        #[cfg(has_capnp)]
        ("capnp", take::<capnp::Capnp>),
        ("ipfi 0.1.0-rc.2, threads", take::<published::Threads>),
        ("ipfi 0.1.0-rc.2, async", take_mt::<published::Tasks>),
    ]
}
