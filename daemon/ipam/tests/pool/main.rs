//! The core against a small cloud: arbitrary sequences of everything that can happen, with the design's invariants
//! checked at each step, and tables for the decisions one by one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cloud;
mod convergence;
mod describes;
mod documents;
mod doubts;
mod explain;
mod growth;
mod invariants;
mod node;
mod operations;
mod planning;
mod prefixes;
mod properties;
mod release;
mod snapshots;
mod targets;
mod trouble;
