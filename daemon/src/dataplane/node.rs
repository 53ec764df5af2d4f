//! What stands on a node whether or not it has pods: sysctls, ENI links with their tables, rules, and the nftables table.
//! Everything is compared and only differences are written; one failure does not keep the rest from being applied.

mod enis;
mod prefixes;
mod rules;

use ipam::Mac;
use ipam::desired::NodeDesired;
use tokio::sync::watch;

use super::netlink::{Link, Netlink, refused};
use super::nft::Nft;
use super::notify::Interest;
use super::sysctl::Sysctls;
use super::{Changes, DataplaneError, Object, Part, Parts, Unfinished};

/// What the verbs about the node need.
pub(super) struct Node {
    pub(super) host: Netlink,
    pub(super) sysctls: Sysctls,
    pub(super) nft: Nft,
    /// What notifications are looked for, told to whoever listens to them. The links in it are also how an ENI is known
    /// whose MAC was changed.
    pub(super) interest: watch::Sender<Interest>,
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

    /// With the first error, or the first that is not a link on its way; the others are logged.
    fn finish(mut self) -> Result<Changes, Unfinished> {
        let late = |error: &DataplaneError| matches!(error, DataplaneError::NoLink { .. });
        self.errors.sort_by_key(late);
        let mut errors = self.errors.into_iter();
        let Some(error) = errors.next() else {
            return Ok(self.changes);
        };
        for other in errors {
            tracing::warn!(error = %other, "applying the node's layout");
        }
        Err(Unfinished {
            changes: self.changes,
            error,
        })
    }
}

impl Node {
    /// See [`super::Dataplane::mend_node`]. Routes come before the rules that lead to them, rules before the marks; what
    /// is no longer wanted goes in the opposite order.
    pub(super) async fn mend(
        &mut self,
        desired: &NodeDesired,
        parts: Parts,
    ) -> Result<Changes, Unfinished> {
        let mut pass = Pass::default();
        let links = self.host.links().map_err(refused("ip link show", ""));
        let links = pass.note(links).unwrap_or_default();
        let found = self.find_links(desired, &links);
        self.interest.send_replace(Interest::of(&found));
        if parts.contains(Part::Enis) {
            self.forward(&mut pass);
            for (eni, link) in &found {
                match link {
                    Some(link) => self.apply_eni(eni, link, &mut pass),
                    None => pass.errors.push(DataplaneError::NoLink { mac: eni.mac }),
                }
            }
            self.apply_prefixes(desired, &mut pass);
        }
        let stale = if parts.contains(Part::Rules) {
            self.add_rules(desired, &mut pass)
        } else {
            rules::Stale::default()
        };
        let primary = found.iter().find(|(eni, _)| eni.mac == desired.primary);
        let primary = primary.and_then(|(_, link)| Some(link.as_ref()?.name.as_str()));
        self.apply_nft(desired, primary, parts, &mut pass).await;
        self.remove_rules(stale, &mut pass);
        pass.finish()
    }

    /// The links of the wanted ENIs.
    fn find_links<'a>(
        &self,
        desired: &'a NodeDesired,
        links: &[Link],
    ) -> Vec<(&'a ipam::desired::EniDesired, Option<Link>)> {
        let interest = self.interest.borrow();
        let known = |mac: Mac| {
            let bears_none =
                |link: &&Link| desired.enis.iter().all(|eni| link.mac != Some(eni.mac));
            let index = interest.index_of(mac);
            let was = |link: &&Link| Some(link.index) == index || link.permanent_mac == Some(mac);
            links.iter().filter(is_card).filter(bears_none).find(was)
        };
        let find = |mac| eni_link(links, mac).or_else(|| known(mac)).cloned();
        desired
            .enis
            .iter()
            .map(|eni| (eni, find(eni.mac)))
            .collect()
    }

    /// aws-node leaves this to kubelet; a node whose kubelet does not see to it has pods that reach nothing.
    fn forward(&self, pass: &mut Pass) {
        self.set_sysctl("net/ipv4/ip_forward", "1", pass);
    }

    fn set_sysctl(&self, name: &str, value: &str, pass: &mut Pass) {
        let set = self.sysctls.set(name, value);
        let set = pass.note(set).unwrap_or_default();
        pass.changes
            .add_if(set, Object::Sysctl, format_args!("{name}={value}"));
    }

    /// The table is read only if it is in doubt, or if it should be another than was last seen to stand.
    async fn apply_nft(
        &mut self,
        desired: &NodeDesired,
        primary: Option<&str>,
        parts: Parts,
        pass: &mut Pass,
    ) {
        let doubted = parts.contains(Part::Nft);
        let changed = self.nft.apply(desired, primary, doubted).await;
        for what in pass.note(changed).unwrap_or_default() {
            pass.changes.add(Object::Nft, what);
        }
    }
}

impl Netlink {
    /// The link of an ENI, if it is there.
    pub(super) fn eni_link(&self, mac: Mac) -> std::io::Result<Option<Link>> {
        let links = self.links()?;
        Ok(eni_link(&links, mac).cloned())
    }
}

/// Finds an ENI's link by its MAC, whatever its name.
fn eni_link(links: &[Link], mac: Mac) -> Option<&Link> {
    links
        .iter()
        .filter(is_card)
        .find(|link| link.mac == Some(mac))
}

/// Links on top of an ENI's (VLANs, bridges, macvlans) bear the same MAC, but are of a kind; a network card is of none. A
/// veth takes its place where ENIs are emulated.
fn is_card(link: &&Link) -> bool {
    link.kind.is_none() || link.is_veth()
}
