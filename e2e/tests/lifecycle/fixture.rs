//! What the tests share: a cloud with nodes, pods by the dozen, and the questions that are asked of them afterwards.

use std::fs;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
pub use e2e::aftermath::{SOON, as_before, eventually, no_pods_left};
use e2e::cluster::{Cluster, DAEMON_PATIENCE, Member};
use e2e::mock::{Call, CloudConfig, Latency};
use e2e::netns::{output, require_netns};
use e2e::node::Node;
use e2e::node::pod::Pod;
use e2e::node::programs::{BERTHD, find};
use e2e::probe::Patience;
use e2e::probe::sweep::{Leg, ping_all};
use e2e::runtime::failure::{ChainFailure, CniError};
use serde_json::Value;

/// 3 ENIs with 9 secondary addresses each.
pub const M5_LARGE: &str = "m5.large";
/// Secondary addresses of one ENI of [`M5_LARGE`].
pub const PER_ENI: usize = 9;
/// 2 ENIs with 1 secondary address each: full with two pods.
pub const T3_NANO: &str = "t3.nano";
/// "Try again later" (CNI specification, "Error").
pub const TRY_AGAIN: u64 = 11;
/// What berth keeps free at most on a node with ten pods or fewer (`ipam::policy::reserve`).
pub const RESERVE: usize = 2;

/// A cloud that answers after some milliseconds, so that calls overlap as real ones do.
pub fn config(name: &str) -> CloudConfig {
    CloudConfig {
        name: name.to_owned(),
        latency: Latency::flat(Duration::from_millis(20)),
        ..CloudConfig::fast()
    }
}

/// Nodes without daemons; none where namespaces are not to be had (and `CI` is not set).
pub fn launch(
    config: CloudConfig,
    instance_type: &str,
    nodes: usize,
    settings: &[(&str, &str)],
) -> anyhow::Result<Option<Cluster>> {
    if !require_netns()? {
        return Ok(None);
    }
    let cluster = Cluster::launch_with(config, instance_type, nodes, settings)?;
    for member in &cluster.members {
        member.node.use_portmap_once()?;
    }
    Ok(Some(cluster))
}

/// Nodes whose daemons run and have their reserve.
pub fn start(
    config: CloudConfig,
    instance_type: &str,
    nodes: usize,
    settings: &[(&str, &str)],
) -> anyhow::Result<Option<Cluster>> {
    let Some(cluster) = launch(config, instance_type, nodes, settings)? else {
        return Ok(None);
    };
    cluster.start_daemons()?;
    for member in &cluster.members {
        member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    }
    Ok(Some(cluster))
}

/// Adds `count` pods at once; all must come up, each with an address of its own.
pub fn add_pods(member: &Member, prefix: &str, count: usize) -> anyhow::Result<Vec<Pod>> {
    let results: Vec<_> = thread::scope(|scope| {
        let add =
            |number| scope.spawn(move || member.node.add_pod(&format!("{prefix}-{number}"), &[]));
        let threads: Vec<_> = (0..count).map(add).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("an ADD panicked"))
            .collect()
    });
    let pods = results.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    if let Some(address) = e2e::cluster::shared_address(&pods) {
        anyhow::bail!("{address} is with two pods");
    }
    Ok(pods)
}

/// Deletes pods, all at once.
pub fn del_pods(member: &Member, pods: Vec<Pod>) -> anyhow::Result<()> {
    let results: Vec<_> = thread::scope(|scope| {
        let del = |pod| scope.spawn(move || member.node.del_pod(pod));
        let threads: Vec<_> = pods.into_iter().map(del).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a DEL panicked"))
            .collect()
    });
    results
        .into_iter()
        .try_for_each(|deleted| deleted.map(drop))
}

/// The whole document of `berthd status --json`.
pub fn status_json(node: &Node) -> anyhow::Result<Value> {
    let mut command = node.netns().command(&find(BERTHD)?.display().to_string());
    command
        .args(["status", "--json"])
        .env("BERTH_SOCKET", node.socket());
    Ok(serde_json::from_str(&output(&mut command)?)?)
}

/// The reasons in the status, `Name: words` each.
pub fn reasons(node: &Node) -> anyhow::Result<Vec<String>> {
    let status = status_json(node)?;
    let reasons = status["reasons"].as_array().context("no reasons")?;
    let told = |reason: &Value| {
        let (name, message) = (reason["name"].as_str()?, reason["message"].as_str()?);
        Some(format!("{name}: {message}"))
    };
    Ok(reasons.iter().filter_map(told).collect())
}

/// The plugin's error document in a failed [`Node::add_pod`].
pub fn refusal(result: anyhow::Result<Pod>) -> anyhow::Result<CniError> {
    let error = match result {
        Ok(pod) => return Err(anyhow!("ADD gave {} and should have failed", pod.address)),
        Err(error) => error,
    };
    let reported = error
        .downcast_ref::<ChainFailure>()
        .and_then(ChainFailure::reported)
        .cloned();
    reported.with_context(|| format!("not an error of the plugin: {error:#}"))
}

/// The finished calls of one action, in the order they came in.
pub fn calls(cluster: &Cluster, action: &str) -> Vec<Call> {
    let mut calls = cluster.cloud().journal();
    calls.retain(|call| call.action == action);
    calls.sort_by_key(|call| call.at);
    calls
}

/// Pings between the node and each of its pods, both ways.
pub fn answer(member: &Member, pods: &[Pod]) -> anyhow::Result<()> {
    let node = member.node.netns();
    let legs: Vec<_> = pods
        .iter()
        .flat_map(|pod| [leg(node, pod.address), leg(&pod.netns, member.address())])
        .collect();
    ping_all(&legs, Patience::USUAL).map(drop)
}

/// A ping from a namespace, named after it.
pub fn leg(from: &e2e::netns::Netns, to: Ipv4Addr) -> Leg<'_> {
    Leg {
        name: from.name(),
        from,
        to,
    }
}

/// What the daemon logged at a level, over all its lives.
pub fn logged(node: &Node, level: &str) -> anyhow::Result<Vec<Value>> {
    let text = fs::read_to_string(node.log())?;
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(lines.filter(|line| line["level"] == level).collect())
}

/// Runs the mock's own operations, which want a runtime.
pub fn block_on<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future))
}
