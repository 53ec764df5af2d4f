//! The pure decisions of berth: which addresses and ENIs a node should hold, who gets which, and what the kernel should
//! look like. No I/O, no clock, no environment, no async: state and time go in, data comes out.

pub mod attachment;
pub mod desired;
pub mod eni;
pub mod mac;
pub mod settings;
pub mod time;

pub use attachment::{Attachment, AttachmentKey, PodInterface, PodName};
pub use eni::{Eni, EniId, EniState, Ownership};
pub use mac::Mac;
pub use settings::{NetworkSettings, PoolSettings};
pub use time::Timestamp;
