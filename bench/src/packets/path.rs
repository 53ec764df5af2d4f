//! What packets go between, and on which processor: the two ends of a node. What the node does with them is not known
//! here.

use std::net::{Ipv4Addr, SocketAddrV4};

use e2e::netns::Netns;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// A socket's place: a namespace and its address.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// Where the socket is opened.
    pub netns: &'a Netns,
    /// Its address there.
    pub address: Ipv4Addr,
}

impl End<'_> {
    /// A port of it.
    #[must_use]
    pub fn at(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, port)
    }
}

/// Which of the processors that this process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// The first: forwarding happens in the sender's softirq, so on the sender's processor.
    First,
    /// The last: the first as well where there is only one.
    Last,
}

/// Keeps the calling thread, and the programs that it starts, on one processor.
///
/// # Errors
/// The kernel refused.
pub fn stay_on(processor: Processor) -> nix::Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let mut processors = (0..CpuSet::count()).filter(|&n| allowed.is_set(n).unwrap_or(false));
    let chosen = match processor {
        Processor::First => processors.next(),
        Processor::Last => processors.next_back(),
    };
    let mut only = CpuSet::new();
    only.set(chosen.unwrap_or(0))?;
    sched_setaffinity(this, &only)
}
