//! What users rely on, from outside: the real daemon and the real plugin, nodes as namespaces, the mock cloud, packets.
//!
//! Each test has a cloud and nodes of its own and is named for the promise that it holds berth to; the modules are by
//! subject. What holds under `kill -9` at random moments is `crash.rs`'s question, not one of these.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "lifecycle/admin.rs"]
mod admin;
#[path = "lifecycle/answering.rs"]
mod answering;
#[path = "lifecycle/chained.rs"]
mod chained;
#[path = "lifecycle/checkpoint.rs"]
mod checkpoint;
#[path = "mock/client.rs"]
mod client;
#[path = "lifecycle/contained.rs"]
mod contained;
#[path = "lifecycle/conversation.rs"]
mod conversation;
#[path = "lifecycle/credentials.rs"]
mod credentials;
#[path = "lifecycle/crowd.rs"]
mod crowd;
#[path = "lifecycle/disk.rs"]
mod disk;
#[path = "lifecycle/explaining.rs"]
mod explaining;
#[path = "lifecycle/figures.rs"]
mod figures;
#[path = "lifecycle/fixture.rs"]
mod fixture;
#[path = "lifecycle/foreign.rs"]
mod foreign;
#[path = "lifecycle/host.rs"]
mod host;
#[path = "lifecycle/install.rs"]
mod install;
#[path = "lifecycle/lost.rs"]
mod lost;
#[path = "lifecycle/networks.rs"]
mod networks;
#[path = "lifecycle/outage.rs"]
mod outage;
#[path = "lifecycle/plan.rs"]
mod plan;
#[path = "lifecycle/prefixes.rs"]
mod prefixes;
#[path = "lifecycle/repair.rs"]
mod repair;
#[path = "lifecycle/sandboxes.rs"]
mod sandboxes;
#[path = "lifecycle/socket.rs"]
mod socket;
#[path = "lifecycle/stopping.rs"]
mod stopping;
#[path = "lifecycle/vanished.rs"]
mod vanished;
#[path = "lifecycle/verbs.rs"]
mod verbs;
#[path = "lifecycle/vpc.rs"]
mod vpc;
#[path = "lifecycle/watch.rs"]
mod watch;
