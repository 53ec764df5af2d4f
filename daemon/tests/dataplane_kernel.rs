//! The dataplane against real kernel objects: a test's node and its pods are network namespaces, its VPC is a router
//! namespace that knows which address belongs to which ENI and checks sources.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "dataplane_kernel/chained.rs"]
mod chained;
#[path = "dataplane_kernel/check.rs"]
mod check;
#[path = "dataplane_kernel/choices.rs"]
mod choices;
#[path = "dataplane_kernel/gone.rs"]
mod gone;
#[path = "dataplane_kernel/layout.rs"]
mod layout;
#[path = "dataplane_kernel/netns.rs"]
mod netns;
#[path = "dataplane_kernel/node.rs"]
mod node;
#[path = "dataplane_kernel/nodelinks.rs"]
mod nodelinks;
#[path = "dataplane_kernel/nodetable.rs"]
mod nodetable;
#[path = "dataplane_kernel/pods.rs"]
mod pods;
#[path = "dataplane_kernel/prefixes.rs"]
mod prefixes;
#[path = "dataplane_kernel/removal.rs"]
mod removal;
#[path = "dataplane_kernel/repair.rs"]
mod repair;
#[path = "dataplane_kernel/traffic.rs"]
mod traffic;
