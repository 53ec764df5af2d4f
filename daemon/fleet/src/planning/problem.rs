//! What can be wrong with a plan's input. Each says where, what, and what to do about it; all of an input are told at once.

use std::fmt;

use ipnet::Ipv4Net;

use crate::policy::AwsTargets;

/// A mistake in the input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No node would join.
    #[error(
        "nothing to plan: say what runs with --group type=m5.large,count=10,pods=20, or name a --file"
    )]
    NoGroups,
    /// Nowhere to take addresses from.
    #[error("no subnet: say where the addresses come from with --subnet 10.0.0.0/20")]
    NoSubnets,
    /// The file is no JSON.
    #[error("{file} is not JSON: {why}")]
    NotJson {
        /// The file.
        file: String,
        /// The reader's words, with line and column.
        why: String,
    },
    /// Not `name=value`.
    #[error("{place}: `{text}` is not name=value, with commas between")]
    NotAField {
        /// Where.
        place: String,
        /// What stands there.
        text: String,
    },
    /// A field that does not exist.
    #[error(
        "{place}: there is no `{field}`{}; there is {known}",
        did_you_mean(nearest)
    )]
    UnknownField {
        /// Where.
        place: String,
        /// Which.
        field: String,
        /// The likest.
        nearest: Vec<String>,
        /// All that exist.
        known: String,
    },
    /// A field that must be there.
    #[error("{place}: `{field}` is missing: add {example}")]
    Missing {
        /// Where.
        place: String,
        /// Which.
        field: &'static str,
        /// How it is written.
        example: &'static str,
    },
    /// A field of another kind.
    #[error("{place}: {field}={value} is not {wanted}")]
    WrongValue {
        /// Where.
        place: String,
        /// Which.
        field: String,
        /// What stands there.
        value: String,
        /// What should.
        wanted: &'static str,
    },
    /// A field that stands there twice.
    #[error("{place}: `{field}` is there more than once: leave one")]
    Twice {
        /// Where.
        place: String,
        /// Which.
        field: String,
    },
    /// A type that nobody knows.
    #[error(
        "{place}: there is no instance type `{name}` that berth knows{}; for one that is newer add enis=N,addresses-per-eni=N (DescribeInstanceTypes: MaximumNetworkInterfaces, Ipv4AddressesPerInterface)",
        did_you_mean(nearest)
    )]
    UnknownType {
        /// Where.
        place: String,
        /// Which.
        name: String,
        /// The likest.
        nearest: Vec<String>,
    },
    /// One of the two limits only.
    #[error(
        "{place}: enis and addresses-per-eni belong together: give both, or none for a type that berth knows"
    )]
    HalfALimit {
        /// Where.
        place: String,
    },
    /// Limits that no instance type has.
    #[error("{place}: {field}={value} is no limit of an instance type: it is {least} to {most}")]
    NoSuchLimit {
        /// Where.
        place: String,
        /// Which.
        field: &'static str,
        /// What stands there.
        value: u32,
        /// Fewest.
        least: u32,
        /// Most.
        most: u32,
    },
    /// A group without nodes.
    #[error("{place}: count=0 is no node: leave the group out, or give it at least one")]
    NoNodes {
        /// Where.
        place: String,
    },
    /// More than kubelet takes.
    #[error(
        "{place}: {asked} pods a node ({sum}) are more than kubelet takes on {instance_type}: max-pods is {max_pods} ({why}); spread them over more nodes, or say max-pods={asked} if kubelet is configured so"
    )]
    OverMaxPods {
        /// Where.
        place: String,
        /// Of what.
        instance_type: String,
        /// Pods.
        asked: u32,
        /// How that comes about.
        sum: String,
        /// The limit.
        max_pods: u32,
        /// Where that comes from.
        why: &'static str,
    },
    /// More than the type has addresses.
    #[error(
        "{place}: {asked} pods with an address are more than {instance_type} has for pods, which is {addresses}, whatever the policy: use a larger type or fewer pods a node"
    )]
    OverAddresses {
        /// Where.
        place: String,
        /// Of what.
        instance_type: String,
        /// Pods.
        asked: u32,
        /// Addresses.
        addresses: u32,
    },
    /// A zone without a subnet.
    #[error("{place}: no subnet is in zone {zone} ({known}): add a --subnet CIDR,zone={zone}")]
    NoSubnetInZone {
        /// Where.
        place: String,
        /// Which.
        zone: String,
        /// The zones there are.
        known: String,
    },
    /// A subnet that is not there.
    #[error("{place}: there is no subnet {name}: there is {known}")]
    UnknownSubnet {
        /// Where.
        place: String,
        /// Which.
        name: String,
        /// Those there are.
        known: String,
    },
    /// A CIDR with host bits.
    #[error("{place}: {cidr} is an address in a subnet, not a subnet: write {network}")]
    HostBits {
        /// Where.
        place: String,
        /// What stands there.
        cidr: Ipv4Net,
        /// What it lies in.
        network: Ipv4Net,
    },
    /// A size that AWS does not have.
    #[error("{place}: {cidr} is no subnet of AWS, which are /16 to /28")]
    SubnetSize {
        /// Where.
        place: String,
        /// What stands there.
        cidr: Ipv4Net,
    },
    /// Others have more than there is.
    #[error(
        "{place}: others cannot have {used} addresses of {cidr}: it has {size}, AWS's five left out; used= is without those five"
    )]
    UsedOverSize {
        /// Where.
        place: String,
        /// Which subnet.
        cidr: Ipv4Net,
        /// Others' addresses.
        used: u32,
        /// What there is.
        size: u32,
    },
    /// Two subnets in the same place.
    #[error("{place}: {cidr} overlaps {other}, which a VPC does not permit: change one of them")]
    Overlap {
        /// Where.
        place: String,
        /// Which.
        cidr: Ipv4Net,
        /// With which.
        other: Ipv4Net,
    },
    /// Two of the same name.
    #[error("{place}: the name {name} is taken already: give another with name=")]
    SameName {
        /// Where.
        place: String,
        /// Which.
        name: String,
    },
    /// No such policy.
    #[error(
        "--policy {name}: there is no such policy{}; there is {known}, and aws-node with targets of your own: {}",
        did_you_mean(nearest),
        AwsTargets::FORMS
    )]
    UnknownPolicy {
        /// Which.
        name: String,
        /// The likest.
        nearest: Vec<String>,
        /// All that exist.
        known: String,
    },
    /// The trace cannot be read.
    #[error("{why}")]
    Trace {
        /// The reader's words.
        why: String,
    },
    /// Pods from two sources.
    #[error("{place}: pods and life are the trace's: leave them out, or the trace")]
    TraceAndPods {
        /// Where.
        place: String,
    },
    /// More pods of the trace than kubelet takes.
    #[error(
        "{group}: {peak} pods of the trace, DaemonSets' and those on the host network are on one node at a time, and max-pods is {max_pods}: give it more nodes, or a larger type"
    )]
    TraceOverMaxPods {
        /// Which.
        group: String,
        /// Pods.
        peak: u32,
        /// The limit.
        max_pods: u32,
    },
    /// No share.
    #[error(
        "others-calls={value} is no share of the account's calls: it is 0 (nobody else calls) or more, and below 1"
    )]
    NoShare {
        /// What stands there.
        value: String,
    },
    /// More than can be simulated in a sensible time.
    #[error(
        "{asked} {what} are too many to simulate, the most is {most}: plan a part of them, in a part of the subnets"
    )]
    TooLarge {
        /// Nodes, pods.
        what: &'static str,
        /// How many.
        asked: u64,
        /// The limit.
        most: u64,
    },
    /// Time beyond sense.
    #[error("{field}={value} is too long: the whole plan may cover {most} days")]
    TooLong {
        /// Which.
        field: &'static str,
        /// How long.
        value: String,
        /// The limit.
        most: u64,
    },
}

/// All that is wrong with an input; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = self.0.as_slice() {
            return write!(f, "{problem}");
        }
        write!(f, "the plan has {} mistakes:", self.0.len())?;
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

fn did_you_mean(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        names => format!(" (did you mean {}?)", names.join(" or ")),
    }
}
