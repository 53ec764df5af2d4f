//! Waiting for a link to appear: an ENI shows up a moment after AttachNetworkInterface was answered, at a time that nobody
//! tells but the kernel.

use std::io;

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use ipam::Mac;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::SocketAddr;
use rtnetlink::MulticastGroup;
use tokio::sync::oneshot;

use super::DataplaneError;
use super::netlink::{Netlink, refused};

type Notifications = UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

/// Answers with the link's index once it is there; stops when nobody waits any more.
pub(super) async fn answer(
    netlink: Netlink,
    mac: Mac,
    mut answer: oneshot::Sender<Result<u32, DataplaneError>>,
) {
    let found = tokio::select! {
        found = wait(&netlink, mac) => found,
        () = answer.closed() => return,
    };
    let _ = answer.send(found.map_err(refused("ip monitor link", mac)));
}

/// Subscribes first and looks afterwards, so that nothing happens in between. A notification only says that it is time to
/// look again: which link bears the MAC is read from one place.
async fn wait(netlink: &Netlink, mac: Mac) -> io::Result<u32> {
    let mut notifications = subscribe()?;
    loop {
        if let Some(link) = netlink.eni_link(mac)? {
            return Ok(link.index);
        }
        next_new_link(&mut notifications).await?;
    }
}

/// `ip monitor link`
fn subscribe() -> io::Result<Notifications> {
    let (connection, _, notifications) =
        rtnetlink::new_multicast_connection(&[MulticastGroup::Link])?;
    tokio::spawn(connection);
    Ok(notifications)
}

/// Returns at the next new or changed link, or when notifications were lost.
async fn next_new_link(notifications: &mut Notifications) -> io::Result<()> {
    while let Some((message, _)) = notifications.next().await {
        match message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(_))
            | NetlinkPayload::Overrun(_) => return Ok(()),
            _ => {}
        }
    }
    Err(io::ErrorKind::BrokenPipe.into())
}
