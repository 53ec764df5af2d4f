//! Binding the socket and accepting on it. Knows nothing of requests.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Limits, Service, connection};
use crate::lock::answers;

/// How long accepting rests after a failure such as EMFILE, which would otherwise be repeated without pause.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// The socket, bound and ready.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    limits: Limits,
}

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

impl Listener {
    /// Binds `path`, mode 0600. Its directory is made with mode 0700 if it is missing; one that exists is left as it
    /// is. A socket on which nobody answers is replaced. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        Self::bind_with(path, Limits::default())
    }

    /// [`Listener::bind`] with other limits.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind_with(path: &Path, limits: Limits) -> Result<Self, BindError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| BindError::Io { what, path, source }
        };
        if let Some(dir) = path.parent() {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(dir);
            made.map_err(failed("make the directory", dir))?;
        }
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
        std::fs::rename(&fresh, path).map_err(failed("put the socket at", path))?;
        Ok(Self {
            socket,
            path: path.into(),
            limits,
        })
    }

    /// Serves until `stop` is ready; then accepts no more, waits up to `grace` for what is being served, and cuts off
    /// the rest. The socket is removed as soon as nobody accepts on it.
    pub async fn serve<S: Service>(
        self,
        service: Arc<S>,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) {
        let limits = self.limits;
        let places = Arc::new(Semaphore::new(limits.connections));
        let mut served = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = served.join_next() => {}
                (stream, place) = self.accept(&places) => {
                    let service = Arc::clone(&service);
                    served.spawn(async move {
                        connection::serve(stream, service, limits).await;
                        drop(place);
                    });
                }
            }
        }
        self.close();
        if timeout(grace, async { while served.join_next().await.is_some() {} })
            .await
            .is_err()
        {
            tracing::warn!(cut = served.len(), ?grace, "requests cut off at stop");
        }
        served.shutdown().await;
    }

    /// The next connection and its place among [`Limits::connections`].
    async fn accept(&self, places: &Arc<Semaphore>) -> (UnixStream, Option<OwnedSemaphorePermit>) {
        // Fails only on a closed semaphore, and nothing closes it.
        let place = Arc::clone(places).acquire_owned().await.ok();
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => return (stream, place),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    /// Takes the name away before the listener: a client then finds nothing, not a socket that refuses.
    fn close(self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the socket");
        }
    }
}
