//! What the end-to-end tests, the demo and the benches of berth stand on.
//!
//! A mock cloud that answers like EC2 and behaves like a VPC, nodes and pods as network namespaces, a runtime that
//! runs CNI lists as libcni does, and probes that send real packets. Test equipment only: nothing of it is shipped,
//! and the program under test is executed, never linked.

pub mod aftermath;
pub mod apiserver;
pub mod cluster;
pub mod demo;
pub mod leftovers;
pub mod machine;
pub mod mock;
pub mod node;
pub mod probe;
pub mod proving;

pub use conformance::{netns, runtime};
