//! The socket's name in the file system: made without a moment in which others could connect, noticed when somebody takes
//! it away, and removed at the end. A daemon whose name is gone is as good as dead, and would not know.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::inotify::WatchFlags;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep_until};

use crate::inotify::Inotify;
use crate::lock::answers;

/// Why the socket could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there.
    #[error("another daemon answers on {}: stop it first", path.display())]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// The file system or the socket said no.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// The step.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A listening socket and its name.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    socket: UnixListener,
    /// Device and inode of the name, which tell it from another daemon's.
    identity: (u64, u64),
    inotify: Inotify,
}

impl Place {
    /// Binds `path`, mode 0600, and watches its directory, which is made with mode 0700 if it is missing; one that exists
    /// is left as it is. A socket on which nobody answers is replaced. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`].
    pub(super) fn bind(path: &Path) -> Result<Self, BindError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| BindError::Io { what, path, source }
        };
        let dir = path.parent().unwrap_or(Path::new("/"));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(failed("make the directory", dir))?;
        if answers(path).map_err(failed("look for a daemon on", path))? {
            return Err(BindError::Taken { path: path.into() });
        }
        // Under another name first: the socket is never seen with the umask's mode, and the stale one goes at once.
        let fresh = path.with_added_extension("new");
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &fresh)(error));
            }
            _ => {}
        }
        let socket = UnixListener::bind(&fresh).map_err(failed("listen on", &fresh))?;
        std::fs::set_permissions(&fresh, Permissions::from_mode(0o600))
            .map_err(failed("set the mode of", &fresh))?;
        let identity = identity(&fresh).map_err(failed("look at", &fresh))?;
        let inotify = Inotify::new()
            .and_then(|inotify| {
                inotify.watch(dir, WatchFlags::DELETE | WatchFlags::MOVE)?;
                Ok(inotify)
            })
            .map_err(failed("watch", dir))?;
        std::fs::rename(&fresh, path).map_err(failed("put the socket at", path))?;
        Ok(Self {
            path: path.into(),
            socket,
            identity,
            inotify,
        })
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.socket.accept().await?.0)
    }

    /// Waits until the name is gone or another's; not before `rested`.
    pub(super) async fn lost(&self, rested: Instant) {
        sleep_until(rested).await;
        while self.is_there() {
            if let Err(error) = self.inotify.changed().await {
                tracing::error!(%error, path = %self.path.display(), "the socket is not watched any more");
                return std::future::pending().await;
            }
        }
    }

    /// Listens under the name again. Who waits to be accepted by the old socket is cut off and comes again.
    ///
    /// # Errors
    /// [`BindError`]; the old socket stays then.
    pub(super) fn restore(&mut self) -> Result<(), BindError> {
        *self = Self::bind(&self.path)?;
        Ok(())
    }

    /// Takes the name away before the listener: a client then finds nothing, not a socket that refuses. Another daemon's
    /// is left to it.
    pub(super) fn close(self) {
        if !self.is_there() {
            return;
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the socket");
        }
    }

    fn is_there(&self) -> bool {
        identity(&self.path).is_ok_and(|found| found == self.identity)
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = path.symlink_metadata()?;
    Ok((found.dev(), found.ino()))
}
