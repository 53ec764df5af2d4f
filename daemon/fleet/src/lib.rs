//! A discrete-event simulator of many nodes: the same `ipam` code that runs on a node, and models of other networks'
//! pools, against a modelled EC2.
//!
//! A [`scenario::Scenario`] says what happens (nodes that join, pods that are bound and go), a [`node::Node`] is what runs
//! on each of its nodes, a [`run::Run`] is what came of it. Time is simulated; the same seed gives the same run.

pub mod berth;
pub mod ec2;
pub mod engine;
mod measure;
pub mod node;
pub mod planning;
pub mod policy;
pub mod random;
pub mod report;
pub mod rivals;
pub mod run;
pub mod scenario;
pub mod stated;
pub mod trace;
pub mod workloads;
