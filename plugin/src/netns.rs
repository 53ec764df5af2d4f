//! Opens the pod's network namespace and refuses the plugin's own. Nothing enters it: the daemon gets the descriptor.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use nix::fcntl::OFlag;
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};

use crate::error::{Error, code};

/// A network namespace that is not the plugin's own, unless that was allowed.
#[derive(Debug)]
pub(crate) struct Netns(File);

/// Why CNI_NETNS cannot be used.
#[derive(Debug)]
pub(crate) enum NetnsError {
    /// Nothing can be opened there.
    Unopenable(io::Error),
    /// What is there is not a namespace.
    NotNamespace,
    /// It is the namespace in which the plugin runs, on a node the host's.
    Own,
    /// Whether it is could not be found out.
    Unknowable(io::Error),
}

impl Netns {
    /// Opens `path` (`ip netns` keeps such files in /run/netns) and looks at what was opened, not at the path again.
    pub(crate) fn open(path: &OsStr, own_allowed: bool) -> Result<Self, NetnsError> {
        // The flags keep a stale path that became a FIFO or a terminal from blocking or adopting us.
        let flags = OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits())
            .open(path);
        let file = opened.map_err(NetnsError::Unopenable)?;
        let kind = fstatfs(&file)
            .map_err(|error| NetnsError::Unknowable(error.into()))?
            .filesystem_type();
        // Since 3.19; before, any file of procfs had to be believed.
        if kind != NSFS_MAGIC {
            return Err(NetnsError::NotNamespace);
        }
        if !own_allowed && is_own(&file).map_err(NetnsError::Unknowable)? {
            return Err(NetnsError::Own);
        }
        Ok(Self(file))
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A namespace is known by the device and inode of its file (namespaces(7)).
fn is_own(file: &File) -> io::Result<bool> {
    let (theirs, ours) = (file.metadata()?, std::fs::metadata("/proc/self/ns/net")?);
    Ok((theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino()))
}

impl fmt::Display for NetnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unopenable(error) => {
                write!(f, "cannot open the network namespace of CNI_NETNS: {error}")
            }
            Self::NotNamespace => write!(f, "CNI_NETNS is not a network namespace"),
            Self::Own => write!(
                f,
                "plugin's netns and netns from CNI_NETNS should not be the same"
            ),
            Self::Unknowable(error) => write!(
                f,
                "cannot compare CNI_NETNS with the plugin's own network namespace: {error}"
            ),
        }
    }
}

impl NetnsError {
    /// The CNI error, with the path in its details.
    pub(crate) fn into_error(self, path: &OsStr) -> Error {
        let code = match self {
            Self::Unopenable(_) | Self::NotNamespace => code::ENVIRONMENT,
            Self::Own => code::OWN_NETNS,
            Self::Unknowable(_) => code::IO,
        };
        Error::new(code, self.to_string()).details(path.to_string_lossy())
    }
}
