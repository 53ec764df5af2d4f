//! The actor against a cloud, a kernel and a disk in memory, under paused time. `node` is the fixture; the other files
//! are the themes. Nothing here looks into the actor: requests go in by its handle, and what counts is the answer, the
//! state of the world and the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod add;
mod bound;
mod check;
mod crash;
mod del;
mod disk;
mod doubt;
mod explaining;
mod gc;
mod giving;
mod growth;
mod invariants;
mod kernel;
mod layout;
mod links;
mod networks;
mod node;
mod prefixes;
mod readiness;
mod reasons;
mod recovery;
mod repair;
mod reporting;
mod restart;
mod stop;
mod strangers;
mod sweep;
mod vpc;
mod waiting;
