//! The container's namespace.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use nix::sched::{CloneFlags, setns};
use nix::sys::statfs::{FsType, fstatfs};

use crate::failure::Failure;
use crate::ip::ip;
use crate::rules::broken;

/// include/uapi/asm-generic/fcntl.h.
const O_NONBLOCK: i32 = 0o4000;
/// nsfs (linux/magic.h).
const NSFS: i64 = 0x6e73_6673;

/// An open namespace.
#[derive(Debug)]
pub struct Netns(File);

/// Why there is none.
#[derive(Debug)]
pub enum Unusable {
    /// It is the plugin's own.
    Own,
    /// Nothing there can be opened.
    Gone(String),
    /// It is something else.
    Other,
}

impl Netns {
    /// Opens `path`.
    pub fn open(path: &str, own_allowed: bool) -> Result<Self, Unusable> {
        // a pipe must not make it wait
        let opened = File::options()
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open(path);
        let file = opened.map_err(|error| Unusable::Gone(error.to_string()))?;
        let kind = fstatfs(file.as_fd()).map(|found| found.filesystem_type());
        if kind.ok() != Some(FsType(NSFS)) {
            return Err(Unusable::Other);
        }
        if !own_allowed && is_own(&file) {
            if broken("own-netns-lo-up") {
                let _ = ip(&["link", "set", "lo", "up"]);
            }
            return Err(Unusable::Own);
        }
        Ok(Self(file))
    }

    /// A path by which other programs find the namespace as long as this lives.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Runs `inside` on a thread in there.
    pub fn run<T: Send>(
        &self,
        inside: impl FnOnce() -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let enter = || {
            setns(self.0.as_fd(), CloneFlags::CLONE_NEWNET)
                .map_err(|errno| Failure::new(101, errno.to_string()))?;
            inside()
        };
        let ended = std::thread::scope(|scope| scope.spawn(enter).join());
        ended.unwrap_or_else(|_| Err(Failure::new(999, "a thread panicked")))
    }
}

impl Unusable {
    /// As ADD and CHECK tell it.
    pub fn into_failure(self, path: &str) -> Failure {
        match self {
            Self::Own => Failure::new(
                8,
                "plugin's netns and netns from CNI_NETNS should not be the same",
            ),
            Self::Gone(why) => Failure::new(4, format!("cannot open CNI_NETNS {path}: {why}")),
            Self::Other => Failure::new(4, format!("CNI_NETNS {path} is not a network namespace")),
        }
    }
}

/// The namespace for ADD and CHECK.
pub fn required(path: &str, own_allowed: bool) -> Result<Option<Netns>, Failure> {
    if broken("netns-by-name-only") && !path.starts_with("/run/netns/") {
        return Err(Failure::new(
            4,
            format!("CNI_NETNS {path} is not in /run/netns"),
        ));
    }
    match Netns::open(path, own_allowed || broken("own-netns-after")) {
        Ok(netns) => Ok(Some(netns)),
        Err(Unusable::Own) => Err(Unusable::Own.into_failure(path)),
        Err(_) if broken("netns-unchecked") => Ok(None),
        Err(unusable) => Err(unusable.into_failure(path)),
    }
}

/// Whether `path` is the plugin's own namespace.
pub fn is_own_path(path: &str) -> bool {
    File::open(path).is_ok_and(|file| is_own(&file))
}

fn is_own(file: &File) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let own = fs::metadata("/proc/self/ns/net").ok().map(identity);
    own.is_some() && own == file.metadata().ok().map(identity)
}
