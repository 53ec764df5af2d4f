//! berth behind a plugin that made the interface: the pod has both addresses.

use std::net::Ipv4Addr;

use anyhow::{Context, ensure};
use e2e::netns::Netns;
use e2e::netns::snapshot::Snapshot;
use e2e::node::programs::{BERTH_CNI, DEBIAN_PLUGINS, cni_path};
use e2e::node::{NETWORK, Node, POD_NAMESPACE};
use e2e::probe::Patience;
use e2e::probe::ping::ping;
use e2e::runtime::Runtime;
use e2e::runtime::attachment::{Attachment, random_container_id};
use e2e::runtime::conflist::Conflist;
use serde_json::json;

use crate::fixture::{M5_LARGE, SOON, as_before, config, start};

/// What `ptp` gives: a network that the VPC knows nothing of.
const PTP_SUBNET: &str = "192.168.77.0/24";

#[test]
fn chained_behind_ptp() -> anyhow::Result<()> {
    let Some(cluster) = start(config("chain"), M5_LARGE, 2, &[])? else {
        return Ok(());
    };
    let [member, other] = &cluster.members[..] else {
        anyhow::bail!("two nodes were asked for")
    };
    if !has_ptp()? {
        return Ok(());
    }
    let host = member.node.netns();
    let runtime = runtime(&member.node)?;
    let before = Snapshot::take(host)?;
    let sandbox = Netns::unique("chain-pod")?;
    let id = random_container_id()?;
    let attachment = Attachment::of_pod(POD_NAMESPACE, "both", id, sandbox.path().to_owned());
    let added = runtime.add(host, &attachment)?;
    let ips = added.result.json()["ips"].as_array().context("no ips")?;
    let address = |index: usize| -> anyhow::Result<Ipv4Addr> {
        let text = ips.get(index).and_then(|ip| ip["address"].as_str());
        let text = text.with_context(|| format!("no address {index} in {ips:?}"))?;
        Ok(text.split('/').next().unwrap_or_default().parse()?)
    };
    let (of_ptp, of_berth) = (address(0)?, address(1)?);
    ensure!(
        ips.len() == 2 && of_ptp.octets()[..3] == [192, 168, 77],
        "{ips:?}"
    );
    let inside = sandbox.ip(&["-4", "-o", "addr", "show", "eth0"])?;
    for address in [of_ptp, of_berth] {
        ensure!(inside.contains(&format!("inet {address}/")), "{inside}");
    }
    let held = member.node.status()?;
    ensure!(
        held.attachments.len() == 1 && held.attachments[0].address == of_berth,
        "{held:?}"
    );
    ping(host, of_ptp, Patience::USUAL)?;
    ping(host, of_berth, Patience::USUAL)?;
    ping(other.node.netns(), of_berth, Patience::USUAL)?;
    runtime.del(host, &attachment)?;
    as_before(&member.node, &before, SOON)?;
    let links = sandbox.ip(&["-o", "link"])?;
    ensure!(links.lines().count() == 1, "in the sandbox: {links}");
    ensure!(member.node.status()?.attachments.is_empty());
    // a runtime may repeat it
    runtime.del(host, &attachment).map(drop)?;
    Ok(())
}

/// Whether Debian's `ptp` is there; with `CI` it must be.
fn has_ptp() -> anyhow::Result<bool> {
    let there = std::path::Path::new(DEBIAN_PLUGINS).join("ptp").is_file();
    ensure!(
        there || std::env::var_os("CI").is_none(),
        "{DEBIAN_PLUGINS}/ptp is required when CI is set"
    );
    if !there {
        eprintln!("skipped: no {DEBIAN_PLUGINS}/ptp (containernetworking-plugins)");
    }
    Ok(there)
}

/// A runtime of the node with `ptp` in front of berth.
fn runtime(node: &Node) -> anyhow::Result<Runtime> {
    let dir = node.socket();
    let dir = dir.parent().context("a directory")?;
    let list = json!({"name": NETWORK, "cniVersion": "1.0.0", "plugins": [
        {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "subnet": PTP_SUBNET,
            "routes": [{"dst": "0.0.0.0/0"}], "dataDir": dir.join("host-local")}},
        {"type": BERTH_CNI, "socket": node.socket(), "tombstones": dir.join("tombstones")},
    ]});
    let conflist = Conflist::from_json(list)?;
    Ok(Runtime::new(conflist, cni_path(), &dir.join("cni-chained")))
}
