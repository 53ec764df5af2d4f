//! A mock cloud with nodes in namespaces of their own, and what is done on them again and again.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::Ipv4Addr;

use e2e::mock::state::Eni;
use e2e::mock::{Cloud, CloudConfig, Node, NodeSpec};
use e2e::netns::{Netns, require_netns};

use crate::client::{ec2, until};

/// A cloud, and nodes in namespaces of their own.
pub struct World {
    pub cloud: Cloud,
    pub machines: Vec<(Netns, Node)>,
}

pub async fn build(label: &str, nodes: usize) -> Option<World> {
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
pub async fn second_eni(world: &World, machine: usize, addresses: u32) -> Eni {
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

pub async fn attach_eni(cloud: &Cloud, node: &Node, addresses: u32) -> String {
    let url = cloud.ec2_url();
    let subnet = cloud.state().first_subnet.clone();
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
pub async fn assign(cloud: &Cloud, node: &Node) -> Ipv4Addr {
    let call = format!(
        "AssignPrivateIpAddresses NetworkInterfaceId={} SecondaryPrivateIpAddressCount=1",
        node.primary_eni
    );
    let answer = ec2(&cloud.ec2_url(), &call).await.expect_ok();
    answer.text("privateIpAddress").parse().unwrap()
}

pub fn add_address(netns: &Netns, address: Ipv4Addr, link: &str) {
    netns
        .ip(&["addr", "add", &format!("{address}/32"), "dev", link])
        .unwrap();
}
