//! The node's /28s in the pod table: what is sent to an address of them that no pod has is refused here. Without this it
//! would follow the default route out of the primary ENI, and the VPC would send it back.

use ipam::desired::{NodeDesired, POD_TABLE};

use super::{Node, Pass};
use crate::dataplane::Object;
use crate::dataplane::netlink::{gone_is_fine, refused};

impl Node {
    /// `unreachable <prefix>` for each prefix of the node, and for no other: one that was given back is somebody else's,
    /// whom the node's pods must reach. Pods' own routes are longer and win.
    pub(super) fn apply_prefixes(&self, desired: &NodeDesired, pass: &mut Pass) {
        let found = self.host.unreachable(POD_TABLE);
        let found = found.map_err(refused("ip route show type unreachable table", POD_TABLE));
        let Some(found) = pass.note(found) else {
            return;
        };
        let what = |prefix| format!("unreachable {prefix} table {POD_TABLE}");
        for prefix in found
            .iter()
            .filter(|found| !desired.prefixes.contains(found))
        {
            let deleted = gone_is_fine(self.host.delete_unreachable(POD_TABLE, *prefix));
            let deleted = deleted.map_err(refused("ip route delete unreachable", prefix));
            let deleted = pass.note(deleted).unwrap_or_default();
            let what = format!("not {}", what(prefix));
            pass.changes.add_if(deleted, Object::EniRoute, what);
        }
        for prefix in desired
            .prefixes
            .iter()
            .filter(|wanted| !found.contains(wanted))
        {
            let added = self.host.add_unreachable(POD_TABLE, *prefix);
            let added = added.map_err(refused("ip route add unreachable", prefix));
            let added = pass.note(added).unwrap_or_default();
            pass.changes.add_if(added, Object::EniRoute, what(prefix));
        }
    }
}
