//! The models of other networks' pools, one node of each against a small cloud in memory (that of the core's tests): what
//! their documents say, and what none may do whatever happens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// What the core's own tests need of it besides.
#[allow(dead_code)]
#[path = "../../../ipam/tests/pool/cloud.rs"]
mod cloud;
#[path = "../../../ipam/tests/pool/documents.rs"]
mod documents;

mod aws_node;
mod cilium;
mod gke;
mod policies;
mod properties;
mod tables;
mod world;
