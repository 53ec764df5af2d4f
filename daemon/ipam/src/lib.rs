//! The pure decisions of berth: which addresses and ENIs a node should hold, who gets which, and what the kernel should
//! look like. No I/O, no clock, no environment, no async: state and time go in, data comes out.
//!
//! [`Pool::apply`] takes in what happened, [`plan::plan`] says what to do next ([`policy`] how much to hold),
//! [`desired`] what the kernel should look like, [`explain()`] why the node holds what it holds and what comes next.

pub mod abandoned;
pub mod action;
pub mod address;
pub mod attachment;
pub mod budget;
pub mod desired;
pub mod eni;
pub mod explain;
pub mod forecast;
pub mod history;
pub mod jitter;
pub mod mac;
pub mod ownership;
pub mod plan;
pub mod policy;
pub mod pool;
pub mod reason;
pub mod returning;
pub mod settings;
pub mod sight;
pub mod time;
pub mod trouble;

pub use action::{Action, Failure, FailureKind, Intent, IntentId, Outcome, Verb};
pub use address::{Address, AddressMode, AddressState, Block, Layout, Tally};
pub use attachment::{Attachment, AttachmentKey, PodInterface, PodName};
pub use eni::{Eni, EniId, EniState, Ownership};
pub use explain::{Explanation, explain};
pub use history::History;
pub use mac::Mac;
pub use plan::{Demand, Limits, Plan, Standing, Subnet, View, plan, standing};
pub use pool::{Event, Knowledge, Pool, Snapshot, Violation};
pub use reason::Reason;
pub use returning::Returning;
pub use settings::{NetworkSettings, PoolSettings};
pub use time::Timestamp;
