//! The program as a person meets it, against a server of many procedures.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, helpers too")]

mod call;
mod cli;
mod common;
mod dialled;
mod errors;
mod fairness;
mod gateway;
mod links;
mod serve;
mod service;
mod stopping;
