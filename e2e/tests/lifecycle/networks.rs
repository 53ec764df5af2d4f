//! More than one attachment to a container, no CNI_ARGS, what aws-node left, and what nobody deletes.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::cluster::DAEMON_PATIENCE;
use e2e::netns::Netns;
use e2e::netns::snapshot::Snapshot;
use e2e::node::NETWORK;
use e2e::probe::Patience;
use e2e::probe::ping::ping;
use e2e::runtime::attachment::Attachment;
use e2e::runtime::conflist::Version;
use e2e::runtime::outcome::AddResult;
use serde_json::json;

use crate::fixture::{M5_LARGE, SOON, as_before, config, eventually, start};
use crate::verbs::sandbox;

#[test]
fn a_container_has_two_interfaces_in_two_networks_and_each_goes_by_itself() -> anyhow::Result<()> {
    let Some(cluster) = start(config("nets"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let host = member.node.netns();
    let before = Snapshot::take(host)?;
    let runtime = member.node.runtime_of(NETWORK, Version::V1_0_0)?;
    let another = member.node.runtime_of("another", Version::V0_4_0)?;
    let pod = sandbox("multi")?;
    let first = &pod.attachment;
    let named = |ifname: &str| Attachment {
        ifname: ifname.to_owned(),
        // a runtime that is not Kubernetes'
        args: Vec::new(),
        ..first.clone()
    };
    let (second, third) = (named("net1"), named("net2"));
    let mut addresses = BTreeSet::new();
    let mut links = BTreeSet::new();
    for (runtime, attachment) in [(&runtime, first), (&runtime, &second), (&another, &third)] {
        let added = runtime.add(host, attachment)?;
        let address = added.result.pod_address().context("no address")?;
        ping(host, address, Patience::USUAL)?;
        addresses.insert(address);
        links.insert(added.result.json()["interfaces"][0]["name"].to_string());
    }
    ensure!(
        addresses.len() == 3 && links.len() == 3,
        "{addresses:?} {links:?}"
    );
    // the interface of another network is not to be had, and stays as it is
    let taken = another.add(host, first).err().context("eth0 was taken")?;
    ensure!(
        taken.reported().is_some_and(|error| error.code == 102),
        "{taken}"
    );
    another.del(host, first)?;
    runtime.check(host, first)?;
    runtime.del(host, &second)?;
    runtime.check(host, first)?;
    another.check(host, &third)?;
    another.del(host, &third)?;
    runtime.check(host, first)?;
    runtime.del(host, first)?;
    ensure!(member.node.status()?.attachments.is_empty());
    as_before(&member.node, &before, SOON)
}

/// What aws-node makes on the host for a pod on its second ENI, without the link.
fn rules_of_aws_node(host: &Netns, address: &str) -> anyhow::Result<()> {
    host.ip(&[
        "rule", "add", "priority", "512", "to", address, "lookup", "main",
    ])?;
    host.ip(&[
        "rule", "add", "priority", "1536", "from", address, "lookup", "2",
    ])?;
    Ok(())
}

#[test]
fn a_del_of_a_pod_that_aws_node_made_takes_what_aws_node_left_of_it() -> anyhow::Result<()> {
    let Some(cluster) = start(config("aws"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let host = member.node.netns();
    // aws-node's list has this version
    let runtime = member.node.runtime_of(NETWORK, Version::V0_4_0)?;
    let before = Snapshot::take(host)?;
    let other = "10.0.1.201";
    rules_of_aws_node(host, other)?;
    let with_other = Snapshot::take(host)?;
    for (address, is_away) in [("10.0.1.200", false), ("10.0.1.202", true)] {
        let pod = sandbox("aws")?;
        let link = "eni00112233445";
        let peer = pod.netns.name();
        host.ip(&[
            "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", peer,
        ])?;
        host.ip(&["link", "set", link, "up"])?;
        host.ip(&["route", "add", address, "dev", link, "scope", "link"])?;
        rules_of_aws_node(host, address)?;
        let result = json!({"cniVersion": "0.4.0",
            "interfaces": [
                {"name": link},
                {"name": "eth0", "mac": "2", "sandbox": pod.attachment.netns},
                {"name": "dummy00112233445", "mac": "0", "sandbox": "1"},
            ],
            "ips": [{"version": "4", "address": format!("{address}/32"), "interface": 1}]});
        let result = AddResult::parse(&result.to_string(), Version::V0_4_0)?;
        runtime
            .cache()
            .store(runtime.conflist(), &pod.attachment, &result)?;
        if is_away {
            member.node.stop_daemon(DAEMON_PATIENCE)?;
        }
        runtime.del(host, &pod.attachment)?;
        // the runtime removes the namespace, and may repeat the DEL without it
        drop(pod.netns);
        runtime.del(host, &pod.attachment)?;
        if is_away {
            member.node.start_daemon(DAEMON_PATIENCE)?;
        }
        as_before(&member.node, &with_other, SOON)?;
    }
    ensure!(!before.changes(&with_other).is_empty());
    Ok(())
}

/// The slow one: nothing speeds up the minute for which link and namespace must be gone.
#[test]
fn what_nobody_deletes_is_swept_once_no_runtime_names_it() -> anyhow::Result<()> {
    let Some(cluster) = start(config("sweep"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let host = member.node.netns();
    let runtime = member.node.runtime_of(NETWORK, Version::V1_0_0)?;
    let [lost, cached, alive] = ["lost", "cached", "alive"].map(sandbox);
    let (lost, cached, alive) = (lost?, cached?, alive?);
    for pod in [&lost, &cached, &alive] {
        runtime.add(host, &pod.attachment)?;
    }
    for pod in [&lost, &alive] {
        std::fs::remove_file(runtime.cache().path(runtime.conflist(), &pod.attachment))?;
    }
    drop(lost.netns);
    drop(cached.netns);
    let ids = || -> anyhow::Result<BTreeSet<String>> {
        let attachments = member.node.status()?.attachments.into_iter();
        Ok(attachments.map(|a| a.container_id).collect())
    };
    let kept: BTreeSet<String> = [&cached.attachment, &alive.attachment]
        .map(|attachment| attachment.container_id.clone())
        .into();
    ensure!(ids()?.len() == 3);
    eventually("the lost one is released", Duration::from_secs(120), || {
        let ids = ids()?;
        ensure!(ids == kept, "{ids:?}");
        Ok(())
    })?;
    runtime.del(host, &cached.attachment)?;
    runtime.del(host, &alive.attachment)?;
    ensure!(ids()?.is_empty());
    Ok(())
}
