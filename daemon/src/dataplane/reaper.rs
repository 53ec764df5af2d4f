//! Deletes the links of pods that are gone, in batches and on a thread of its own: deleting a veth waits for RCU (20 ms
//! and more) under the lock that every other link operation needs, and fifty in one request take hardly longer than one.
//! It knows doomed links by their group only.

use std::time::Duration;

use ipam::desired::{ALIAS_PREFIX, REAPER_GROUP};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::netlink::{Link, LinkChange, Netlink, gone_is_fine};

/// How long links are gathered: long enough for the DELs of one drained node, short enough for the promise that nothing
/// is left one second after the answer.
const BATCH: Duration = Duration::from_millis(200);
/// Pause after a refused deletion.
const RETRY: Duration = Duration::from_secs(1);

/// Tells the reaper that there is work.
#[derive(Clone)]
pub(super) struct Reaper {
    wake: mpsc::UnboundedSender<()>,
}

impl Reaper {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<()>) {
        let (wake, woken) = mpsc::unbounded_channel();
        (Self { wake }, woken)
    }

    /// A link was put into [`REAPER_GROUP`].
    pub(super) fn wake(&self) {
        // Without a reaper the daemon is stopping; the next one reaps what it finds.
        let _ = self.wake.send(());
    }
}

/// Name of a link that lost its own to a newer pod's.
pub(super) fn doomed_name(index: u32) -> String {
    format!("gone{index}")
}

/// Reaps what a predecessor left, then whatever it is woken for, until every [`Reaper`] is dropped.
pub(super) async fn run(netlink: Netlink, mut woken: mpsc::UnboundedReceiver<()>) {
    if let Err(error) = doom_strays(&netlink) {
        tracing::warn!(%error, "looking for links that a predecessor left");
    }
    reap(&netlink);
    while woken.recv().await.is_some() {
        sleep(BATCH).await;
        while woken.try_recv().is_ok() {}
        while !reap(&netlink) && !woken.is_closed() {
            sleep(RETRY).await;
        }
    }
}

/// `ip link delete group 6999`; whether the group is empty now.
fn reap(netlink: &Netlink) -> bool {
    match gone_is_fine(netlink.delete_group(REAPER_GROUP)) {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%error, group = REAPER_GROUP, "ip link delete group");
            false
        }
    }
}

/// A link of ours that was renamed, but did not reach the group because the daemon died in between.
fn doom_strays(netlink: &Netlink) -> std::io::Result<()> {
    let ours = |link: &Link| {
        let alias = link.alias.as_deref().unwrap_or_default();
        link.name == doomed_name(link.index) && alias.starts_with(ALIAS_PREFIX)
    };
    for link in netlink.links()?.into_iter().filter(ours) {
        gone_is_fine(netlink.set_link(link.index, LinkChange::group(REAPER_GROUP)))?;
    }
    Ok(())
}
