//! Listening sockets, also inside nodes' namespaces, and connections that can be cut off without an answer.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::fabric::{FabricError, Netns};

/// Opens a listening socket, in a node's namespace if one is given. Who connects to it is served by the runtime of
/// the caller like anybody else: a socket stays in the namespace in which it was made.
pub(super) fn bind(netns: Option<&Netns>, address: SocketAddr) -> Result<TcpListener, FabricError> {
    let open = || {
        std::net::TcpListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|source| FabricError::Listen { address, source })
    };
    let listener = match netns {
        Some(netns) => netns.inside(open)?,
        None => open()?,
    };
    TcpListener::from_std(listener).map_err(|source| FabricError::Listen { address, source })
}

/// Serves a router until `stop` says so; idle connections are closed then.
pub(super) fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let service = router.into_make_service_with_connect_info::<Connection>();
    let stopped = async move {
        // An error means that the sender is gone, which stops us as well.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    tokio::spawn(async move {
        let server = axum::serve(Cuttable(listener), service).with_graceful_shutdown(stopped);
        if let Err(error) = server.await {
            tracing::warn!(%error, "a listener of the mock ended");
        }
    });
}

/// The handle by which a request's handler ends its connection without an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Connection(Arc<AtomicBool>);

impl Connection {
    /// Nothing more is written: the client sees the connection close.
    pub(super) fn cut(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, Cuttable>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Cuttable>) -> Self {
        stream.io().handle.clone()
    }
}

/// A listener whose connections can be cut.
struct Cuttable(TcpListener);

impl Listener for Cuttable {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, peer)) => {
                    let handle = Connection::default();
                    return (Wire { stream, handle }, peer);
                }
                Err(error) => {
                    // Out of descriptors, or a client that was gone at once: others may fare better.
                    tracing::warn!(%error, "accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection that fails to write once it was cut.
struct Wire {
    stream: TcpStream,
    handle: Connection,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.handle.0.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
