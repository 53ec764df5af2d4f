//! The contract between the CNI plugin `berth-cni` and the daemon `berthd`, and the plugin's own logic.
//!
//! The plugin speaks the CNI protocol (0.3.0 to 1.1.0) to the runtime and the contract to the daemon; it makes no
//! netlink call, keeps no state but the tombstone of a DEL that met no daemon, and never outlives its deadline.
//!
//! Without the standard library, so that the plugin needs no C library and does not pay for its start
//! (docs/performance.md): system calls are rustix's.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod clock;
pub mod contract;
pub mod frame;
#[doc(hidden)]
pub mod rehearsal;
pub mod tombstone;

mod add;
mod args;
mod aws_node;
mod call;
mod cause;
mod check;
mod client;
mod config;
mod del;
mod env;
mod error;
mod gc;
mod netns;
mod prev_result;
mod readable;
mod result;
mod status;
mod stdin;
mod version;

pub use call::{Answer, Streams, run};
pub use cause::Cause;
pub use error::answer_panic;
