//! Settings of the mock cloud: its VPC, and how slow, late and stingy it is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::state::REGION;

/// What to build. `default()` is as slow as EC2, `fast()` answers at once.
#[derive(Clone, Debug)]
pub struct CloudConfig {
    /// First part of the names of the namespaces that the fabric makes, a few letters.
    pub name: String,
    /// CIDRs of the VPC, the primary one first.
    pub vpc_cidrs: Vec<Ipv4Net>,
    /// Subnets; the first is where nodes go unless told otherwise.
    pub subnets: Vec<SubnetSpec>,
    /// Chooses ids, addresses and jitter.
    pub seed: u64,
    /// Whether packets flow: needs root. Without it there is only the API, and nodes have no namespace.
    pub fabric: bool,
    /// How long calls take.
    pub latency: Latency,
    /// From AttachNetworkInterface's effect, half-way through the call, until the link is in the machine.
    pub attach_delay: Duration,
    /// From DetachNetworkInterface's answer until the link is gone and the ENI is `available`.
    pub detach_delay: Duration,
    /// How far instance metadata lies behind EC2, for what appears and for what goes.
    pub imds_lag: Duration,
    /// How far the Describe calls lie behind.
    pub describe_lag: Duration,
    /// Token buckets per action; none means that nothing is ever throttled.
    pub rate_limits: RateLimits,
}

/// A subnet to make.
#[derive(Clone, Debug)]
pub struct SubnetSpec {
    /// /16 to /28 within the VPC.
    pub cidr: Ipv4Net,
    /// Availability zone.
    pub zone: String,
}

/// How long calls take: a mean per action, and jitter around it.
#[derive(Clone, Debug)]
pub struct Latency {
    /// For actions that are not listed.
    pub other: Duration,
    /// Mean by action.
    pub mean: BTreeMap<String, Duration>,
    /// Up to so many per cent more or less.
    pub jitter_percent: u32,
}

/// Tokens per action: (bucket, refill per second).
#[derive(Clone, Debug, Default)]
pub struct RateLimits {
    /// By action.
    pub by_action: BTreeMap<String, (u32, u32)>,
}

impl CloudConfig {
    /// No latency, no lag, no throttling, and an attachment within 50 ms.
    pub fn fast() -> Self {
        Self {
            latency: Latency::none(),
            attach_delay: Duration::from_millis(50),
            detach_delay: Duration::from_millis(50),
            imds_lag: Duration::ZERO,
            rate_limits: RateLimits::default(),
            ..Self::default()
        }
    }

    /// `fast()` without packets, for tests of the API alone.
    pub fn api_only() -> Self {
        Self {
            fabric: false,
            ..Self::fast()
        }
    }
}

impl Default for CloudConfig {
    /// One VPC 10.0.0.0/16 with one subnet 10.0.1.0/24, and the figures that users of EC2 have measured: link after
    /// "usually under 5 s" (cilium#16494), detached after 2-3 s (amazon-vpc-cni-k8s#608), metadata behind by 0.3 s
    /// to many seconds (amazon-vpc-cni-k8s#1872, amazon-ecs-cni-plugins#66).
    fn default() -> Self {
        Self {
            name: "mock".to_owned(),
            vpc_cidrs: vec![net([10, 0, 0, 0], 16)],
            subnets: vec![SubnetSpec {
                cidr: net([10, 0, 1, 0], 24),
                zone: format!("{REGION}a"),
            }],
            seed: 1,
            fabric: true,
            latency: Latency::default(),
            attach_delay: Duration::from_millis(1500),
            detach_delay: Duration::from_secs(2),
            imds_lag: Duration::from_secs(1),
            describe_lag: Duration::ZERO,
            rate_limits: RateLimits::aws(),
        }
    }
}

/// A network of constants; the length is at most 32.
fn net(octets: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new(octets.into(), length.min(32)).unwrap_or_default()
}

impl Latency {
    /// Every call answers at once.
    pub fn none() -> Self {
        Self {
            other: Duration::ZERO,
            mean: BTreeMap::new(),
            jitter_percent: 0,
        }
    }

    /// The mean of one action.
    pub fn of(&self, action: &str) -> Duration {
        self.mean.get(action).copied().unwrap_or(self.other)
    }

    /// The same mean for every action.
    pub fn flat(mean: Duration) -> Self {
        Self {
            other: mean,
            mean: BTreeMap::new(),
            jitter_percent: 20,
        }
    }
}

impl Default for Latency {
    /// Attach, Modify and Unassign from operator metrics (DataDog/integrations-core#10143), Assign, Delete and
    /// Describe from amazon-vpc-cni-k8s PRs #648 and #624; Create is a guess between Delete and Assign.
    fn default() -> Self {
        let mean = [
            ("AttachNetworkInterface", 740),
            ("ModifyNetworkInterfaceAttribute", 340),
            ("UnassignPrivateIpAddresses", 370),
            ("AssignPrivateIpAddresses", 500),
            ("CreateNetworkInterface", 400),
            ("DeleteNetworkInterface", 250),
            ("DescribeNetworkInterfaces", 180),
        ];
        Self {
            other: Duration::from_millis(200),
            mean: mean
                .into_iter()
                .map(|(action, ms)| (action.to_owned(), Duration::from_millis(ms)))
                .collect(),
            jitter_percent: 25,
        }
    }
}

impl RateLimits {
    /// The defaults of an account and Region (EC2 Developer Guide, "Request throttling for the Amazon EC2 API").
    /// Attach and Detach are not listed there by name and fall under "mutating".
    pub fn aws() -> Self {
        let limits = [
            ("AssignPrivateIpAddresses", 100, 5),
            ("UnassignPrivateIpAddresses", 100, 5),
            ("CreateNetworkInterface", 100, 5),
            ("DeleteNetworkInterface", 100, 5),
            ("ModifyNetworkInterfaceAttribute", 100, 5),
            ("AttachNetworkInterface", 50, 5),
            ("DetachNetworkInterface", 50, 5),
            ("CreateTags", 100, 10),
            ("DescribeNetworkInterfaces", 100, 20),
            ("DescribeInstances", 100, 20),
            ("DescribeSubnets", 100, 20),
            ("DescribeInstanceTypes", 100, 20),
        ];
        Self {
            by_action: limits
                .into_iter()
                .map(|(action, bucket, refill)| (action.to_owned(), (bucket, refill)))
                .collect(),
        }
    }
}

/// A machine to launch.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// For example `m5.large`.
    pub instance_type: String,
    /// The network namespace that is the machine; none for a node that only the API knows.
    pub netns: Option<PathBuf>,
    /// Subnet id; none for the first.
    pub subnet: Option<String>,
}

impl NodeSpec {
    /// A node of the API only.
    pub fn new(instance_type: impl Into<String>) -> Self {
        Self {
            instance_type: instance_type.into(),
            netns: None,
            subnet: None,
        }
    }

    /// Puts it into the namespace at this path, for example `/run/netns/n1`.
    pub fn in_netns(mut self, path: impl Into<PathBuf>) -> Self {
        self.netns = Some(path.into());
        self
    }

    /// Puts it into the network namespace of this process.
    pub fn in_netns_of(self, pid: u32) -> Self {
        self.in_netns(format!("/proc/{pid}/ns/net"))
    }

    /// Puts it into this subnet.
    pub fn in_subnet(mut self, id: impl Into<String>) -> Self {
        self.subnet = Some(id.into());
        self
    }
}
