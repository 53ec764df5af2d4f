//! What is known of a plan before anything is simulated.

use std::collections::BTreeMap;

use super::super::catalogue::InstanceType;
use super::super::cluster::{Cluster, Group, Subnet};
use super::super::max_pods::MaxPods;
use super::super::replay::Replay;
use super::outcome::{MUTATING, tenths};
use super::{BucketAnswer, ClusterAnswer, GroupAnswer, SubnetAnswer, TraceAnswer, TypeAnswer};
use crate::ec2::bucket::Bucket;
use crate::trace::DAY;

/// The cluster.
pub(super) fn cluster(cluster: &Cluster) -> ClusterAnswer {
    let groups = &cluster.groups;
    let sum = |each: fn(&Group) -> u32| {
        let nodes = |group| u64::from(each(group)) * u64::from(group.count);
        groups.iter().map(nodes).sum()
    };
    ClusterAnswer {
        nodes: groups.iter().map(|group| group.count).sum(),
        pods: sum(Group::addresses),
        host_network_pods: sum(|group| group.host_network),
        join_every_seconds: cluster.join_every.as_secs_f64(),
        settle_seconds: cluster.settle.as_secs_f64(),
        others_calls: cluster.others_calls,
        seed: cluster.seed,
        trace: cluster.replay.as_ref().map(of_trace),
        groups: groups.iter().map(of_group).collect(),
    }
}

fn of_trace(replay: &Replay) -> TraceAnswer {
    let window = replay.window.end.saturating_sub(replay.window.start);
    TraceAnswer {
        file: replay.source.clone(),
        pods: replay.lives.len() as u64,
        days: tenths(window.as_secs_f64() / DAY.as_secs_f64()),
    }
}

fn of_group(group: &Group) -> GroupAnswer {
    GroupAnswer {
        name: group.name.clone(),
        instance_type: group.instance_type.clone(),
        count: group.count,
        pods_per_node: group.addresses(),
        max_pods: group.max_pods,
    }
}

/// Its subnets.
pub(super) fn subnets(cluster: &Cluster) -> Vec<SubnetAnswer> {
    let mut nodes = vec![0; cluster.subnets.len()];
    for group in &cluster.groups {
        for index in group.places() {
            nodes[index] += 1;
        }
    }
    let of = |(subnet, nodes): (&Subnet, u32)| SubnetAnswer {
        name: subnet.name.clone(),
        cidr: subnet.cidr.to_string(),
        zone: subnet.zone.clone(),
        size: subnet.size() - subnet.used,
        used_by_others: subnet.used,
        nodes,
    };
    cluster.subnets.iter().zip(nodes).map(of).collect()
}

/// Its instance types, each once.
pub(super) fn types(cluster: &Cluster) -> Vec<TypeAnswer> {
    let by_name: BTreeMap<_, _> = (cluster.groups.iter())
        .map(|group| (group.instance_type.as_str(), group.kind))
        .collect();
    let of = |(name, kind): (&str, InstanceType)| TypeAnswer {
        instance_type: name.to_owned(),
        enis: kind.limits.enis,
        addresses_per_eni: kind.limits.slots_per_eni + 1,
        vcpus: kind.vcpus,
        max_pods: MaxPods::of(kind),
    };
    by_name.into_iter().map(of).collect()
}

/// EC2's buckets, less what others use.
pub(super) fn buckets(cluster: &Cluster) -> Vec<BucketAnswer> {
    let of = |verb: ipam::Verb| {
        let bucket = Bucket::of(verb, cluster.others_calls)?;
        Some(BucketAnswer {
            action: verb.ec2_action(),
            burst: bucket.burst(),
            per_second: bucket.per_second(),
        })
    };
    MUTATING.into_iter().filter_map(of).collect()
}
