//! Word of changes in directories, by inotify; by the clock where the kernel gives none, since its instances and watches are
//! counted for all of root's programs on the node together. What has changed does not matter here: who is told looks for itself.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{sleep, timeout};
use tracing::warn;

/// How often something may have changed without word of it: a look costs a few system calls.
const BY_THE_CLOCK: Duration = Duration::from_secs(5);

/// Watches of directories.
#[derive(Debug)]
pub(crate) struct Inotify {
    /// None where there was no instance left.
    fd: Option<AsyncFd<OwnedFd>>,
    /// Whether there was no watch left for a directory.
    deaf: AtomicBool,
}

impl Inotify {
    /// Nothing is watched yet. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub(crate) fn new() -> io::Result<Self> {
        match inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) {
            Ok(fd) => Ok(Self {
                fd: Some(register(fd)?),
                deaf: AtomicBool::new(false),
            }),
            Err(error) => {
                warn!(%error, "no inotify instance (is fs.inotify.max_user_instances reached?): what should be watched is looked at each {BY_THE_CLOCK:?}");
                Ok(Self::without_word())
            }
        }
    }

    /// Without the kernel.
    pub(crate) fn without_word() -> Self {
        Self {
            fd: None,
            deaf: AtomicBool::new(true),
        }
    }

    /// Watches a directory, which changes nothing if it is watched already. A directory that is removed takes its watch
    /// with it: it has to be watched again once it is there again.
    ///
    /// # Errors
    /// Those of inotify_add_watch(2), but not that no watch is left.
    pub(crate) fn watch(&self, directory: &Path, what: WatchFlags) -> io::Result<()> {
        let Some(fd) = &self.fd else {
            return Ok(());
        };
        let gone = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        let what = what | gone | WatchFlags::ONLYDIR;
        match inotify::add_watch(fd.get_ref(), directory, what) {
            Err(Errno::NOSPC) => {
                if !self.deaf.swap(true, Ordering::Relaxed) {
                    warn!(directory = %directory.display(), "no inotify watch left (fs.inotify.max_user_watches): it is looked at each {BY_THE_CLOCK:?}");
                }
                Ok(())
            }
            watched => Ok(watched.map(drop)?),
        }
    }

    /// Waits until something has changed since the last call, or may have.
    ///
    /// # Errors
    /// Those of read(2).
    pub(crate) async fn changed(&self) -> io::Result<()> {
        let Some(fd) = &self.fd else {
            sleep(BY_THE_CLOCK).await;
            return Ok(());
        };
        let word = fd.async_io(Interest::READABLE, |fd| {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            Ok(rustix::io::read(fd, &mut buffer).map(drop)?)
        });
        if self.deaf.load(Ordering::Relaxed) {
            timeout(BY_THE_CLOCK, word).await.unwrap_or(Ok(()))
        } else {
            word.await
        }
    }
}

#[expect(
    deprecated,
    reason = "an OwnedFd keeps its descriptor until it is dropped, which is all that the unsafe successor asks for"
)]
fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn without_word_something_may_have_changed_each_time() {
        let home = tempfile::tempdir().unwrap();
        let inotify = Inotify::without_word();
        inotify.watch(home.path(), WatchFlags::CREATE).unwrap();
        let begun = Instant::now();
        for _ in 0..3 {
            inotify.changed().await.unwrap();
        }
        assert_eq!(begun.elapsed(), 3 * BY_THE_CLOCK);
    }

    #[tokio::test]
    async fn a_file_that_comes_is_told_at_once() {
        let home = tempfile::tempdir().unwrap();
        let inotify = Inotify::new().unwrap();
        inotify.watch(home.path(), WatchFlags::CREATE).unwrap();
        std::fs::write(home.path().join("new"), "").unwrap();
        let told = timeout(BY_THE_CLOCK / 2, inotify.changed()).await;
        assert!(matches!(told, Ok(Ok(()))), "{told:?}");
    }
}
