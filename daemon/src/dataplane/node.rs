//! What stands on a node whether or not it has pods: sysctls, ENI links with their tables, rules, and the nftables table.
//! Everything is compared and only differences are written; one failure does not keep the rest from being applied.

mod enis;
mod rules;

use ipam::desired::NodeDesired;

use super::netlink::{Link, Netlink, refused};
use super::nft::Nft;
use super::sysctl::Sysctls;
use super::{Changes, DataplaneError};

/// What the verbs about the node need.
pub(super) struct Node {
    pub(super) host: Netlink,
    pub(super) sysctls: Sysctls,
    pub(super) nft: Nft,
}

/// What was changed so far and what failed.
#[derive(Default)]
struct Pass {
    changes: Changes,
    errors: Vec<DataplaneError>,
}

impl Pass {
    /// Keeps the error for the end; whether (or with what) the step succeeded.
    fn note<T>(&mut self, result: Result<T, DataplaneError>) -> Option<T> {
        result.map_err(|error| self.errors.push(error)).ok()
    }

    /// The first error, or the first that is not a link on its way; the others are logged.
    fn finish(mut self) -> Result<Changes, DataplaneError> {
        let late = |error: &DataplaneError| matches!(error, DataplaneError::NoLink { .. });
        self.errors.sort_by_key(late);
        let mut errors = self.errors.into_iter();
        let Some(first) = errors.next() else {
            return Ok(self.changes);
        };
        for error in errors {
            tracing::warn!(%error, "applying the node's layout");
        }
        Err(first)
    }
}

impl Node {
    /// See [`super::Dataplane::apply_node`]. Routes come before the rules that lead to them, rules before the marks; what
    /// is no longer wanted goes in the opposite order.
    pub(super) async fn apply(&self, desired: &NodeDesired) -> Result<Changes, DataplaneError> {
        let mut pass = Pass::default();
        self.forward(&mut pass);
        let links = self.host.links().await.map_err(refused("ip link show", ""));
        let links = pass.note(links).unwrap_or_default();
        let mut primary = None;
        for eni in &desired.enis {
            let Some(link) = eni_link(&links, eni.mac) else {
                pass.errors.push(DataplaneError::NoLink { mac: eni.mac });
                continue;
            };
            self.apply_eni(eni, link, &mut pass).await;
            if eni.mac == desired.primary {
                primary = Some(link.name.as_str());
            }
        }
        let stale = self.add_rules(desired, &mut pass).await;
        let changed = self.nft.apply(desired, primary).await;
        pass.changes.nft += pass.note(changed).unwrap_or_default();
        self.remove_rules(stale, &mut pass).await;
        pass.finish()
    }

    /// aws-node leaves this to kubelet; a node whose kubelet does not see to it has pods that reach nothing.
    fn forward(&self, pass: &mut Pass) {
        let set = self.sysctls.set("net/ipv4/ip_forward", "1");
        pass.changes.sysctls += u32::from(pass.note(set).unwrap_or_default());
    }
}

impl Netlink {
    /// The link of an ENI, if it is there.
    pub(super) async fn eni_link(&self, mac: ipam::Mac) -> std::io::Result<Option<Link>> {
        let links = self.links().await?;
        Ok(eni_link(&links, mac).cloned())
    }
}

/// Finds an ENI's link by its MAC, whatever its name. Links on top of it (VLANs, bridges, macvlans) bear the same MAC, but
/// are of a kind; a network card is of none. A veth takes its place where ENIs are emulated.
fn eni_link(links: &[Link], mac: ipam::Mac) -> Option<&Link> {
    let bears = |link: &&Link| link.mac == Some(mac) && (link.kind.is_none() || link.is_veth());
    links.iter().find(bears)
}
