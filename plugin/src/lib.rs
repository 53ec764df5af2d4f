//! The contract between the CNI plugin `berth-cni` and the daemon `berthd`, and the plugin's own logic.

pub mod contract;
