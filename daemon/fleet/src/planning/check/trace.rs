//! Whether the nodes of a plan take the pods of a trace.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ipam::Timestamp;

use super::super::cluster::Cluster;
use super::super::layout::scenario;
use super::super::problem::Problem;

/// Adds a problem for each group of which a node would have more pods at a time than kubelet takes.
pub(super) fn check(cluster: &Cluster, problems: &mut Vec<Problem>) {
    let peaks = peaks(cluster);
    let mut nodes = peaks.iter();
    for group in &cluster.groups {
        let peak = nodes.by_ref().take(group.count as usize).max();
        let peak = peak.copied().unwrap_or(0);
        if peak + group.host_network > group.max_pods {
            problems.push(Problem::TraceOverMaxPods {
                group: group.name.clone(),
                peak: peak + group.host_network,
                max_pods: group.max_pods,
            });
        }
    }
}

/// Of each node the most pods at a time, as far as none waits.
fn peaks(cluster: &Cluster) -> Vec<u32> {
    let scenario = scenario(cluster);
    let mut ends: Vec<BinaryHeap<Reverse<Timestamp>>> =
        vec![BinaryHeap::new(); scenario.nodes.len()];
    let mut peaks = vec![0; scenario.nodes.len()];
    for pod in &scenario.pods {
        let (Some(ends), Some(peak)) = (ends.get_mut(pod.node), peaks.get_mut(pod.node)) else {
            continue;
        };
        while ends.peek().is_some_and(|Reverse(end)| *end <= pod.bound) {
            ends.pop();
        }
        ends.push(Reverse(pod.bound.after(pod.lives)));
        *peak = (*peak).max(u32::try_from(ends.len()).unwrap_or(u32::MAX));
    }
    peaks
}
