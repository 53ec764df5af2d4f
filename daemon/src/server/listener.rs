//! Accepting on the socket, under its name as long as it serves. Knows nothing of requests.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout};

use super::place::{BindError, Place};
use super::{Limits, Service, connection};

/// How long accepting rests after a failure such as EMFILE, which would otherwise be repeated without pause.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How long a name that was taken away and cannot be had back rests before it is tried again.
const REBIND_REST: Duration = Duration::from_secs(1);

/// The socket, bound and ready.
#[derive(Debug)]
pub struct Listener {
    place: Place,
    limits: Limits,
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
        Ok(Self {
            place: Place::bind(path)?,
            limits,
        })
    }

    /// Serves until `stop` is ready; then accepts no more, waits up to `grace` for what is being served, and cuts off
    /// the rest. The socket is removed as soon as nobody accepts on it.
    pub async fn serve<S: Service>(
        mut self,
        service: Arc<S>,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) {
        let limits = self.limits;
        let places = Arc::new(Semaphore::new(limits.connections));
        let mut served = JoinSet::new();
        let mut rebind = Rebind::default();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = served.join_next() => {}
                () = self.place.lost(rebind.rested) => rebind.attempt(&mut self.place),
                (stream, place) = self.accept(&places) => {
                    let service = Arc::clone(&service);
                    served.spawn(async move {
                        connection::serve(stream, service, limits).await;
                        drop(place);
                    });
                    // It is read before this looks at the socket's name again.
                    yield_now().await;
                }
            }
        }
        self.place.close();
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
            match self.place.accept().await {
                Ok(stream) => return (stream, place),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_REST).await;
                }
            }
        }
    }
}

/// Getting the socket's name back.
struct Rebind {
    /// Not tried before.
    rested: Instant,
    /// Said once, not each second.
    told: bool,
}

impl Default for Rebind {
    fn default() -> Self {
        Self {
            rested: Instant::now(),
            told: false,
        }
    }
}

impl Rebind {
    fn attempt(&mut self, place: &mut Place) {
        match place.restore() {
            Ok(()) => {
                tracing::warn!("somebody took the socket away, listening there again");
                *self = Self::default();
            }
            Err(error) => {
                if !std::mem::replace(&mut self.told, true) {
                    tracing::error!(%error, "somebody took the socket away, nobody can reach this daemon");
                }
                self.rested = Instant::now() + REBIND_REST;
            }
        }
    }
}
