//! A mock cloud: answers like EC2 and its instance metadata, and carries packets like a VPC, on this machine.
//!
//! `Cloud` is the way in. The rest in the order of its dependence: `state` is what EC2 knows and refuses, pure;
//! `api`, `imds` and `admin` are the HTTP in front of it; `fabric` is the network behind it. The mock shares no code
//! and no table with what it tests.

mod admin;
mod api;
mod buckets;
mod cloud;
mod config;
mod error;
mod fabric;
mod faults;
mod garbage;
mod guarded;
mod imds;
mod journal;
mod lag;
mod listen;
mod seed;
pub mod state;
mod timeline;
mod timestamp;

pub use self::cloud::{Cloud, CloudError, Node};
pub use self::config::{CloudConfig, Latency, NodeSpec, RateLimits, SubnetSpec};
pub use self::error::{Code, Refusal};
pub use self::fabric::{Direction, FabricError, Flow, INTERNET_HOST, Loss, LossReason};
pub use self::faults::{Fault, FaultKind};
pub use self::garbage::Garbage;
pub(crate) use self::guarded::Guarded;
pub use self::journal::{Call, IMDS, Outcome};
pub use self::lag::Lag;
