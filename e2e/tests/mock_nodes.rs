//! Nodes of the mock cloud as namespaces: what a namespace gets to be an instance, and what is left of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "mock/client.rs"]
mod client;
#[path = "mock/world.rs"]
mod world;

use std::net::Ipv4Addr;
use std::path::Path;

use client::request;
use e2e::mock::{Cloud, CloudConfig, NodeSpec};
use e2e::netns::{Netns, require_netns};
use e2e::probe::Patience;
use e2e::probe::ping::ping;
use world::{World, build};

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
async fn subnets_reach_each_other_through_their_routers() {
    if !require_netns().unwrap() {
        return;
    }
    let mut config = CloudConfig::fast();
    let mut second = config.subnets[0].clone();
    second.cidr = "10.0.32.0/20".parse().unwrap();
    config.subnets.push(second);
    let cloud = Cloud::start(config).await.unwrap();
    let (a, b) = (
        Netns::unique("mksub").unwrap(),
        Netns::unique("mksub").unwrap(),
    );
    let state = cloud.state();
    let other = state.subnets.keys().find(|id| **id != state.first_subnet);
    let spec = NodeSpec::new("m5.large");
    let first = cloud
        .add_node(spec.clone().in_netns(a.path()))
        .await
        .unwrap();
    let spec = spec.in_netns(b.path()).in_subnet(other.unwrap());
    let second = cloud.add_node(spec).await.unwrap();
    assert_eq!(first.subnet, "10.0.1.0/24".parse().unwrap());
    assert_eq!(second.gateway, Ipv4Addr::new(10, 0, 32, 1));
    ping(&a, second.address, Patience::USUAL).unwrap();
    ping(&b, first.address, Patience::USUAL).unwrap();
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
