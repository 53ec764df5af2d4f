//! `berthd explain` of a running daemon: what it says of addresses, and of pods that wait, is what happens.

use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::mock::{CloudConfig, Fault, FaultKind, SubnetSpec};
use e2e::netns::output;
use e2e::node::Node;
use e2e::node::programs::{BERTHD, find};
use serde_json::Value;

use crate::fixture::{M5_LARGE, SOON, add_pods, answer, config, del_pods, eventually, start};

const ASSIGN: &str = "AssignPrivateIpAddresses";
const CREATE: &str = "CreateNetworkInterface";
/// A nearly full subnet is looked at each 10 s, a roomy one each minute.
const SEEN: Duration = Duration::from_secs(90);

/// What `berthd explain` prints.
fn explain(node: &Node, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = node.netns().command(&find(BERTHD)?.display().to_string());
    command
        .arg("explain")
        .args(arguments)
        .env("BERTH_SOCKET", node.socket());
    output(&mut command)
}

/// The document, or the part of it that concerns `what`.
fn document(node: &Node, what: &[&str]) -> anyhow::Result<Value> {
    let text = explain(node, &[what, &["--json"]].concat())?;
    Ok(serde_json::from_str(&text)?)
}

/// The one pod without an address.
fn asking(node: &Node) -> anyhow::Result<Value> {
    let told = document(node, &[])?;
    let pods = told["pods"].as_array().context("no pods")?;
    ensure!(!pods.is_empty(), "nobody waits: {told}");
    Ok(pods[0].clone())
}

#[test]
fn each_address_is_explained_from_its_pod_to_its_rest() -> anyhow::Result<()> {
    let Some(cluster) = start(config("why"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let mut pods = add_pods(member, "pod", 3)?;
    member.settled(cluster.cloud(), SOON)?;
    let told = document(&member.node, &[])?;
    let notes = told["addresses"].as_array().context("no addresses")?;
    let held = member.holdings(cluster.cloud());
    ensure!(notes.len() == held.len(), "{told}");
    for pod in &pods {
        let note = document(&member.node, &[&pod.address.to_string()])?;
        let note = &note["addresses"][0];
        ensure!(note["why"]["name"] == "pod", "{note}");
        ensure!(note["pod"] == format!("demo/{}", pod.name), "{note}");
        ensure!(note["goes_ms"].is_null(), "{note}");
    }
    ensure!(told["enis"][0]["why"]["name"] == "primary", "{told}");

    let gone = pods.pop().context("three pods")?;
    let (address, name) = (gone.address.to_string(), gone.name.clone());
    del_pods(member, vec![gone])?;
    let note = document(&member.node, &[&address])?["addresses"][0].clone();
    ensure!(note["why"]["name"] == "cooling", "{note}");
    ensure!(note["pod"] == format!("demo/{name}"), "{note}");
    let page = explain(&member.node, &[])?;
    ensure!(
        page.contains(&format!("rests after demo/{name}; free in ")),
        "{page}"
    );
    ensure!(page.contains("the primary ENI never leaves"), "{page}");

    let nobody = explain(&member.node, &["10.9.9.9"]);
    ensure!(nobody.is_err_and(|error| error.to_string().contains("10.9.9.9")));
    del_pods(member, pods)
}

#[test]
fn a_pod_that_waits_is_told_what_for_and_what_comes_next() -> anyhow::Result<()> {
    let Some(cluster) = start(config("wait"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    for action in [ASSIGN, CREATE] {
        let throttled = Fault::always(action, FaultKind::Throttle);
        cluster.cloud().fault(throttled);
    }
    let pods = thread::scope(|scope| {
        let adds = scope.spawn(|| add_pods(member, "late", 4));
        let told = eventually("the wait is told", SOON, || {
            let pod = asking(&member.node)?;
            ensure!(pod["reason"]["name"] == "Throttled", "{pod}");
            ensure!(pod["next"]["what"] == "call", "{pod}");
            Ok(pod)
        });
        let page = explain(&member.node, &[]);
        cluster.cloud().clear_faults();
        let pods = adds.join().expect("an ADD panicked")?;
        let (told, page) = (told?, page?);
        ensure!(told["state"] == "waiting", "{told}");
        let call = told["next"]["message"].as_str().unwrap_or_default();
        ensure!(call.starts_with(ASSIGN), "{told}");
        ensure!(page.contains("waits "), "{page}");
        ensure!(
            page.contains("Throttled: EC2 throttles this account"),
            "{page}"
        );
        Ok(pods)
    })?;
    answer(member, &pods)?;
    let told = document(&member.node, &["late-0"])?;
    ensure!(told["addresses"][0]["why"]["name"] == "pod", "{told}");
    del_pods(member, pods)
}

#[test]
fn in_a_full_subnet_it_is_told_how_full_and_when_it_is_tried_again() -> anyhow::Result<()> {
    // EC2 keeps five of the sixteen, the ENI has one.
    let cloud = CloudConfig {
        subnets: vec![SubnetSpec {
            cidr: "10.0.1.0/28".parse()?,
            zone: "us-west-2a".to_owned(),
        }],
        ..config("full")
    };
    let settings = [("BERTH_ADD_WAIT_SECONDS", "6")];
    let Some(cluster) = start(cloud, "m5.4xlarge", 1, &settings)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let pods = add_pods(member, "pod", 10)?;
    eventually("the subnet is known to be full", SEEN, || {
        let told = document(&member.node, &[])?;
        ensure!(
            told["subnet"]["free"] == 0 && told["subnet"]["size"] == 11,
            "{told}"
        );
        Ok(())
    })?;
    thread::scope(|scope| {
        let late = scope.spawn(|| add_pods(member, "late", 1));
        let told = eventually("the wait is told", SOON, || {
            let pod = asking(&member.node)?;
            ensure!(pod["state"] == "waiting", "{pod}");
            ensure!(pod["reason"]["name"] == "SubnetFull", "{pod}");
            ensure!(pod["next"]["at_ms"].is_u64(), "{pod}");
            Ok(())
        });
        let late = late.join().expect("an ADD panicked");
        ensure!(late.is_err(), "the subnet is full");
        told
    })?;
    let pod = asking(&member.node)?;
    ensure!(
        pod["state"] == "gave-up" && pod["pod"] == "demo/late-0",
        "{pod}"
    );
    del_pods(member, pods)
}
