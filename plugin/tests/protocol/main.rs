//! The built plugin from outside, as a runtime starts it: environment and stdin in, stdout and exit status out, with a
//! daemon of the test's own on the socket. Tests are named after the assertions of the project's CNI checklist (E
//! environment, C configuration, V versions, A add, R results, D del, K check, S status, G gc, X errors, N version, P process).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod add;
mod chained;
mod check;
mod configuration;
mod daemon;
mod del;
mod environment;
mod errors;
mod gc;
mod golden;
mod namespace;
mod plugin;
mod process;
mod readers;
mod results;
mod status;
mod versions;
