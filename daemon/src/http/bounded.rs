//! A listener that nobody can exhaust: so many connections at once, each for a short time only. What is said on them is
//! not its concern.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tracing::warn;

/// How long accepting rests after a failure such as EMFILE, which would otherwise be repeated without pause.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// What the clients together, and each of them, may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections at once; one more waits in the kernel's backlog.
    pub connections: usize,
    /// From accept to close. A kept connection is closed too; its client connects again.
    pub lifetime: Duration,
}

impl Default for Bounds {
    /// A Prometheus pair, kubelet's probes and a few people at once. aws-node cuts after 5 s without progress; a scrape's
    /// default time-out is 10 s.
    fn default() -> Self {
        Self {
            connections: 32,
            lifetime: Duration::from_secs(10),
        }
    }
}

/// The listener.
pub(super) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    lifetime: Duration,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener, bounds: Bounds) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(bounds.connections)),
            lifetime: bounds.lifetime,
        }
    }
}

impl Listener for Bounded {
    type Io = Mortal;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Mortal, SocketAddr) {
        // Fails only on a closed semaphore, and nothing closes it.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let end = Box::pin(sleep(self.lifetime));
                    let _place = place;
                    return (
                        Mortal {
                            stream,
                            end,
                            _place,
                        },
                        peer,
                    );
                }
                Err(error) => {
                    warn!(%error, "cannot accept an HTTP connection");
                    sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection whose reads and writes fail once its time is over.
pub(super) struct Mortal {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Mortal {
    /// The stream, as long as there is time.
    fn alive(&mut self, context: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        match self.end.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(Pin::new(&mut self.stream)),
        }
    }
}

impl AsyncRead for Mortal {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.alive(context) {
            Ok(stream) => stream.poll_read(context, buffer),
            Err(over) => Poll::Ready(Err(over)),
        }
    }
}

impl AsyncWrite for Mortal {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.alive(context) {
            Ok(stream) => stream.poll_write(context, bytes),
            Err(over) => Poll::Ready(Err(over)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.alive(context) {
            Ok(stream) => stream.poll_flush(context),
            Err(over) => Poll::Ready(Err(over)),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
