//! Notices that something else may have changed what stands in the kernel: `ip monitor` and `nft monitor` for what the
//! layout rests on. It says which part is in doubt, never what to do about it.
//!
//! The kernel tells of links, of addresses, of routes and rules that somebody deletes, of forwarding and rp_filter, and of
//! nftables. It does not tell of routes that go with their link or address (those are told of themselves), nor of other
//! sysctls: these are found by the comparison that is made from time to time.

mod interest;
mod meaning;
mod socket;

pub(super) use interest::Interest;

use std::io;
use std::time::Duration;

use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use rtnetlink::MulticastGroup;
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Part, Parts};
use meaning::Meaning;
use socket::{Heard, Listener, messages};

/// linux/netfilter/nfnetlink.h
const NFNLGRP_NFTABLES: u32 = 7;
/// Between two tries to listen again.
const AGAIN: Duration = Duration::from_secs(1);
/// From the first notification until it and what came after it are read. The kernel wakes who listens on the processor of
/// who made the change, in the middle of it: an ADD, which is told of in five notifications, was 0.1 ms longer for that.
const GATHER: Duration = Duration::from_millis(20);

const ROUTE_GROUPS: [u32; 5] = [
    MulticastGroup::Link as u32,
    MulticastGroup::Ipv4Ifaddr as u32,
    MulticastGroup::Ipv4Route as u32,
    MulticastGroup::Ipv4Rule as u32,
    MulticastGroup::Ipv4Netconf as u32,
];

/// The sockets, which listen from when they are opened on.
pub(super) struct Ears {
    route: Listener,
    nft: Listener,
    queue: usize,
}

impl Ears {
    /// In the namespace of the calling thread, inside a runtime. `queue` is the room for unread notifications, bytes.
    pub(super) fn open(queue: usize) -> io::Result<Self> {
        Ok(Self {
            route: Listener::open(NETLINK_ROUTE, &ROUTE_GROUPS, queue)?,
            nft: Listener::open(NETLINK_NETFILTER, &[NFNLGRP_NFTABLES], queue)?,
            queue,
        })
    }

    /// Waits until there is something to read.
    async fn heard(&self) -> io::Result<()> {
        tokio::select! {
            heard = self.route.heard() => heard,
            heard = self.nft.heard() => heard,
        }
    }

    /// Reads all there is, and raises what it puts in doubt.
    fn take(
        &self,
        meaning: &mut Meaning,
        interest: &watch::Receiver<Interest>,
        doubts: &watch::Sender<Parts>,
    ) -> io::Result<()> {
        while let Some(heard) = self.route.take()? {
            let parts = read(heard, Parts::NETLINK, |message| {
                meaning.of(message, &interest.borrow())
            });
            raise(doubts, parts);
        }
        while let Some(heard) = self.nft.take()? {
            raise(doubts, read(heard, Part::Nft.into(), meaning::of_nft));
        }
        Ok(())
    }
}

/// Listens until nobody asks for doubts any more. `own` are the ports of the sockets whose changes are ours.
pub(super) async fn run(
    mut ears: Ears,
    own: Vec<u32>,
    interest: watch::Receiver<Interest>,
    doubts: watch::Sender<Parts>,
) {
    let mut meaning = Meaning::new(own);
    loop {
        let heard = tokio::select! {
            heard = ears.heard() => heard,
            () = doubts.closed() => return,
        };
        gather();
        let taken = heard.and_then(|()| ears.take(&mut meaning, &interest, &doubts));
        if let Err(error) = taken {
            tracing::warn!(%error, "listening to the kernel's notifications");
            let Some(again) = listen_again(&doubts, ears.queue).await else {
                return;
            };
            ears = again;
            raise(&doubts, Parts::ALL);
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the thread has nothing else to do, and a sleep of the runtime would be woken by each notification"
)]
fn gather() {
    std::thread::sleep(GATHER);
}

/// What was heard puts in doubt; `all` if some of it was lost.
fn read(heard: Heard, all: Parts, mut of: impl FnMut(&socket::Message<'_>) -> Parts) -> Parts {
    match heard {
        Heard::Messages(datagram) => messages(&datagram)
            .map(|message| of(&message))
            .fold(Parts::NONE, Parts::and),
        Heard::Overrun => {
            tracing::info!("the kernel's notifications came too fast, everything is compared");
            all
        }
    }
}

/// Adds to what nobody has taken notice of yet.
fn raise(doubts: &watch::Sender<Parts>, parts: Parts) {
    doubts.send_if_modified(|doubts| {
        let before = *doubts;
        *doubts = before.and(parts);
        *doubts != before
    });
}

async fn listen_again(doubts: &watch::Sender<Parts>, queue: usize) -> Option<Ears> {
    while !doubts.is_closed() {
        sleep(AGAIN).await;
        match Ears::open(queue) {
            Ok(ears) => return Some(ears),
            Err(error) => tracing::warn!(%error, "listening to the kernel's notifications"),
        }
    }
    None
}
