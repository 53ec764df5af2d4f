//! What an operator may set, as far as decisions depend on it. Reading it from the environment is the shell's.

use std::time::Duration;

use ipnet::Ipv4Net;

use crate::address::Layout;
use crate::desired::{MarkMask, PrimaryMark, Randomize};
use crate::plan::Limits;
use crate::policy::{Policy, WarmTargets};

/// Settings of the host network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSettings {
    /// Prefix of the host veths' names (AWS_VPC_K8S_CNI_VETHPREFIX), 4 characters at most.
    pub veth_prefix: String,
    /// MTU of ENI links, bytes (AWS_VPC_ENI_MTU).
    pub eni_mtu: u32,
    /// MTU of pod interfaces, bytes (POD_MTU; the ENI's when unset).
    pub pod_mtu: u32,
    /// No SNAT on the node (AWS_VPC_K8S_CNI_EXTERNALSNAT).
    pub external_snat: bool,
    /// CIDRs outside the VPC that see the pod's own address (AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS).
    pub exclude_snat: Vec<Ipv4Net>,
    /// How SNAT chooses ports (AWS_VPC_K8S_CNI_RANDOMIZESNAT).
    pub randomize: Randomize,
    /// What comes in by the primary ENI for the node leaves by it (AWS_VPC_CNI_NODE_PORT_SUPPORT).
    pub node_port: bool,
    /// The mark of what must leave by the primary ENI (AWS_VPC_K8S_CNI_CONNMARK).
    pub primary_mark: PrimaryMark,
    /// CIDRs that pods reach by the primary ENI (AWS_EXTERNAL_SERVICE_CIDRS).
    pub external_services: Vec<Ipv4Net>,
    /// The mark bits that steer packets to secondary ENIs (BERTH_MARK_MASK).
    pub mask: MarkMask,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            veth_prefix: "eni".to_owned(),
            // Jumbo frames, the VPC's own limit (EC2 user guide, "Network MTU").
            eni_mtu: 9001,
            pod_mtu: 9001,
            external_snat: false,
            exclude_snat: Vec::new(),
            randomize: Randomize::default(),
            node_port: true,
            primary_mark: PrimaryMark::DEFAULT,
            external_services: Vec::new(),
            mask: MarkMask::DEFAULT,
        }
    }
}

/// Settings of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// How long a freed address rests before another pod may have it (IP_COOLDOWN_PERIOD).
    pub cooldown: Duration,
    /// Highest number of ENIs, if lower than the instance type's (MAX_ENI).
    pub max_eni: Option<u32>,
    /// Single addresses, prefixes (ENABLE_PREFIX_DELEGATION), or both.
    pub layout: Layout,
    /// Fixed levels instead of berth's own reserve (WARM_IP_TARGET, MINIMUM_IP_TARGET, WARM_ENI_TARGET,
    /// WARM_PREFIX_TARGET).
    pub targets: WarmTargets,
}

impl PoolSettings {
    /// What is wished on a node of these limits: Xen has no prefixes. An operator who fixes a level in addresses or ENIs and
    /// says nothing of prefixes has aws-node's default.
    pub fn layout_on(&self, limits: Limits) -> Layout {
        match self.layout {
            _ if !limits.prefixes => Layout::Singles,
            Layout::Hybrid if Policy::of(self.targets, Layout::Singles) != Policy::Own => {
                Layout::Singles
            }
            layout => layout,
        }
    }
}

impl Default for PoolSettings {
    fn default() -> Self {
        // aws-node's default: long enough for kube-proxy on every node to forget the old endpoint.
        Self {
            cooldown: Duration::from_secs(30),
            max_eni: None,
            layout: Layout::default(),
            targets: WarmTargets::default(),
        }
    }
}
