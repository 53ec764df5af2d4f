//! What the core says of a node as it is.

use ipam::plan::Standing;
use ipam::{Plan, plan};

use crate::node::Node;

impl Node {
    /// What the core would do now.
    pub fn plan(&self) -> Plan {
        plan(&self.view(&format!("seed{}", self.incarnation)), self.now)
    }

    /// How the node stands against its policy.
    pub fn standing(&self) -> Standing {
        ipam::plan::standing(&self.view(""), self.now)
    }
}
