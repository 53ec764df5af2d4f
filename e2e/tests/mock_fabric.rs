//! The mock's VPC with real packets between namespaces: who reaches whom, by which ENI, and what is dropped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "mock/client.rs"]
mod client;
#[path = "mock/world.rs"]
mod world;

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use client::{ec2, until};
use e2e::mock::{Direction, Fault, FaultKind, INTERNET_HOST, LossReason};
use e2e::netns::Netns;
use e2e::probe::Patience;
use e2e::probe::ping::{ping, ping_as};
use world::{add_address, assign, attach_eni, build, second_eni};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_and_the_internet_reach_each_others_primary_addresses() {
    let Some(world) = build("mkreach", 2).await else {
        return;
    };
    let [(a, node_a), (b, node_b)] = world.machines.as_slice() else {
        panic!()
    };
    let internet = Netns::existing(world.cloud.internet().unwrap()).unwrap();
    ping(a, node_b.address, Patience::USUAL).unwrap();
    ping(b, node_a.address, Patience::USUAL).unwrap();
    ping(a, INTERNET_HOST, Patience::USUAL).unwrap();
    ping(&internet, node_b.address, Patience::USUAL).unwrap();
    ping(a, node_a.gateway, Patience::USUAL).unwrap();
    // 9001 bytes within the VPC, unfragmented.
    let jumbo = a
        .command("ping")
        .args(["-nqc1", "-W5", "-Mdo", "-s8973"])
        .arg(node_b.address.to_string())
        .output();
    assert!(jumbo.unwrap().status.success());
    let free = Ipv4Addr::new(10, 0, 1, 254);
    assert_eq!(
        world.cloud.state().owner_of(free),
        None,
        "choose another address for this test"
    );
    ping(a, free, Patience::ONCE).unwrap_err();
    assert_eq!(world.cloud.drops().unwrap(), []);
    let flows = world.cloud.seen_on(&node_a.primary_eni).unwrap();
    assert!(flows.iter().any(|f| f.direction == Direction::Sent
        && f.source == node_a.address
        && f.destination == node_b.address
        && f.packets > 0));
    assert!(
        flows
            .iter()
            .any(|f| f.direction == Direction::Delivered && f.source == INTERNET_HOST)
    );
    world.cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attached_eni_appears_down_with_its_mac_and_carries_its_addresses() {
    let Some(world) = build("mkeni", 2).await else {
        return;
    };
    let (netns, node) = &world.machines[0];
    let (other, other_node) = &world.machines[1];
    let eni = attach_eni(&world.cloud, node, 0).await;
    until("plugged", || netns.ip(&["link", "show", "eth1"]).is_ok()).await;
    let link = netns.ip(&["link", "show", "eth1"]).unwrap();
    let mac = world.cloud.state().enis[&eni].mac.clone();
    assert!(
        link.contains("state DOWN") && link.contains(&mac) && link.contains("mtu 9001"),
        "{link}"
    );
    let addresses = netns.ip(&["-4", "addr", "show", "eth1"]).unwrap();
    assert!(!addresses.contains("inet "), "{addresses}");
    until("attached", || {
        world.cloud.state().is_settled(&node.instance_id)
    })
    .await;
    let attachment = world.cloud.state().enis[&eni]
        .attachment
        .clone()
        .unwrap()
        .id;
    let detach = format!("DetachNetworkInterface AttachmentId={attachment}");
    ec2(&world.cloud.ec2_url(), &detach).await.expect_ok();
    until("unplugged", || netns.ip(&["link", "show", "eth1"]).is_err()).await;
    until("available", || world.cloud.available_enis().len() == 1).await;

    let eni = second_eni(&world, 0, 2).await;
    let pod = eni.secondary[0];
    add_address(netns, pod, "lo");
    ping(other, pod, Patience::USUAL).unwrap();
    ping_as(netns, Some(pod), other_node.address, Patience::USUAL).unwrap();
    let flows = world.cloud.seen_on(&eni.id).unwrap();
    let carried = |way| {
        flows
            .iter()
            .any(|f| f.direction == way && (f.source == pod || f.destination == pod))
    };
    assert!(
        carried(Direction::Sent) && carried(Direction::Delivered),
        "{flows:?}"
    );
    let by_primary = world.cloud.seen_on(&node.primary_eni).unwrap();
    assert!(
        !by_primary
            .iter()
            .any(|f| f.source == pod || f.destination == pod),
        "{by_primary:?}"
    );
    assert_eq!(world.cloud.drops().unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_reachable_from_assign_to_unassign() {
    let Some(world) = build("mkassign", 2).await else {
        return;
    };
    let (netns, node) = &world.machines[0];
    let (other, _) = &world.machines[1];
    let address = assign(&world.cloud, node).await;
    add_address(netns, address, "lo");
    ping(other, address, Patience::USUAL).unwrap();
    let unassign = format!(
        "UnassignPrivateIpAddresses NetworkInterfaceId={} PrivateIpAddress.1={address}",
        node.primary_eni
    );
    ec2(&world.cloud.ec2_url(), &unassign).await.expect_ok();
    ping(other, address, Patience::ONCE).unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_leave_the_routes_of_the_last_state() {
    let Some(world) = build("mkrace", 2).await else {
        return;
    };
    // Two nodes share a subnet with three addresses to spare, so addresses move between ENIs all the time.
    world.cloud.occupy(None, 251 - 2 - 3).unwrap();
    let mut tasks = Vec::new();
    for (_, node) in &world.machines {
        for _ in 0..2 {
            let (url, eni) = (world.cloud.ec2_url(), node.primary_eni.clone());
            tasks.push(tokio::spawn(async move {
                for _ in 0..15 {
                    let eni = format!("NetworkInterfaceId={eni}");
                    let assign =
                        format!("AssignPrivateIpAddresses {eni} SecondaryPrivateIpAddressCount=1");
                    let answer = ec2(&url, &assign).await;
                    if answer.status == 200 {
                        let address = answer.text("privateIpAddress");
                        let unassign = format!(
                            "UnassignPrivateIpAddresses {eni} PrivateIpAddress.1={address}"
                        );
                        ec2(&url, &unassign).await.expect_ok();
                    }
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    let kept = assign(&world.cloud, &world.machines[0].1).await;
    let internet = world.cloud.internet().unwrap().display().to_string();
    let router = internet.replace("-inet", "-vpc");
    let router = Netns::existing(Path::new(&router)).unwrap();
    let routes = router
        .ip(&["route", "show", "type", "unicast", "scope", "link"])
        .unwrap();
    let mut routed: Vec<&str> = routes.lines().filter_map(|l| l.split(' ').next()).collect();
    routed.retain(|a| a.starts_with("10."));
    let mut held: Vec<String> = Vec::new();
    for (_, node) in &world.machines {
        held.extend(
            world
                .cloud
                .holdings(&node.instance_id)
                .iter()
                .map(Ipv4Addr::to_string),
        );
    }
    held.sort();
    routed.sort_unstable();
    assert!(held.contains(&kept.to_string()));
    assert_eq!(routed, held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_the_enis_is_dropped_and_counted() {
    let Some(world) = build("mkspoof", 2).await else {
        return;
    };
    let (netns, node) = &world.machines[0];
    let (_, other) = &world.machines[1];
    let eni = second_eni(&world, 0, 1).await;
    // The router answers no ARP request with a foreign source either, so the neighbour must be known before.
    ping(netns, other.address, Patience::USUAL).unwrap();
    // An address of its own second ENI, but out of the first; and one that is nobody's.
    let (own, nobody) = (eni.secondary[0], Ipv4Addr::new(10, 0, 9, 9));
    let rule = own.to_string();
    netns
        .ip(&["rule", "del", "from", &rule, "lookup", "2"])
        .unwrap();
    for source in [own, nobody] {
        add_address(netns, source, "lo");
        ping_as(netns, Some(source), other.address, Patience::ONCE).unwrap_err();
    }
    let drops = world.cloud.drops().unwrap();
    for source in [own, nobody] {
        let of_source: Vec<_> = drops.iter().filter(|d| d.source == source).collect();
        assert_eq!(of_source.len(), 1, "{drops:?}");
        assert_eq!(of_source[0].reason, LossReason::SourceDestCheck);
        assert_eq!(of_source[0].eni.as_deref(), Some(node.primary_eni.as_str()));
        assert_eq!(
            (of_source[0].destination, of_source[0].packets),
            (other.address, 1)
        );
    }
    assert_eq!(drops.len(), 2, "{drops:?}");
    // The same packet by its own ENI passes.
    netns
        .ip(&["rule", "add", "from", &rule, "lookup", "2"])
        .unwrap();
    ping_as(netns, Some(own), other.address, Patience::USUAL).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_internet_takes_nothing_but_primary_addresses() {
    let Some(world) = build("mkigw", 1).await else {
        return;
    };
    let (netns, node) = &world.machines[0];
    let secondary = assign(&world.cloud, node).await;
    add_address(netns, secondary, "lo");
    ping_as(netns, Some(secondary), INTERNET_HOST, Patience::ONCE).unwrap_err();
    let internet = Netns::existing(world.cloud.internet().unwrap()).unwrap();
    ping(&internet, secondary, Patience::ONCE).unwrap_err();
    let drops = world.cloud.drops().unwrap();
    assert_eq!(drops.len(), 2, "{drops:?}");
    assert!(
        drops
            .iter()
            .all(|d| d.reason == LossReason::InternetGateway)
    );
    assert!(
        drops
            .iter()
            .any(|d| d.source == secondary && d.eni.as_ref() == Some(&node.primary_eni))
    );
    assert!(
        drops
            .iter()
            .any(|d| d.source == INTERNET_HOST && d.eni.is_none())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_never_appears_is_attached_all_the_same() {
    let Some(world) = build("mknolink", 1).await else {
        return;
    };
    let (netns, node) = &world.machines[0];
    world
        .cloud
        .fault(Fault::once("AttachNetworkInterface", FaultKind::NoLink));
    attach_eni(&world.cloud, node, 0).await;
    until("attached", || {
        world.cloud.state().is_settled(&node.instance_id)
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    netns.ip(&["link", "show", "eth1"]).unwrap_err();
}
