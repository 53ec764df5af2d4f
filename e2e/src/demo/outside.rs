//! Checks that cross the VPC's border or try to cheat it: internet, host ports, spoofed sources.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::PATIENCE;
use super::world::{POD_PORT, Placed, World};
use crate::mock::{Direction, INTERNET_HOST, LossReason};
use crate::probe::{tcp, udp};

/// Port of the server on the internet.
const INTERNET_PORT: u16 = 443;

/// Packets with a foreign source that are sent by each.
const SPOOFED_PACKETS: usize = 3;

/// Much longer than any packet takes here.
const ON_ITS_WAY: Duration = Duration::from_millis(300);

/// Every pod opens a TCP connection to the internet, whose far end sees the primary address of the pod's node.
pub(super) fn internet(world: &World) -> anyhow::Result<String> {
    let internet = world.cluster.internet()?;
    let server = tcp::Server::start(&internet, INTERNET_PORT)?;
    let to = SocketAddrV4::new(INTERNET_HOST, server.port());
    for placed in &world.pods {
        let seen = tcp::ask(&placed.pod.netns, to, PATIENCE)?;
        let node = world.member(placed).address();
        ensure!(
            *seen.ip() == node,
            "{} came as {}, its node is {node}",
            placed.pod.name,
            seen.ip()
        );
    }
    let nodes: Vec<String> = world
        .cluster
        .members
        .iter()
        .map(|member| member.address().to_string())
        .collect();
    Ok(format!(
        "{} pods seen as {} by {INTERNET_HOST}",
        world.pods.len(),
        nodes.join(" and ")
    ))
}

/// A client on the internet reaches a pod on a secondary ENI by a port of its node, and the reply leaves by the
/// primary ENI, where the client expects it from.
pub(super) fn host_port(world: &World) -> anyhow::Result<String> {
    let internet = world.cluster.internet()?;
    let secondary = world.on_secondary_enis()?;
    ensure!(!secondary.is_empty(), "no pod is on a secondary ENI");
    for (placed, eni) in &secondary {
        let member = world.member(placed);
        let _server = tcp::Server::start(&placed.pod.netns, POD_PORT)?;
        let seen = tcp::ask(
            &internet,
            SocketAddrV4::new(member.address(), placed.host_port),
            PATIENCE,
        )?;
        ensure!(
            *seen.ip() == INTERNET_HOST,
            "{} saw {} instead of {INTERNET_HOST}",
            placed.pod.name,
            seen.ip()
        );
        let by_primary = world
            .cluster
            .cloud()
            .seen_on(&member.instance.primary_eni)?;
        let replied = |flow: &crate::mock::Flow| {
            flow.direction == Direction::Sent
                && flow.source == member.address()
                && flow.destination == INTERNET_HOST
        };
        ensure!(
            by_primary.iter().any(replied),
            "no reply of {} was seen on {}",
            placed.pod.name,
            member.instance.primary_eni
        );
        let astray = world.cluster.cloud().seen_on(&eni.id)?;
        let astray = astray.iter().find(|flow| flow.destination == INTERNET_HOST);
        ensure!(
            astray.is_none(),
            "the reply of {} left by {}: {astray:?}",
            placed.pod.name,
            eni.id
        );
    }
    let (placed, eni) = &secondary[0];
    Ok(format!(
        "{} pods answered {INTERNET_HOST} through their node, e.g. {}:{} -> {} on {}",
        secondary.len(),
        world.member(placed).address(),
        placed.host_port,
        placed.pod.address,
        eni.id
    ))
}

/// Negative control: packets with somebody else's address do not arrive, neither from a pod nor from a node, and the
/// VPC's own check drops the node's. The same sender with its own address does arrive.
pub(super) fn spoofed(world: &World) -> anyhow::Result<String> {
    let pod = |node: usize| {
        world
            .pods
            .iter()
            .find(|placed| placed.node == node)
            .context("a node has no pods")
    };
    let (cheat, target) = (pod(0)?, pod(1)?);
    let owner = world
        .pods
        .iter()
        .rfind(|placed| placed.node == 1)
        .context("a node has no pods")?;
    let stolen = owner.pod.address;
    let server = udp::Server::start(&target.pod.netns, 0)?;
    let to = target.pod.at(server.port());

    let honest = udp::ask(&cheat.pod.netns, to, PATIENCE)?;
    ensure!(
        *honest.ip() == cheat.pod.address,
        "{} came as {}",
        cheat.pod.name,
        honest.ip()
    );
    let node = world.member(cheat);
    for netns in [&cheat.pod.netns, node.node.netns()] {
        for _ in 0..SPOOFED_PACKETS {
            udp::send_as(netns, stolen, to)?;
        }
    }
    thread::sleep(ON_ITS_WAY);
    ensure!(
        !server.has_seen(stolen),
        "{} received a packet as from {stolen}",
        target.pod.name
    );
    let drops = world.cluster.cloud().drops()?;
    let counted = drops
        .iter()
        .filter(|loss| loss.reason == LossReason::SourceDestCheck && loss.source == stolen);
    let counted: u64 = counted
        .filter(|loss| loss.eni.as_deref() == Some(&*node.instance.primary_eni))
        .map(|loss| loss.packets)
        .sum();
    ensure!(
        counted > 0,
        "nothing arrived, but the source/dest check of {} dropped nothing",
        node.instance.primary_eni
    );
    Ok(describe(cheat, stolen, counted))
}

fn describe(cheat: &Placed, stolen: Ipv4Addr, counted: u64) -> String {
    format!(
        "{} and its node sent as {stolen}: nothing arrived, the VPC dropped {counted}; its own {} did",
        cheat.pod.name, cheat.pod.address
    )
}
