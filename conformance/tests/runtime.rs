//! The emulator of libcni, seen by plugins that write down what they are told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "runtime/bench.rs"]
mod bench;
#[path = "runtime/chain.rs"]
mod chain;
#[path = "runtime/upkeep.rs"]
mod upkeep;
#[path = "runtime/versions.rs"]
mod versions;
