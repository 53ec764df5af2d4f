//! The mock's VPC with real packets between namespaces: who reaches whom, what is dropped, and what is left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "mock/client.rs"]
mod client;

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use client::{ec2, request, until};
use e2e::mock::{
    Cloud, CloudConfig, Direction, Fault, FaultKind, INTERNET_HOST, LossReason, Node, NodeSpec,
};
use e2e::netns::{Netns, require_netns};
use e2e::probe::Patience;
use e2e::probe::ping::{ping, ping_as};

/// A cloud, and nodes in namespaces of their own.
struct World {
    cloud: Cloud,
    machines: Vec<(Netns, Node)>,
}

async fn build(label: &str, nodes: usize) -> Option<World> {
    if !require_netns().unwrap() {
        return None;
    }
    let config = CloudConfig {
        name: label.to_owned(),
        ..CloudConfig::fast()
    };
    let cloud = Cloud::start(config).await.unwrap();
    let mut machines = Vec::new();
    for _ in 0..nodes {
        let netns = Netns::unique(label).unwrap();
        let spec = NodeSpec::new("m5.large").in_netns(netns.path());
        let node = cloud.add_node(spec).await.unwrap();
        machines.push((netns, node));
    }
    Some(World { cloud, machines })
}

/// Attaches an ENI with so many addresses by the API, waits for its link and configures it as a node would.
async fn second_eni(world: &World, machine: usize, addresses: u32) -> e2e::mock::state::Eni {
    let (netns, node) = &world.machines[machine];
    let eni = attach_eni(&world.cloud, node, addresses).await;
    until("plugged", || netns.ip(&["link", "show", "eth1"]).is_ok()).await;
    until("attached", || {
        world.cloud.state().is_settled(&node.instance_id)
    })
    .await;
    let eni = world.cloud.state().enis[&eni].clone();
    netns.ip(&["link", "set", "eth1", "up"]).unwrap();
    let primary = format!("{}/24", eni.primary);
    netns
        .ip(&["addr", "add", &primary, "dev", "eth1", "noprefixroute"])
        .unwrap();
    let gateway = node.gateway.to_string();
    netns
        .ip(&[
            "route", "add", &gateway, "dev", "eth1", "scope", "link", "table", "2",
        ])
        .unwrap();
    netns
        .ip(&[
            "route", "add", "default", "via", &gateway, "dev", "eth1", "table", "2",
        ])
        .unwrap();
    // Answers to what comes in by eth1 but would be routed out by eth0.
    netns.sysctl("net.ipv4.conf.eth1.rp_filter", "2").unwrap();
    for address in eni.addresses() {
        netns
            .ip(&["rule", "add", "from", &address.to_string(), "lookup", "2"])
            .unwrap();
    }
    eni
}

async fn attach_eni(cloud: &Cloud, node: &Node, addresses: u32) -> String {
    let url = cloud.ec2_url();
    let subnet = cloud.state().subnets.keys().next().unwrap().clone();
    let create = format!(
        "CreateNetworkInterface SubnetId={subnet} SecondaryPrivateIpAddressCount={addresses}"
    );
    let eni = ec2(&url, &create)
        .await
        .expect_ok()
        .text("networkInterfaceId");
    let attach = format!(
        "AttachNetworkInterface NetworkInterfaceId={eni} InstanceId={} DeviceIndex=1",
        node.instance_id
    );
    ec2(&url, &attach).await.expect_ok();
    eni
}

/// Assigns one more address to a node's primary ENI.
async fn assign(cloud: &Cloud, node: &Node) -> Ipv4Addr {
    let call = format!(
        "AssignPrivateIpAddresses NetworkInterfaceId={} SecondaryPrivateIpAddressCount=1",
        node.primary_eni
    );
    let answer = ec2(&cloud.ec2_url(), &call).await.expect_ok();
    answer.text("privateIpAddress").parse().unwrap()
}

fn add_address(netns: &Netns, address: Ipv4Addr, link: &str) {
    netns
        .ip(&["addr", "add", &format!("{address}/32"), "dev", link])
        .unwrap();
}

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
async fn a_node_finds_both_apis_inside_its_namespace() {
    let Some(world) = build("mkapi", 2).await else {
        return;
    };
    for (netns, node) in &world.machines {
        let show = |url: &str| {
            let out = netns.command("bash").args(["-c", url]).output().unwrap();
            String::from_utf8(out.stdout).unwrap()
        };
        let talk = "exec 3<>/dev/tcp/169.254.169.254/80; printf 'GET /latest/meta-data/mac HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
        assert!(show(talk).starts_with("HTTP/1.0 401"), "{}", show(talk));
        let body = "Action=DescribeSubnets";
        let talk = format!(
            "exec 3<>/dev/tcp/169.254.169.253/80; printf 'POST / HTTP/1.0\\r\\ncontent-type: application/x-www-form-urlencoded\\r\\ncontent-length: {}\\r\\n\\r\\n{body}' >&3; cat <&3",
            body.len()
        );
        assert!(
            show(&talk).contains("<DescribeSubnetsResponse"),
            "{}",
            show(&talk)
        );
        let calls = world.cloud.journal();
        assert_eq!(
            calls.last().unwrap().instance.as_ref(),
            Some(&node.instance_id)
        );
        // No route leads from here to the endpoint of the other clients.
        let host = world
            .cloud
            .ec2_url()
            .replace("http://", "")
            .replace(':', "/");
        assert_eq!(show(&format!("exec 3<>/dev/tcp/{host} && echo open")), "");
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_node_loses_its_links_and_its_address_is_free_again() {
    let Some(world) = build("mkterm", 2).await else {
        return;
    };
    let (netns, node) = &world.machines[0];
    let (other, _) = &world.machines[1];
    world
        .cloud
        .create_foreign_eni(&node.instance_id, &[])
        .await
        .unwrap();
    netns.ip(&["link", "show", "eth1"]).unwrap();
    world.cloud.terminate_node(&node.instance_id).await.unwrap();
    let links = netns.ip(&["-br", "link"]).unwrap();
    assert!(!links.contains("eth"), "{links}");
    let addresses = netns.ip(&["-br", "addr", "show", "lo"]).unwrap();
    assert!(!addresses.contains("169.254"), "{addresses}");
    ping(other, node.address, Patience::ONCE).unwrap_err();
    // Its namespace can be another node now.
    let again = NodeSpec::new("t3.small").in_netns(netns.path());
    let node = world.cloud.add_node(again).await.unwrap();
    ping(other, node.address, Patience::USUAL).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_unfit_is_refused_and_leaves_nothing() {
    let Some(world) = build("mkunfit", 0).await else {
        return;
    };
    let netns = Netns::unique("mkunfit").unwrap();
    netns
        .ip(&["link", "add", "eth0", "type", "veth", "peer", "name", "x0"])
        .unwrap();
    let before = netns.ip(&["addr"]).unwrap();
    let error = world
        .cloud
        .add_node(NodeSpec::new("m5.large").in_netns(netns.path()))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("File exists"), "{error}");
    assert_eq!(netns.ip(&["addr"]).unwrap(), before);
    assert!(world.cloud.state().enis.is_empty());
    let nowhere = world
        .cloud
        .add_node(NodeSpec::new("m5.large").in_netns("/run/netns/no-such"))
        .await;
    assert!(
        nowhere
            .unwrap_err()
            .to_string()
            .contains("/run/netns/no-such")
    );
    let url = format!("{}/drops", world.cloud.admin_url());
    assert_eq!(request(&url, "GET", &[], "").await.unwrap().body, "[]");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_cloud_removes_its_namespaces_and_links() {
    let Some(world) = build("mkdrop", 1).await else {
        return;
    };
    let World { cloud, machines } = world;
    let made = || {
        let names = std::fs::read_dir("/run/netns").unwrap();
        let prefix = format!("mkdrop-{}", std::process::id());
        names
            .filter(|n| {
                let name = n.as_ref().unwrap().file_name().into_string().unwrap();
                name.starts_with(&prefix) && (name.ends_with("-vpc") || name.ends_with("-inet"))
            })
            .count()
    };
    assert_eq!(made(), 2);
    let internet = cloud.internet().unwrap().to_owned();
    assert!(Path::new(&internet).exists());
    drop(cloud);
    assert_eq!(made(), 0);
    let links = machines[0].0.ip(&["-br", "link"]).unwrap();
    assert!(!links.contains("eth0"), "{links}");
}
