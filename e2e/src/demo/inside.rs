//! Checks within the VPC: pods and nodes reach each other, and each pod's packets leave by its own ENI.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

use super::PATIENCE;
use super::world::{POD_PORT, Placed, World};
use crate::mock::{Direction, Flow};
use crate::probe::sweep::{Leg, ping_all};
use crate::probe::tcp;

/// Every pod pings every other pod of its node.
pub(super) fn same_node(world: &World) -> anyhow::Result<String> {
    between(world, |from, to| {
        from.node == to.node && from.pod.address != to.pod.address
    })
}

/// Every pod pings every pod of the other nodes.
pub(super) fn cross_node(world: &World) -> anyhow::Result<String> {
    between(world, |from, to| from.node != to.node)
}

/// Pings between all pairs that `wanted` picks, and TCP from each first one to the last one picked for it, whose
/// server must see the pod's own address: within the VPC nothing is translated.
fn between(world: &World, wanted: impl Fn(&Placed, &Placed) -> bool) -> anyhow::Result<String> {
    let mut legs = Vec::new();
    let mut last = BTreeMap::new();
    for from in &world.pods {
        for to in world.pods.iter().filter(|to| wanted(from, to)) {
            legs.push(Leg {
                name: &from.pod.name,
                from: &from.pod.netns,
                to: to.pod.address,
            });
            last.insert(from.pod.address, (from, to));
        }
    }
    ensure!(
        last.len() == world.pods.len(),
        "{} of {} pods have nobody to ask",
        world.pods.len() - last.len(),
        world.pods.len()
    );
    let pings = ping_all(&legs, PATIENCE)?;
    for (from, to) in last.values() {
        let _server = tcp::Server::start(&to.pod.netns, POD_PORT)?;
        let seen = tcp::ask(&from.pod.netns, to.pod.at(POD_PORT), PATIENCE)?;
        ensure!(
            *seen.ip() == from.pod.address,
            "{} came as {}, it is {}",
            from.pod.name,
            seen.ip(),
            from.pod.address
        );
    }
    Ok(format!(
        "{pings} pings and {} TCP connections between {} pods, each with its own address",
        last.len(),
        world.pods.len()
    ))
}

/// Packets of a pod on a secondary ENI leave by that ENI, with the pod's address, and by no other.
pub(super) fn secondary_egress(world: &World) -> anyhow::Result<String> {
    let secondary = world.on_secondary_enis()?;
    let mut nodes: Vec<usize> = secondary.iter().map(|(placed, _)| placed.node).collect();
    nodes.dedup();
    ensure!(
        nodes.len() == world.cluster.members.len(),
        "only nodes {nodes:?} have pods on a secondary ENI"
    );
    let mut packets = 0;
    for (placed, eni) in &secondary {
        let to = world
            .pods
            .iter()
            .find(|other| other.node != placed.node)
            .context("no pod on another node")?;
        let leg = Leg {
            name: &placed.pod.name,
            from: &placed.pod.netns,
            to: to.pod.address,
        };
        ping_all(&[leg], PATIENCE)?;
        let sent =
            |flow: &Flow| flow.direction == Direction::Sent && flow.source == placed.pod.address;
        let own = world.cluster.cloud().seen_on(&eni.id)?;
        let count: u64 = own
            .iter()
            .filter(|flow| sent(flow))
            .map(|flow| flow.packets)
            .sum();
        ensure!(
            count > 0,
            "{} sent nothing by its {} (device {})",
            placed.pod.name,
            eni.id,
            eni.device_index
        );
        packets += count;
        let primary = &world.member(placed).instance.primary_eni;
        let astray = world
            .cluster
            .cloud()
            .seen_on(primary)?
            .into_iter()
            .find(sent);
        ensure!(
            astray.is_none(),
            "{} is on {} and sent by {primary}: {astray:?}",
            placed.pod.name,
            eni.id
        );
    }
    Ok(format!(
        "{} pods on secondary ENIs sent {packets} packets by them, none by the primary",
        secondary.len()
    ))
}

/// Every pod reaches its own node and the others.
pub(super) fn pod_to_node(world: &World) -> anyhow::Result<String> {
    let mut legs = Vec::new();
    for placed in &world.pods {
        for member in &world.cluster.members {
            legs.push(Leg {
                name: &placed.pod.name,
                from: &placed.pod.netns,
                to: member.address(),
            });
        }
    }
    let pings = ping_all(&legs, PATIENCE)?;
    Ok(format!(
        "{pings} pings from {} pods to {} nodes",
        world.pods.len(),
        world.cluster.members.len()
    ))
}

/// Every node reaches its own pods, as kubelet's probes do, and those of the others.
pub(super) fn node_to_pod(world: &World) -> anyhow::Result<String> {
    let mut legs = Vec::new();
    for member in &world.cluster.members {
        let netns = member.node.netns();
        legs.extend(world.pods.iter().map(|placed| Leg {
            name: netns.name(),
            from: netns,
            to: placed.pod.address,
        }));
    }
    let pings = ping_all(&legs, PATIENCE)?;
    for placed in &world.pods {
        let _server = tcp::Server::start(&placed.pod.netns, POD_PORT)?;
        tcp::ask(
            world.member(placed).node.netns(),
            placed.pod.at(POD_PORT),
            PATIENCE,
        )?;
    }
    Ok(format!(
        "{pings} pings, and a TCP probe of each pod by its own node"
    ))
}
