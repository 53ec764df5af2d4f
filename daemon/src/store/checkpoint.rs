//! The checkpoint's document: aws-node's file with one more member, `berth`, which aws-node's decoder skips. Live
//! attachments stand in aws-node's own member, so that either daemon can take over from the other.
//!
//! What is in the member `berth` is its owner's; this module keeps the envelope and never loses a file.

#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::set_aside;

/// aws-node's format since its release 1.8; it refuses to start on any other (`pkg/ipamd/datastore`, CheckpointFormatVersion).
const VERSION: &str = "vpc-cni-ipam/1";

/// One live attachment in aws-node's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// Network name.
    #[serde(rename = "networkName")]
    pub network_name: String,
    /// `CNI_CONTAINERID`.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// `CNI_IFNAME`.
    #[serde(rename = "ifName")]
    pub if_name: String,
    /// The pod's address; absent in files of IPv6 clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
    /// The pod's IPv6 address; only aws-node writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Addr>,
    /// Since when, Unix nanoseconds; 0 in files of releases that did not write it.
    #[serde(rename = "allocationTimestamp", default)]
    pub allocation_timestamp: i64,
    /// The pod.
    #[serde(default)]
    pub metadata: Metadata,
}

/// The pod of an allocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Namespace; empty if unknown.
    #[serde(
        rename = "k8sPodNamespace",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub namespace: String,
    /// Name; empty if unknown.
    #[serde(
        rename = "k8sPodName",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub name: String,
    /// Interfaces of the pod; aws-node reads a missing one as 1.
    #[serde(rename = "interfacesCount", default = "one")]
    pub interfaces_count: u32,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            namespace: String::new(),
            name: String::new(),
            interfaces_count: one(),
        }
    }
}

const fn one() -> u32 {
    1
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Loaded<T> {
    /// No file: a new node, or a new boot.
    Fresh,
    /// A file of ours.
    Ours {
        /// The live attachments.
        allocations: Vec<Allocation>,
        /// Our own member.
        berth: T,
    },
    /// A file that aws-node wrote: its daemon ran here last.
    Foreign {
        /// The live attachments.
        allocations: Vec<Allocation>,
    },
    /// A file that cannot be used.
    Corrupt {
        /// Where it is now.
        set_aside: PathBuf,
        /// What is wrong with it.
        error: String,
    },
}

/// Why a checkpoint could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The state has no JSON form.
    #[error("cannot encode the checkpoint: {0}")]
    Encode(#[source] serde_json::Error),
    /// The file is there and cannot be read; starting without it could hand out a live pod's address.
    #[error("cannot read the checkpoint {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is corrupt and cannot be moved out of the way.
    #[error("cannot set the corrupt checkpoint {} aside ({error}): {source}", path.display())]
    SetAside {
        /// The file.
        path: PathBuf,
        /// What is wrong with the file.
        error: String,
        /// Why it cannot be moved.
        source: io::Error,
    },
}

#[derive(Serialize)]
struct Encoded<'a, A, T> {
    version: &'static str,
    allocations: &'a [A],
    berth: &'a T,
}

#[derive(Deserialize)]
struct Head {
    version: String,
}

#[derive(Deserialize)]
struct Decoded {
    // Go writes an empty slice that was never made as null.
    #[serde(default)]
    allocations: Option<Vec<Allocation>>,
    #[serde(default, deserialize_with = "present")]
    berth: Option<Box<RawValue>>,
}

/// A member that is there is `Some`, `null` included: only its absence says that aws-node wrote the file.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

/// Appends the document of these live attachments, each an [`Allocation`] or the JSON of one, and our own member.
///
/// # Errors
/// [`CheckpointError::Encode`], for a `T` that has no JSON form.
pub fn encode<A: Serialize, T: Serialize>(
    allocations: &[A],
    berth: &T,
    into: &mut Vec<u8>,
) -> Result<(), CheckpointError> {
    let document = Encoded {
        version: VERSION,
        allocations,
        berth,
    };
    serde_json::to_writer(into, &document).map_err(CheckpointError::Encode)
}

/// Reads the checkpoint. One that cannot be parsed, is of another version or has a broken member `berth` is renamed to
/// `<name>.corrupt-<Unix seconds>`.
///
/// # Errors
/// [`CheckpointError::Read`] and [`CheckpointError::SetAside`]: in both the file is as it was.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<Loaded<T>, CheckpointError> {
    load_with(path, |_, berth| Ok(berth))
}

/// The same of a member `berth` that is understood together with the allocations, or `join` says why not.
///
/// # Errors
/// Those of [`load`].
pub fn load_with<M: DeserializeOwned, T>(
    path: &Path,
    join: impl FnOnce(&[Allocation], M) -> Result<T, String>,
) -> Result<Loaded<T>, CheckpointError> {
    let document = match std::fs::read(path) {
        Ok(document) => document,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::Fresh),
        Err(source) => {
            let path = path.into();
            return Err(CheckpointError::Read { path, source });
        }
    };
    match decode(&document, join) {
        Ok((allocations, Some(berth))) => Ok(Loaded::Ours { allocations, berth }),
        Ok((allocations, None)) => Ok(Loaded::Foreign { allocations }),
        Err(error) => keep(path, error),
    }
}

fn decode<M: DeserializeOwned, T>(
    document: &[u8],
    join: impl FnOnce(&[Allocation], M) -> Result<T, String>,
) -> Result<(Vec<Allocation>, Option<T>), String> {
    let words = |error: serde_json::Error| error.to_string();
    let head: Head = serde_json::from_slice(document).map_err(words)?;
    if head.version != VERSION {
        let theirs = head.version;
        return Err(format!("its version is {theirs:?}, not {VERSION:?}"));
    }
    let decoded: Decoded = serde_json::from_slice(document).map_err(words)?;
    let allocations = decoded.allocations.unwrap_or_default();
    let joined = decoded.berth.map(|member| {
        let member = serde_json::from_str(member.get()).map_err(words)?;
        join(&allocations, member)
    });
    let berth = joined.transpose();
    let berth = berth.map_err(|error| format!("its member \"berth\": {error}"))?;
    Ok((allocations, berth))
}

fn keep<T>(path: &Path, error: String) -> Result<Loaded<T>, CheckpointError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.map_or(0, |now| now.as_secs());
    match set_aside(path, &format!(".corrupt-{seconds}")) {
        Ok(set_aside) => {
            tracing::error!(path = %path.display(), set_aside = %set_aside.display(), error, "corrupt checkpoint set aside");
            Ok(Loaded::Corrupt { set_aside, error })
        }
        Err(source) => Err(CheckpointError::SetAside {
            path: path.into(),
            error,
            source,
        }),
    }
}
