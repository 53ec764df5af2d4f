//! A real container runtime: Debian's containerd and runc on nodes of the mock cloud, driven as kubelet does, with
//! berth's chain below it. What the tests with containerd and the benches stand on.
//!
//! A package of its own, so that gRPC stays out of the feature selection that `berthd` is built with.

pub mod bed;
pub mod cri;
pub mod daemon;
pub mod image;
pub mod installed;
pub mod remains;
pub mod sandbox;
pub mod traces;
