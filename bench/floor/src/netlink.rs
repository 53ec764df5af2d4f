//! Requests to rtnetlink as bytes, many in one send, and their acknowledgments. The numbers are those of linux/netlink.h,
//! if_link.h, if_addr.h, rtnetlink.h and neighbour.h.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use nix::sys::socket::{MsgFlags, recv, send};

const NLM_F_REQUEST_ACK: u16 = 0x1 | 0x4;

/// A socket in the namespace of the calling thread.
pub fn open() -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::Netlink, SockType::Raw);
    let (flags, protocol) = (SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute);
    Ok(socket(family, kind, flags, protocol)?)
}

/// Requests that are sent together.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where the last request begins.
    last: usize,
    count: usize,
}

impl Batch {
    /// Begins a request: its kind, its flags beside REQUEST and ACK, and the fixed part of that kind.
    pub fn request(&mut self, kind: u16, flags: u16, fixed: &[u8]) -> &mut Self {
        self.last = self.bytes.len();
        self.count += 1;
        let flags = NLM_F_REQUEST_ACK | flags;
        let head: [&[u8]; 4] = [&[0; 4], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8]];
        self.bytes.extend([&head.concat(), fixed].concat());
        self.measure()
    }

    /// Adds an attribute to the last request.
    pub fn with(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.bytes.extend(attribute(kind, value));
        self.measure()
    }

    fn measure(&mut self) -> &mut Self {
        let length = (self.bytes.len() - self.last) as u32;
        self.bytes[self.last..self.last + 4].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// Sends all and waits for as many acknowledgments, which come one by one. Requests after a refused one are carried out.
    pub fn send(&self, socket: &OwnedFd) -> io::Result<()> {
        let (socket, none) = (socket.as_raw_fd(), MsgFlags::empty());
        send(socket, &self.bytes, none)?;
        let mut first = Ok(());
        for _ in 0..self.count {
            let mut reply = [0; 512];
            recv(socket, &mut reply, none)?;
            // behind the header, which has 16 bytes
            let code = i32::from_ne_bytes([reply[16], reply[17], reply[18], reply[19]]);
            if code != 0 && first.is_ok() {
                first = Err(Errno::from_raw(-code).into());
            }
        }
        first
    }
}

/// One attribute: length, kind, value, padding.
pub fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = value.len() as u16 + 4;
    let head = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    let mut bytes = [&head, value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
