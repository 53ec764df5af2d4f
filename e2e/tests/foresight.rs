//! Pods that the API server shows bound to a node: their addresses are there when they ask. And a daemon that serves pods
//! whatever becomes of the API server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "foresight/ahead.rs"]
mod ahead;
#[path = "foresight/away.rs"]
mod away;
// the same as the life-cycle tests', which use all of it
#[allow(dead_code, unused_imports)]
#[path = "lifecycle/fixture.rs"]
mod fixture;
#[path = "foresight/incluster.rs"]
mod incluster;
#[path = "foresight/misled.rs"]
mod misled;
#[path = "foresight/site.rs"]
mod site;
