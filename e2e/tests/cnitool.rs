//! berth under `cnitool`, which is libcni and so what containerd and CRI-O are made of, and under our own runtime: both
//! must tell the same story of the same list, step by step. That holds berth's results against Go's types, and our
//! runtime against the one that it imitates.
//!
//! Where there is no Go these tests are skipped with a word, also when `CI` is set: `scripts/cnitool` builds the program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "cnitool/driver.rs"]
mod driver;
#[path = "cnitool/story.rs"]
mod story;

use std::path::Path;

use anyhow::{Context, ensure};
use e2e::cluster::Cluster;
use e2e::mock::{CloudConfig, Latency};
use e2e::netns::require_netns;
use e2e::node::programs::{BERTH_CNI, DEBIAN_PLUGINS};
use e2e::node::{NETWORK, Node};
use e2e::runtime::conflist::Version;
use serde_json::{Value, json};

use driver::{Cnitool, Emulator};
use story::Story;

/// A list that the runtimes are given.
struct List {
    name: &'static str,
    versions: &'static [Version],
    plugins: fn(&Node) -> Value,
    /// Whether CHECK passes after an ADD.
    checks: bool,
}

/// Debian's plugins know the versions up to 1.0.0.
const OLD: &[Version] = &[Version::V0_3_1, Version::V0_4_0, Version::V1_0_0];

const LISTS: [List; 3] = [
    List {
        name: "berth alone",
        versions: &Version::ALL,
        plugins: |node| json!([berth(node)]),
        checks: true,
    },
    List {
        name: "berth behind ptp",
        versions: OLD,
        plugins: |node| json!([ptp(node), berth(node)]),
        // ptp wants a connected route for each address of the interface, also for those that others put there; a /32 has
        // none (plugins 1.1.1, pkg/ip, ValidateExpectedInterfaceIPs).
        checks: false,
    },
    List {
        name: "portmap behind berth",
        versions: OLD,
        plugins: |node| {
            let portmap =
                json!({"type": "portmap", "snat": true, "capabilities": {"portMappings": true}});
            json!([berth(node), portmap])
        },
        // portmap's CHECK looks for IPv6 chains too, which a pod without an IPv6 address has none of (plugins 1.1.1).
        checks: false,
    },
];

fn berth(node: &Node) -> Value {
    json!({"type": BERTH_CNI, "socket": node.socket(), "tombstones": node.tombstones()})
}

fn ptp(node: &Node) -> Value {
    json!({"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "subnet": "192.168.78.0/24",
        "routes": [{"dst": "0.0.0.0/0"}], "dataDir": node.dir().join("host-local")}})
}

#[test]
fn libcni_and_our_runtime_tell_the_same_story() -> anyhow::Result<()> {
    let Some(tool) = driver::build()? else {
        return Ok(());
    };
    if !require_netns()? || !has_plugins()? {
        return Ok(());
    }
    let config = CloudConfig {
        name: "cnitool".to_owned(),
        latency: Latency::flat(std::time::Duration::from_millis(5)),
        ..CloudConfig::fast()
    };
    // With so many addresses that none is waited for while others cool down.
    let cluster = Cluster::launch(config, "m5.4xlarge", 1)?;
    cluster.start_daemons()?;
    let member = &cluster.members[0];
    for list in &LISTS {
        for version in list.versions {
            let what = format!("{}, {version}", list.name);
            let plugins = (list.plugins)(&member.node);
            let conf = json!({"name": NETWORK, "cniVersion": version.as_str(), "plugins": plugins});
            let ours = Emulator::new(&member.node, conf.clone())?;
            let theirs = Cnitool::new(&member.node, &tool, &conf)?;
            let ours = Story::of(&ours, &member.node, *version).context(what.clone())?;
            let theirs = Story::of(&theirs, &member.node, *version).context(what.clone())?;
            eprintln!("{what}:\n{theirs}");
            ensure!(
                theirs == ours,
                "{what}: cnitool\n{theirs}\nand our runtime\n{ours}"
            );
            theirs.holds(*version, list.checks).context(what)?;
        }
    }
    Ok(())
}

/// Whether Debian's plugins are there; with `CI` they must be.
fn has_plugins() -> anyhow::Result<bool> {
    let there = Path::new(DEBIAN_PLUGINS).join("ptp").is_file();
    ensure!(
        there || std::env::var_os("CI").is_none(),
        "{DEBIAN_PLUGINS}/ptp is required when CI is set"
    );
    if !there {
        eprintln!("skipped: no {DEBIAN_PLUGINS}/ptp (containernetworking-plugins)");
    }
    Ok(there)
}
