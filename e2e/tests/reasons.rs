//! Every limit that EC2 enforces and every fault that the mock has: each is met, and says why in the four places where a
//! person looks. Those are the error that the runtime shows, the log, the metrics, and `berthd status`.
//!
//! A test is a [`told::Case`]: what goes wrong, and the words that must be read everywhere. Some faults are not told but
//! outlasted: then the ADD waited, and succeeded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "reasons/answers.rs"]
mod answers;
#[path = "reasons/attaching.rs"]
mod attaching;
#[path = "mock/client.rs"]
mod client;
// the same as the life-cycle tests', which use all of it
#[allow(dead_code, unused_imports)]
#[path = "lifecycle/fixture.rs"]
mod fixture;
#[path = "reasons/giving.rs"]
mod giving;
#[path = "reasons/limits.rs"]
mod limits;
#[path = "reasons/permissions.rs"]
mod permissions;
#[path = "reasons/readers.rs"]
mod readers;
#[path = "reasons/told.rs"]
mod told;
