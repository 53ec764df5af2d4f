//! What contestants stand on: a mock cloud that answers at once, a node for berth and one for the floor, each with an
//! addressed eth0, and as many pods on both.

use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::cluster::{Cluster, DAEMON_PATIENCE};
use e2e::mock::{CloudConfig, SubnetSpec};
use e2e::node::Node;

/// Free addresses beside those of the pods: more than are ever added at once, so that every ADD is from stock.
const STOCK: u32 = 48;
/// How long a pool may take to fill.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pods of the floor have the addresses after this one: of the VPC, and of no subnet of it.
pub const FLOOR_PODS: Ipv4Addr = Ipv4Addr::new(10, 0, 128, 0);

/// Launches `nodes` nodes of a type. Freed addresses do not rest: a batch would else wait for the one before it.
///
/// # Errors
/// As [`Cluster::launch_with`].
pub fn launch(
    instance_type: &str,
    nodes: usize,
    settings: &[(&str, &str)],
) -> anyhow::Result<Cluster> {
    let cidr = "10.0.0.0/17".parse()?;
    let zone = "us-west-2a".to_owned();
    let config = CloudConfig {
        name: "add".to_owned(),
        subnets: vec![SubnetSpec { cidr, zone }],
        ..CloudConfig::fast()
    };
    let settings = [&[("IP_COOLDOWN_PERIOD", "0")], settings].concat();
    Cluster::launch_with(config, instance_type, nodes, &settings)
}

/// Starts the node's daemon, or starts it anew, to hold what `pods` need and a stock, and waits until it does.
///
/// # Errors
/// It does not start, or does not get them.
pub fn stock(node: &mut Node, pods: u32) -> anyhow::Result<()> {
    // the first time there is none to stop
    let _ = node.stop_daemon(DAEMON_PATIENCE);
    let wanted = pods + STOCK;
    node.set("MINIMUM_IP_TARGET", &wanted.to_string());
    node.start_daemon(DAEMON_PATIENCE)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = node.status()?;
        if status.addresses.held >= wanted && status.intents.is_empty() {
            return Ok(());
        }
        let held = status.addresses.held;
        ensure!(
            Instant::now() < deadline,
            "{held} of {wanted} addresses after {PATIENCE:?}"
        );
        sleep(Duration::from_millis(50));
    }
}

/// The device index of the ENI that `address` is on.
///
/// # Errors
/// The daemon does not know it.
pub fn device_of(node: &Node, address: Ipv4Addr) -> anyhow::Result<u32> {
    let status = node.status()?;
    let eni = status.eni_of(address);
    Ok(eni
        .with_context(|| format!("no pod has {address}"))?
        .device_index)
}
