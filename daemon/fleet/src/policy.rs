//! The policies that are compared: berth's own, and what other networks do.

use std::fmt;
use std::time::Duration;

use ipam::{AddressMode, PoolSettings};
use serde::Serialize;

use crate::berth::Berth;
use crate::node::Node;
use crate::random::{Purpose, stream};
use crate::rivals::{AwsNode, CiliumNode, GkeNode, Operator, Watermark};
use crate::scenario::Scenario;

/// How long the networks that rest a freed address do so: aws-node's IP_COOLDOWN_PERIOD, and berth's, by default.
const COOLDOWN: Duration = Duration::from_secs(30);

/// Who runs the pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// berth as it is by default.
    Berth,
    /// aws-node as it is by default: WARM_ENI_TARGET=1.
    AwsDefault,
    /// aws-node with WARM_IP_TARGET=2 and MINIMUM_IP_TARGET=12.
    AwsIp2Min12,
    /// aws-node with WARM_IP_TARGET=10.
    AwsIp10,
    /// aws-node with prefixes: WARM_PREFIX_TARGET=1.
    AwsPrefix1,
    /// A pool like Cilium's on ENIs, 8 addresses in advance.
    Cilium8,
    /// A range for each node, like GKE's.
    GkeCidr,
}

impl Policy {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 7] = [
        Self::Berth,
        Self::AwsDefault,
        Self::AwsIp2Min12,
        Self::AwsIp10,
        Self::AwsPrefix1,
        Self::Cilium8,
        Self::GkeCidr,
    ];

    /// As the command line and `fleet.json` spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Berth => "berth",
            Self::AwsDefault => "aws-default",
            Self::AwsIp2Min12 => "aws-ip2-min12",
            Self::AwsIp10 => "aws-ip10",
            Self::AwsPrefix1 => "aws-prefix1",
            Self::Cilium8 => "cilium8",
            Self::GkeCidr => "gke-cidr",
        }
    }

    /// The policy of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    /// How long no other pod may have a freed address; `None` where that is not promised.
    pub const fn cooldown(self) -> Option<Duration> {
        match self {
            Self::Cilium8 | Self::GkeCidr => None,
            _ => Some(COOLDOWN),
        }
    }

    /// What runs on the nodes of a scenario, in its order; each draws from a stream of its own.
    pub fn nodes(self, scenario: &Scenario, seed: u64) -> Vec<Box<dyn Node>> {
        let operator = Operator::default();
        let nodes = scenario.nodes.iter().enumerate();
        let pools = nodes.map(|(index, node)| -> Box<dyn Node> {
            let random = stream(seed, Purpose::Node, index, 0);
            match self {
                Self::Berth => Box::new(Berth::new(node, random)),
                Self::Cilium8 => {
                    let watermark = Watermark::default();
                    Box::new(CiliumNode::new(watermark, node.limits, &operator, random))
                }
                Self::GkeCidr => Box::new(GkeNode::new(node.max_pods)),
                Self::AwsDefault | Self::AwsIp2Min12 | Self::AwsIp10 | Self::AwsPrefix1 => {
                    let settings = self.aws_settings();
                    let (limits, max_pods) = (node.limits, node.max_pods);
                    Box::new(AwsNode::new(&settings, limits, max_pods, random))
                }
            }
        });
        pools.collect()
    }

    /// aws-node's settings, as far as they are not its defaults.
    fn aws_settings(self) -> PoolSettings {
        let mut settings = PoolSettings {
            cooldown: COOLDOWN,
            ..PoolSettings::default()
        };
        match self {
            Self::AwsIp2Min12 => {
                settings.targets.addresses = Some(2);
                settings.targets.minimum = Some(12);
            }
            Self::AwsIp10 => settings.targets.addresses = Some(10),
            Self::AwsPrefix1 => {
                settings.mode = AddressMode::Prefix;
                settings.targets.prefixes = Some(1);
            }
            _ => settings.targets.enis = Some(1),
        }
        settings
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
