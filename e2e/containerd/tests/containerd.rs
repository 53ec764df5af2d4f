//! A real container runtime: Debian's containerd and runc, driven as kubelet does, with berth's chain below it.
//!
//! Nothing is pulled: the image is made here. Each node runs in a machine of its own (`e2e::machine`), so that nothing
//! of it outlives the test. No time is asserted; those of the burst are printed (`-- --nocapture`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "containerd/burst.rs"]
mod burst;
#[path = "containerd/killed.rs"]
mod killed;
#[path = "containerd/packets.rs"]
mod packets;
#[path = "containerd/restarts.rs"]
mod restarts;
