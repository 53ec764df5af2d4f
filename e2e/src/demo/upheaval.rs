//! Checks of what happens when things are not in place: no free address, and no daemon.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::PATIENCE;
use super::world::World;
use crate::cluster::{Cluster, DAEMON_PATIENCE, shared_address};
use crate::probe::sweep::{Leg, ping_all};

/// Pods that are being added when the daemon dies.
const ADDS_UNDER_WAY: u16 = 4;

/// From the start of these ADDs to the kill: inside of them, as one takes some 10 ms at least.
const UNTIL_KILLED: Duration = Duration::from_millis(25);

/// How long the node stays without a daemon.
const DEAD_FOR: Duration = Duration::from_millis(300);

/// All pods of all nodes at once, more than there are addresses: those that find none wait, none fails.
pub(super) fn add_all(world: &mut World, per_node: u16) -> anyhow::Result<String> {
    let nodes: Vec<usize> = (0..world.cluster.members.len()).collect();
    let mut waited = 0;
    for named in world.statuses()? {
        let free = named.status.addresses.free;
        ensure!(
            free < u32::from(per_node),
            "{} had {free} free addresses at once: nobody has to wait",
            named.node
        );
        waited += u32::from(per_node) - free;
    }
    let started = Instant::now();
    let failures = world.add(&nodes, 0..per_node, |_| Ok(()))?;
    ensure!(
        failures.is_empty(),
        "{} ADDs failed: {}",
        failures.len(),
        failures.join("; ")
    );
    let slowest = world.adds.iter().max().copied().unwrap_or_default();
    Ok(format!(
        "{} ADDs in {:.1} s, {waited} of them before EC2 had given an address; the slowest took {:.1} s, none failed",
        world.pods.len(),
        started.elapsed().as_secs_f64(),
        slowest.as_secs_f64()
    ))
}

/// On each node in turn: ADDs under way, `kill -9`, no daemon for a moment, a new one. Pods keep their network, no ADD
/// fails, no address is given twice, and EC2's holdings are what the new daemon believes.
pub(super) fn kill_during_adds(world: &mut World, per_node: u16) -> anyhow::Result<String> {
    let extra = per_node..per_node + ADDS_UNDER_WAY;
    let mut pings = 0;
    for node in 0..world.cluster.members.len() {
        let running = world.pods.len();
        let failures = world.add(&[node], extra.clone(), |cluster| crash(cluster, node))?;
        ensure!(
            failures.is_empty(),
            "{} of {ADDS_UNDER_WAY} ADDs failed: {}",
            failures.len(),
            failures.join("; ")
        );
        ensure!(
            world.pods.len() == running + usize::from(ADDS_UNDER_WAY),
            "pods went missing"
        );
        if let Some(address) = shared_address(world.pods.iter().map(|placed| &placed.pod)) {
            anyhow::bail!("two pods have {address}");
        }
        pings += ping_all(&legs(world), PATIENCE)?;
        let member = &world.cluster.members[node];
        member.settled(world.cluster.cloud(), DAEMON_PATIENCE)?;
    }
    let first_port = world
        .pods
        .iter()
        .map(|placed| placed.host_port)
        .min()
        .unwrap_or_default();
    world.delete(|placed| placed.host_port - first_port >= per_node)?;
    let killed = world.cluster.members.len();
    Ok(format!(
        "{killed} daemons killed in {ADDS_UNDER_WAY} ADDs each: none failed, {pings} pings answered, no address twice, EC2 agrees"
    ))
}

fn crash(cluster: &Cluster, node: usize) -> anyhow::Result<()> {
    let member = &cluster.members[node];
    thread::sleep(UNTIL_KILLED);
    member.node.kill_daemon()?;
    thread::sleep(DEAD_FOR);
    member.node.start_daemon(DAEMON_PATIENCE)
}

/// Each pod to a pod of another node, and each node to its own pods.
fn legs(world: &World) -> Vec<Leg<'_>> {
    let mut legs = Vec::new();
    for placed in &world.pods {
        let elsewhere = world.pods.iter().find(|other| other.node != placed.node);
        legs.extend(elsewhere.map(|other| Leg {
            name: &placed.pod.name,
            from: &placed.pod.netns,
            to: other.pod.address,
        }));
        let node = world.member(placed).node.netns();
        legs.push(Leg {
            name: node.name(),
            from: node,
            to: placed.pod.address,
        });
    }
    legs
}
