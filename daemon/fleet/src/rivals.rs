//! Other networks' pools as state machines on the same seam as berth's own, so that all meet the same cloud and the same
//! pods.
//!
//! | Model | What of |
//! |---|---|
//! | [`aws_node`] | Amazon VPC CNI (aws-node): its pool manager step by step, any warm targets; held to its documents' tables |
//! | [`cilium`] | Cilium's ENI mode: a watermark of free addresses, kept by one operator; a sketch |
//! | [`gke`] | GKE's Pod CIDR: a range for each node at its start; a sketch |
//!
//! Where a choice had to be made it is made in the other's favour, so the distance to berth is a floor: none of them waits for
//! DescribeInstances and the like, meets a stale IMDS, restarts, or shares its account's buckets with Describe storms
//! (150 nodes at once took users of aws-node 15 minutes, aws/amazon-vpc-cni-k8s#405; the model needs a minute or two). Read the ratios as
//! floors and the times as no forecast.

pub mod aws_node;
pub mod cilium;
pub mod gke;
mod store;

pub use aws_node::AwsNode;
pub use cilium::{CiliumNode, Operator, Watermark};
pub use gke::GkeNode;
