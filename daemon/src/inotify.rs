//! Word of changes in directories, by inotify. What has changed does not matter here: who is told looks for itself.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches of directories.
#[derive(Debug)]
pub(crate) struct Inotify {
    fd: AsyncFd<OwnedFd>,
}

impl Inotify {
    /// Nothing is watched yet. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Those of inotify_init1(2): EMFILE where fs.inotify.max_user_instances is reached.
    pub(crate) fn new() -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { fd: register(fd)? })
    }

    /// Watches a directory, which changes nothing if it is watched already. A directory that is removed takes its watch
    /// with it: it has to be watched again once it is there again.
    ///
    /// # Errors
    /// Those of inotify_add_watch(2).
    pub(crate) fn watch(&self, directory: &Path, what: WatchFlags) -> io::Result<()> {
        let gone = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        let what = what | gone | WatchFlags::ONLYDIR;
        inotify::add_watch(self.fd.get_ref(), directory, what)?;
        Ok(())
    }

    /// Waits until something has changed since the last call.
    ///
    /// # Errors
    /// Those of read(2).
    pub(crate) async fn changed(&self) -> io::Result<()> {
        self.fd
            .async_io(Interest::READABLE, |fd| {
                let mut buffer = [MaybeUninit::uninit(); 4096];
                Ok(rustix::io::read(fd, &mut buffer).map(drop)?)
            })
            .await
    }
}

#[expect(
    deprecated,
    reason = "an OwnedFd keeps its descriptor until it is dropped, which is all that the unsafe successor asks for"
)]
fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}
