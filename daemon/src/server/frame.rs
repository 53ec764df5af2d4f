//! One request's bytes and descriptors off a socket, and one reply's bytes onto it. Reads with recvmsg and never past
//! the end of the request: a buffered reader would lose the descriptors that ride on the bytes.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use berth_cni::contract::{Outcome, PROTOCOL, Reply};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, RecvMsg, ReturnFlags, recvmsg,
};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

use super::ServerError;

/// Bytes of the length in front of each message.
const HEADER: usize = 4;

/// How much is read at a time: memory grows by what arrives, not by what the header promises.
const CHUNK: usize = 64 << 10;

/// Descriptors taken per recvmsg: one more than any request has, so that a doubled one is counted, not truncated.
const DESCRIPTORS: usize = 2;

/// One request as it came.
#[derive(Debug)]
pub(super) struct Frame {
    /// The JSON.
    pub body: Vec<u8>,
    /// The descriptors, on whichever byte they came.
    pub descriptors: Vec<OwnedFd>,
}

/// Reads one request of at most `limit` bytes. `None` if the client left without a word.
pub(super) async fn read(stream: &UnixStream, limit: usize) -> Result<Option<Frame>, ServerError> {
    let mut descriptors = Vec::new();
    let mut header = Vec::new();
    match fill(stream, &mut header, HEADER, &mut descriptors).await {
        Err(ServerError::Cut { got: 0, .. }) => return Ok(None),
        read => read?,
    }
    let length = header
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length == 0 || length > limit {
        return Err(ServerError::Length { length, limit });
    }
    let mut body = Vec::new();
    fill(stream, &mut body, length, &mut descriptors).await?;
    Ok(Some(Frame { body, descriptors }))
}

/// Writes one reply.
pub(super) async fn write(stream: &mut UnixStream, outcome: Outcome) -> Result<(), ServerError> {
    let reply = Reply {
        protocol: PROTOCOL,
        outcome,
    };
    let frame = berth_cni::frame::encode(&reply).map_err(io::Error::other)?;
    Ok(stream.write_all(&frame).await?)
}

/// Waits until the client does anything at all, which nobody who has sent a request should do: `Ok` when it has gone,
/// [`ServerError::Trailing`] when it says more. Peeks, so that descriptors on those bytes are never installed here.
pub(super) async fn gone(stream: &UnixStream) -> Result<(), ServerError> {
    let peeked = stream
        .async_io(Interest::READABLE, || {
            let mut byte = [0_u8; 1];
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            Ok(rustix::net::recv(stream, &mut byte, flags)?.1)
        })
        .await;
    match peeked {
        Ok(0) => Ok(()),
        Ok(_) => Err(ServerError::Trailing),
        // A reset is a client that left without reading all that it was sent.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn fill(
    stream: &UnixStream,
    bytes: &mut Vec<u8>,
    want: usize,
    descriptors: &mut Vec<OwnedFd>,
) -> Result<(), ServerError> {
    while bytes.len() < want {
        let got = bytes.len();
        bytes.resize(want.min(got + CHUNK), 0);
        let message = stream
            .async_io(Interest::READABLE, || {
                receive(stream, &mut bytes[got..], descriptors)
            })
            .await?;
        bytes.truncate(got + message.bytes);
        if message.flags.contains(ReturnFlags::CTRUNC) {
            // Cut short: there was no room in our buffer, or none in our table of descriptors.
            return Err(if descriptors.len() < DESCRIPTORS {
                ServerError::NoDescriptorLeft
            } else {
                ServerError::TooManyDescriptors
            });
        }
        if message.bytes == 0 {
            return Err(ServerError::Cut { got, want });
        }
        // A client that sends one descriptor a byte must not collect all that the daemon may open.
        if descriptors.len() > DESCRIPTORS {
            return Err(ServerError::TooManyDescriptors);
        }
    }
    Ok(())
}

fn receive(
    stream: &UnixStream,
    bytes: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<RecvMsg> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let message = recvmsg(stream, &mut [IoSliceMut::new(bytes)], &mut control, flags)?;
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            descriptors.extend(rights);
        }
    }
    Ok(message)
}
