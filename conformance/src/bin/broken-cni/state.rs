//! What was made, one file an attachment, below one lock.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::rules::broken;

/// What tells attachments apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub network: String,
    pub container_id: String,
    pub ifname: String,
}

/// An attachment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub key: Key,
    /// Empty in the record of an attachment whose IPAM plugin has not answered yet.
    pub addresses: Vec<String>,
    /// The host's side of the veth, if this plugin made one.
    pub host: Option<String>,
    /// CNI_NETNS of the ADD.
    pub netns: String,
    /// `mtu` of the ADD's configuration.
    pub mtu: Option<u32>,
    /// `cniVersion` of the ADD's configuration.
    pub version: String,
    /// Whether the ADD came to its end.
    pub is_whole: bool,
}

/// The directory, locked as long as this or a child of this process lives: a child that was started for an ADD may
/// outlive it.
pub struct State {
    dir: PathBuf,
    _lock: Option<File>,
}

impl State {
    /// Waits for the lock.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(dir.join("attachments"))?;
        if broken("no-lock") {
            return Ok(Self {
                dir: dir.to_owned(),
                _lock: None,
            });
        }
        let lock = File::create(dir.join("lock"))?;
        lock.lock()?;
        fcntl_setfd(&lock, FdFlags::empty()).map_err(std::io::Error::from)?;
        Ok(Self {
            dir: dir.to_owned(),
            _lock: Some(lock),
        })
    }

    /// The record of `key`.
    pub fn get(&self, key: &Key) -> Option<Record> {
        let text = fs::read(self.path(key)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Writes `record`, whole or not at all.
    pub fn put(&self, record: &Record) -> Result<(), Failure> {
        let text = serde_json::to_vec(record).map_err(std::io::Error::from)?;
        let temporary = self.dir.join(format!("new-{}", std::process::id()));
        fs::write(&temporary, text)?;
        Ok(fs::rename(temporary, self.path(&record.key))?)
    }

    /// Forgets the record of `key`.
    pub fn forget(&self, key: &Key) {
        let _ = fs::remove_file(self.path(key));
    }

    /// All records.
    pub fn all(&self) -> Vec<Record> {
        let entries = fs::read_dir(self.dir.join("attachments"))
            .into_iter()
            .flatten()
            .flatten();
        let record =
            |entry: fs::DirEntry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok();
        entries.filter_map(record).collect()
    }

    /// The first free address of the 256 from `subnet` on; the first two are the network's and the gateway's.
    pub fn allocate(&self, subnet: Ipv4Addr) -> Result<String, Failure> {
        let taken: BTreeSet<String> = self
            .all()
            .into_iter()
            .flat_map(|record| record.addresses)
            .collect();
        let address = |offset: u32| format!("{}/32", Ipv4Addr::from(u32::from(subnet) + offset));
        let free = (2..255)
            .map(address)
            .find(|address| !taken.contains(address));
        free.ok_or_else(|| Failure::new(11, "no address is free"))
    }

    fn path(&self, key: &Key) -> PathBuf {
        let Key {
            network,
            container_id,
            ifname,
        } = key;
        let name = match () {
            () if broken("state-short-id") => {
                format!("{network}:{container_id:.12}:{ifname}")
            }
            () if broken("state-any-case") => {
                format!("{network}:{container_id}:{ifname}").to_lowercase()
            }
            () if broken("state-any-network") => format!("{container_id}:{ifname}"),
            () if broken("state-any-container") => format!("{network}:{ifname}"),
            () if broken("state-any-ifname") => format!("{network}:{container_id}"),
            () => format!("{network}:{container_id}:{ifname}"),
        };
        // a container's id may be longer than a file's name
        let name = if name.len() > 200 {
            format!("{}-{:016x}", &name[..100], hash(&name))
        } else {
            name
        };
        self.dir.join("attachments").join(name)
    }
}

impl Key {
    /// The name of the host's side.
    pub fn host_ifname(&self) -> String {
        let text = format!("{}:{}:{}", self.network, self.container_id, self.ifname);
        format!("bk{:011x}", hash(&text) & 0xfff_ffff_ffff)
    }

    /// A locally administered MAC address, another one for each side.
    pub fn mac(&self, side: &str) -> String {
        let text = format!(
            "{}:{}:{}:{side}",
            self.network, self.container_id, self.ifname
        );
        let bytes = hash(&text).to_be_bytes();
        let tail: Vec<String> = bytes[..5]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("0a:{}", tail.join(":"))
    }
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}
