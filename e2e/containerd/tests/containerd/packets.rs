//! What containers can reach and be reached by: pods of the same and of another node, host ports, bandwidth limits.

use std::net::SocketAddrV4;

use anyhow::{Context, ensure};
use e2e::aftermath::{SOON, eventually};
use e2e::netns::output;
use e2e::probe::{Patience, tcp};
use serde_json::Value;

use containerd::bed::{Bed, Worker};
use containerd::sandbox::{EGRESS, INGRESS, Sandbox, at_once, pod, port};
use containerd::traces::OF_A_RUNNING_SANDBOX;

const M5_LARGE: &str = "m5.large";
/// Where the pods' servers listen.
const POD_PORT: u16 = 8080;
/// The ports of a node that lead to its pods.
const HOST_PORTS: [u16; 2] = [30_001, 30_002];

/// A sandbox with a container in it, and the node that both are on.
struct Pod<'a> {
    worker: Worker<'a>,
    sandbox: Sandbox,
    container: String,
}

#[test]
fn containers_of_two_nodes_reach_each_other_and_their_host_ports_are_open() -> anyhow::Result<()> {
    let Some(bed) = Bed::start("packets", M5_LARGE, 2)? else {
        return Ok(());
    };
    let mut pods = Vec::new();
    for index in 0..2 {
        let worker = bed.worker(index);
        for host_port in HOST_PORTS {
            let mut config = pod(worker, &format!("pod-{index}-{host_port}"));
            config.port_mappings = vec![port(host_port, POD_PORT)];
            let sandbox = Sandbox::run(worker, config)?;
            let container = sandbox.container(worker, "main", &["sleep", "3600"])?;
            pods.push(Pod {
                worker,
                sandbox,
                container,
            });
        }
    }
    // what is asked at the end can be answered with yes
    for index in 0..2 {
        let traces = bed.worker(index).traces()?;
        ensure!(traces.kinds() == OF_A_RUNNING_SANDBOX, "{traces:?}");
    }
    everybody_answers_everybody(&pods)?;
    host_ports_are_open(&bed, &pods)?;
    for pod in pods {
        pod.sandbox.end(pod.worker)?;
    }
    (0..2).try_for_each(|index| bed.worker(index).nothing_left())
}

/// `ping` inside of each container to each pod.
fn everybody_answers_everybody(pods: &[Pod<'_>]) -> anyhow::Result<()> {
    let ping_all = |from: &Pod<'_>| -> anyhow::Result<()> {
        for to in pods {
            let to = to.sandbox.address.to_string();
            let ping = ["/busybox", "ping", "-q", "-c1", "-W2", &to];
            eventually(&format!("{to} answers"), SOON, || {
                from.worker.cri().exec(&from.container, &ping)
            })?;
        }
        Ok(())
    };
    at_once(pods.iter().collect(), ping_all)
        .into_iter()
        .collect()
}

/// From the internet and from the other node, each pod by its node's port; it sees who really asks.
fn host_ports_are_open(bed: &Bed, pods: &[Pod<'_>]) -> anyhow::Result<()> {
    let internet = bed.cluster().internet()?;
    for (number, pod) in pods.iter().enumerate() {
        let _server = tcp::Server::start(&pod.sandbox.netns, POD_PORT)?;
        let here = SocketAddrV4::new(pod.worker.address(), HOST_PORTS[number % HOST_PORTS.len()]);
        let seen = tcp::ask(&internet, here, Patience::USUAL)?;
        ensure!(
            *seen.ip() == e2e::mock::INTERNET_HOST,
            "{here} saw {seen} for the internet"
        );
        let other = bed.worker(1 - number / HOST_PORTS.len());
        let seen = tcp::ask(other.member.node.netns(), here, Patience::USUAL)?;
        ensure!(
            *seen.ip() == other.address(),
            "{here} saw {seen} for {}",
            other.address()
        );
    }
    Ok(())
}

#[test]
fn bandwidth_annotations_become_limits_of_the_pods_link_and_go_with_it() -> anyhow::Result<()> {
    let Some(bed) = Bed::start("bandwidth", M5_LARGE, 1)? else {
        return Ok(());
    };
    let worker = bed.worker(0);
    let mut config = pod(worker, "limited");
    config.annotations = [(INGRESS, "20M"), (EGRESS, "10M")]
        .map(|(key, rate)| (key.to_owned(), rate.to_owned()))
        .into();
    let limited = Sandbox::run(worker, config)?;
    let free = Sandbox::run(worker, pod(worker, "free"))?;
    let link = host_link(worker, &limited.id)?;
    let limits = token_buckets(worker)?;
    ensure!(
        limits
            .iter()
            .any(|(device, rate)| *device == link && *rate == 20_000_000),
        "{link} lets in what it likes: {limits:?}"
    );
    // what leaves the pod is limited on an ifb link, to which it is redirected
    ensure!(
        limits
            .iter()
            .any(|(device, rate)| *device != link && *rate == 10_000_000),
        "{link} lets out what it likes: {limits:?}"
    );
    ensure!(
        limits.len() == 2,
        "the pod {} too: {limits:?}",
        free.address
    );
    for sandbox in [&limited, &free] {
        e2e::probe::ping::ping(&sandbox.netns, worker.address(), Patience::USUAL)?;
    }
    Sandbox::end_all(worker, vec![limited, free])?;
    worker.nothing_left()
}

/// The name of the host's end of a sandbox's link, which berth finds again by its alias too.
fn host_link(worker: Worker<'_>, id: &str) -> anyhow::Result<String> {
    let links: Value = serde_json::from_str(&worker.member.node.netns().ip(&["-j", "link"])?)?;
    let alias = format!("berth:{id}/eth0");
    let link = links
        .as_array()
        .and_then(|links| links.iter().find(|link| link["ifalias"] == *alias))
        .with_context(|| format!("no link has the alias {alias}"))?;
    Ok(link["ifname"].as_str().unwrap_or_default().to_owned())
}

/// Devices of a node that have a token bucket (tc-tbf(8)), with its rate in bits a second.
fn token_buckets(worker: Worker<'_>) -> anyhow::Result<Vec<(String, u64)>> {
    let mut command = worker.member.node.netns().command("tc");
    let shown: Value = serde_json::from_str(&output(command.args(["-j", "qdisc", "show"]))?)?;
    let buckets = shown.as_array().context("no qdiscs")?.iter();
    let rate = |qdisc: &Value| -> Option<(String, u64)> {
        // tc's JSON has bytes a second
        let rate = qdisc["options"]["rate"].as_u64()? * 8;
        Some((qdisc["dev"].as_str()?.to_owned(), rate))
    };
    Ok(buckets
        .filter(|qdisc| qdisc["kind"] == "tbf")
        .filter_map(rate)
        .collect())
}
