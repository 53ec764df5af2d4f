//! The port of berth to the cloud: EC2 and instance metadata in our own words, in about ten verbs.
//!
//! Nothing here decides when to call or whether to repeat a call: that is the planner's. The adapter on aws-sdk-ec2
//! stands behind the feature `aws`, so that everything else builds without the SDK.

#[cfg(feature = "aws")]
pub mod aws;
pub mod classify;
pub mod error;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
pub mod imds_parse;
pub mod limits;
mod mac;
pub mod port;
mod text;

pub use error::{Action, Ec2Error, Kind};
pub use port::{
    CreateNetworkInterface, Describe, Ec2, Identity, InstanceLimits, Metadata, MetadataError,
    MetadataInterface, NetworkInterface, NicAttachment, NicStatus,
};
