//! Scenarios small enough to be computed by hand, through [`fleet::engine`].

#![allow(clippy::expect_used, clippy::panic)]

mod berth;
mod cluster;
mod ec2;
mod kubelet;
mod rules;
mod scripted;
