//! Opens the pod's network namespace and refuses the plugin's own. Nothing enters it: the daemon gets the descriptor.

use alloc::string::{String, ToString};
use core::fmt;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, fstat, fstatfs, open, stat};

use crate::cause::Cause;
use crate::error::{Error, code};

/// The file system that namespaces are files of (include/uapi/linux/magic.h, `NSFS_MAGIC`).
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// A network namespace that is not the plugin's own, unless that was allowed.
#[derive(Debug)]
pub(crate) struct Netns(OwnedFd);

/// Why CNI_NETNS cannot be used.
#[derive(Debug)]
pub(crate) enum NetnsError {
    /// Nothing can be opened there.
    Unopenable(Cause),
    /// What is there is not a namespace.
    NotNamespace,
    /// It is the namespace in which the plugin runs, on a node the host's.
    Own,
    /// Whether it is could not be found out.
    Unknowable(Cause),
}

impl Netns {
    /// Opens `path` (`ip netns` keeps such files in /run/netns) and looks at what was opened, not at the path again.
    pub(crate) fn open(path: &[u8], own_allowed: bool) -> Result<Self, NetnsError> {
        // The flags keep a stale path that became a FIFO or a terminal from blocking or adopting us.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = open(path, flags, Mode::empty());
        let file = opened.map_err(|errno| NetnsError::Unopenable(errno.into()))?;
        let system = fstatfs(&file).map_err(|errno| NetnsError::Unknowable(errno.into()))?;
        // Since 3.19; before, any file of procfs had to be believed.
        if system.f_type != NSFS_MAGIC {
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
fn is_own(file: &OwnedFd) -> Result<bool, Cause> {
    let (theirs, ours) = (fstat(file)?, stat("/proc/self/ns/net")?);
    Ok((theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino))
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
    pub(crate) fn into_error(self, path: &[u8]) -> Error {
        let code = match self {
            Self::Unopenable(_) | Self::NotNamespace => code::ENVIRONMENT,
            Self::Own => code::OWN_NETNS,
            Self::Unknowable(_) => code::IO,
        };
        Error::new(code, self.to_string()).details(String::from_utf8_lossy(path))
    }
}
