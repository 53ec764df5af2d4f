//! The policies that are compared: berth's own, and what other networks do.

mod aws;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

pub use self::aws::AwsTargets;
use crate::berth::Berth;
use crate::node::Node;
use crate::random::{Purpose, stream};
use crate::rivals::{AwsNode, CiliumNode, GkeNode, Operator, Watermark};
use crate::scenario::Scenario;

/// How long the networks that rest a freed address do so: aws-node's IP_COOLDOWN_PERIOD, and berth's, by default.
const COOLDOWN: Duration = Duration::from_secs(30);

/// Who runs the pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// berth as it is by default.
    Berth,
    /// aws-node with these targets.
    Aws(AwsTargets),
    /// A pool like Cilium's on ENIs, 8 addresses in advance.
    Cilium8,
    /// A range for each node, like GKE's.
    GkeCidr,
}

impl Policy {
    /// aws-node as it is by default: WARM_ENI_TARGET=1.
    pub const AWS_DEFAULT: Self = Self::Aws(AwsTargets::enis(1));

    /// Those that are compared, in the order of tables.
    pub const ALL: [Self; 7] = [
        Self::Berth,
        Self::AWS_DEFAULT,
        Self::Aws(AwsTargets::addresses(2, 12)),
        Self::Aws(AwsTargets::addresses(10, 0)),
        Self::Aws(AwsTargets::prefixes(1)),
        Self::Cilium8,
        Self::GkeCidr,
    ];

    /// As the command line and `fleet.json` spell it.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Berth => "berth".into(),
            Self::Aws(targets) => targets.to_string().into(),
            Self::Cilium8 => "cilium8".into(),
            Self::GkeCidr => "gke-cidr".into(),
        }
    }

    /// The policy of this name: one that is compared, or aws-node with targets of one's own ([`AwsTargets::FORMS`]).
    pub fn named(name: &str) -> Option<Self> {
        let compared = Self::ALL.into_iter().find(|policy| policy.name() == name);
        compared.or_else(|| AwsTargets::named(name).map(Self::Aws))
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
                Self::Aws(targets) => {
                    let settings = targets.settings(COOLDOWN);
                    let (limits, max_pods) = (node.limits, node.max_pods);
                    Box::new(AwsNode::new(&settings, limits, max_pods, random))
                }
            }
        });
        pools.collect()
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}
