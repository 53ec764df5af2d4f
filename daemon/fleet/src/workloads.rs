//! Workloads: what happens in the clusters that policies are compared on.

pub mod build;
