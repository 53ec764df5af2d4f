//! What operators see by HTTP: metrics that move with what happens and agree with EC2, probes that mean what they say,
//! aws-node's list of ENIs; and a daemon that serves pods whatever becomes of all that.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::cluster::{DAEMON_PATIENCE, Member};
use e2e::mock::{Fault, FaultKind};
use e2e::node::http::{self, METRICS, sample};
use serde_json::Value;

use crate::fixture::{
    M5_LARGE, SOON, add_pods, config, eventually, launch, refusal, start, status_json,
};

const INTROSPECTION: u16 = 61679;
const ASSIGN: &str = "AssignPrivateIpAddresses";
/// The daemon tries each 10 s to listen.
const LISTENS_AGAIN: Duration = Duration::from_secs(30);

fn get(member: &Member, address: Ipv4Addr, port: u16, path: &str) -> anyhow::Result<(u16, String)> {
    http::get(member.node.netns(), address, port, path)
}

fn scrape(member: &Member) -> anyhow::Result<String> {
    http::scrape(member.node.netns(), member.address())
}

fn requests(text: &str, verb: &str, result: &str) -> anyhow::Result<f64> {
    let labels = format!("result=\"{result}\",verb=\"{verb}\"");
    sample(
        text,
        &format!("berth_cni_request_duration_seconds_count{{{labels}}}"),
    )
}

/// Calls by action, whatever their outcome.
fn calls(text: &str) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut calls = BTreeMap::new();
    for line in text.lines() {
        let Some(labels) = line.strip_prefix("berth_ec2_requests_total{action=\"") else {
            continue;
        };
        let action = labels.split('"').next().unwrap_or_default().to_owned();
        let count: u64 = line.rsplit(' ').next().context("no value")?.parse()?;
        *calls.entry(action).or_default() += count;
    }
    Ok(calls)
}

#[test]
fn metrics_move_with_what_happens() -> anyhow::Result<()> {
    let settings = [("BERTH_ADD_WAIT_SECONDS", "3"), ("IP_COOLDOWN_PERIOD", "1")];
    let Some(cluster) = start(config("metrics"), M5_LARGE, 1, &settings)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let before = eventually("a scrape", SOON, || scrape(member))?;
    let pod = add_pods(member, "pod", 1)?.pop().context("one pod")?;
    let with = scrape(member)?;
    ensure!(requests(&with, "add", "ok")? - requests(&before, "add", "ok")? == 1.0);
    ensure!(
        sample(&with, "berth_addresses{state=\"used\"}")? == 1.0,
        "{with}"
    );
    ensure!(sample(&with, "berth_add_wait_seconds_count{reason=\"none\"}")? == 1.0);
    member.node.del_pod(pod)?;
    let without = scrape(member)?;
    ensure!(requests(&without, "del", "ok")? - requests(&with, "del", "ok")? >= 1.0);
    ensure!(sample(&without, "berth_addresses{state=\"used\"}")? == 0.0);
    agrees_with_ec2(&cluster, member)?;
    throttled(&cluster, member)
}

/// Metrics, status and EC2 itself count the same calls.
fn agrees_with_ec2(cluster: &e2e::cluster::Cluster, member: &Member) -> anyhow::Result<()> {
    eventually("three counts that agree", SOON, || {
        member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
        let told = calls(&scrape(member)?)?;
        let status: BTreeMap<String, u64> =
            serde_json::from_value(status_json(&member.node)?["ec2_calls"].clone())?;
        let made = cluster.cloud().counts();
        ensure!(told == made, "metrics {told:?}, EC2 {made:?}");
        ensure!(status == made, "status {status:?}, EC2 {made:?}");
        Ok(())
    })
}

/// A throttle is in all that one scrape tells. It is left for `scripts/check-monitoring`.
fn throttled(cluster: &e2e::cluster::Cluster, member: &Member) -> anyhow::Result<()> {
    let throttle = Fault::always("*", FaultKind::Throttle);
    cluster.cloud().fault(throttle);
    let free = member.node.status()?.addresses.free;
    let _pods = add_pods(member, "more", usize::try_from(free)?)?;
    let text = eventually("a throttled scrape", LISTENS_AGAIN, || {
        let error = refusal(member.node.add_pod("waits", &[]))?;
        ensure!(error.msg.contains("EC2 throttles"), "{error}");
        let text = scrape(member)?;
        let active = sample(&text, "berth_reason_active{reason=\"Throttled\"}")?;
        ensure!(active == 1.0, "no active reason");
        Ok(text)
    })?;
    ensure!(requests(&text, "add", "Throttled")? >= 1.0, "{text}");
    ensure!(sample(&text, "berth_add_wait_seconds_count{reason=\"Throttled\"}")? >= 1.0);
    let labels = format!("action=\"{ASSIGN}\",outcome=\"Throttled\"");
    ensure!(sample(&text, &format!("berth_ec2_requests_total{{{labels}}}"))? >= 1.0);
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/metrics.txt");
    std::fs::write(kept, text)?;
    Ok(())
}

#[test]
fn the_subnet_is_told_as_ec2_has_it() -> anyhow::Result<()> {
    let Some(cluster) = start(config("subnet"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let series = format!(
        "berth_subnet_free_addresses{{subnet=\"{}\"}}",
        cluster.cloud().state().first_subnet
    );
    let told = eventually("the figure", SOON, || {
        let told = sample(&scrape(member)?, &series)?;
        ensure!(told > 0.0, "no figure");
        Ok(told)
    })?;
    let state = cluster.cloud().state();
    let capacity = f64::from(state.subnet(&state.first_subnet)?.capacity());
    ensure!(
        told < capacity && told > capacity - 10.0,
        "{told} of {capacity}"
    );
    Ok(())
}

#[test]
fn a_missing_permission_costs_one_figure_and_is_named() -> anyhow::Result<()> {
    let Some(cluster) = launch(config("figure"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let denied = Fault::always("DescribeSubnets", FaultKind::AccessDenied);
    cluster.cloud().fault(denied);
    cluster.start_daemons()?;
    let member = &cluster.members[0];
    eventually("the denial", SOON, || {
        let degraded = &status_json(&member.node)?["degraded"][0];
        ensure!(degraded["feature"] == "subnet-free-addresses", "{degraded}");
        let told = degraded["message"].as_str().unwrap_or_default();
        ensure!(
            told.contains("access denied for ec2:DescribeSubnets"),
            "{told}"
        );
        Ok(())
    })?;
    let text = scrape(member)?;
    ensure!(!text.contains("berth_subnet_free_addresses{"));
    ensure!(sample(&text, "berth_degraded{feature=\"subnet-free-addresses\"}")? == 1.0);
    add_pods(member, "pod", 1)?;
    Ok(())
}

#[test]
fn probes_tell_alive_from_ready() -> anyhow::Result<()> {
    let settings = [("BERTH_METRICS_BIND_ADDRESS", "0.0.0.0:61678")];
    let Some(cluster) = launch(config("probes"), M5_LARGE, 1, &settings)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let error = FaultKind::Error {
        code: "InternalError".to_owned(),
        status: 500,
    };
    cluster.cloud().fault(Fault::always("IMDS", error));
    cluster.start_daemons()?;
    let probe = |path: &str| get(member, Ipv4Addr::LOCALHOST, METRICS, path);
    let alive = eventually("an answer", SOON, || probe("/livez"))?;
    ensure!(alive.0 == 200, "{alive:?}");
    let (status, why) = probe("/readyz")?;
    ensure!(status == 503 && why.contains("metadata"), "{status}: {why}");
    ensure!(sample(&probe("/metrics")?.1, "berth_ready")? == 0.0);
    let page = status_json(&member.node)?;
    ensure!(
        page["serving"] == false && page["not_serving"].is_string(),
        "{page}"
    );
    cluster.cloud().clear_faults();
    eventually("ready", SOON, || {
        let (status, why) = probe("/readyz")?;
        ensure!(status == 200, "{status}: {why}");
        Ok(())
    })
}

#[test]
fn enis_are_shown_as_aws_node_shows_them_on_the_loopback_only() -> anyhow::Result<()> {
    let Some(cluster) = start(config("enis"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let pod = add_pods(member, "web", 1)?.pop().context("one pod")?;
    let (status, text) = get(member, Ipv4Addr::LOCALHOST, INTROSPECTION, "/v1/enis")?;
    ensure!(status == 200, "{status}: {text}");
    let document: Value = serde_json::from_str(&text)?;
    let card = &document["0"];
    ensure!(card["AssignedIPs"] == 1, "{card}");
    let enis = card["ENIs"].as_object().context("no ENIs")?;
    let primary = enis.values().find(|eni| eni["IsPrimary"] == true);
    let primary = primary.context("no primary")?;
    ensure!(
        primary["DeviceNumber"] == 0 && primary["IsTrunk"] == false,
        "{primary}"
    );
    ensure!(
        primary["SubnetID"] == cluster.cloud().state().first_subnet,
        "{primary}"
    );
    let address = pod.address.to_string();
    let cidr = format!("{address}/32");
    let shown = enis.values().map(|eni| &eni["AvailableIPv4Cidrs"][&cidr]);
    let shown = shown.map(|cidr| &cidr["IPAddresses"][&address]);
    let shown = shown.into_iter().find(|entry| entry.is_object());
    let shown = shown.with_context(|| format!("{address} is not in {text}"))?;
    ensure!(shown["IPAMMetadata"]["k8sPodName"] == pod.name, "{shown}");
    ensure!(shown["IPAMKey"]["containerID"] == "", "{shown}");
    ensure!(
        !text.contains(&pod.attachment.container_id),
        "a sandbox is public"
    );
    let outside = get(member, member.address(), INTROSPECTION, "/v1/enis");
    ensure!(outside.is_err(), "the list is served on the node's address");
    Ok(())
}

#[test]
fn a_taken_port_is_told_and_pods_are_served_all_the_same() -> anyhow::Result<()> {
    let Some(cluster) = launch(config("port"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let taken = (Ipv4Addr::UNSPECIFIED, METRICS);
    let squatter = member.node.netns().run(|| TcpListener::bind(taken))??;
    cluster.start_daemons()?;
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    add_pods(member, "pod", 2)?;
    let degraded =
        || -> anyhow::Result<Value> { Ok(status_json(&member.node)?["degraded"].clone()) };
    eventually("the taken port", SOON, || {
        let told = degraded()?;
        ensure!(told[0]["feature"] == "metrics", "{told}");
        ensure!(told[0]["message"].to_string().contains("61678"), "{told}");
        Ok(())
    })?;
    drop(squatter);
    eventually("metrics", LISTENS_AGAIN, || scrape(member))?;
    let told = degraded()?;
    ensure!(told[0]["feature"] != "metrics", "{told}");
    Ok(())
}

#[test]
fn what_is_switched_off_is_not_there() -> anyhow::Result<()> {
    let settings = [
        ("DISABLE_METRICS", "true"),
        ("DISABLE_INTROSPECTION", "true"),
    ];
    let Some(cluster) = start(config("off"), M5_LARGE, 1, &settings)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    add_pods(member, "pod", 1)?;
    // As with aws-node, no probe hangs by the metrics: kubelet would not take the pod for ready.
    eventually("ready", SOON, || {
        let ready = get(member, member.address(), METRICS, "/readyz")?;
        ensure!(ready.0 == 200, "{ready:?}");
        Ok(())
    })?;
    let alive = get(member, member.address(), METRICS, "/livez")?;
    ensure!(alive.0 == 200, "{alive:?}");
    let metrics = get(member, member.address(), METRICS, "/metrics")?;
    ensure!(metrics.0 == 404, "metrics are served");
    let enis = get(member, Ipv4Addr::LOCALHOST, INTROSPECTION, "/v1/enis");
    ensure!(enis.is_err(), "the list is served");
    Ok(())
}
