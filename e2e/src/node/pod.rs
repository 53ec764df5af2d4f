//! A pod that runs: its sandbox and what ADD gave it.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::netns::Netns;
use crate::runtime::attachment::Attachment;
use crate::runtime::outcome::Added;

/// A pod. Its sandbox goes when it is dropped, which is not a DEL: [`super::Node::del_pod`] is.
#[derive(Debug)]
pub struct Pod {
    /// Name within [`super::POD_NAMESPACE`].
    pub name: String,
    /// Its sandbox.
    pub netns: Netns,
    /// What the runtime said about it.
    pub attachment: Attachment,
    /// Its address.
    pub address: Ipv4Addr,
    /// What the chain's ADD returned, and how long it took.
    pub added: Added,
}

impl Pod {
    /// `port` at the pod's address.
    #[must_use]
    pub fn at(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, port)
    }
}
