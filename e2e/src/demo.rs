//! The demo: berth's main job on two nodes of a mock VPC, shown and checked with real packets.
//!
//! Everything that is said here was measured or seen in this run; a check that fails does not stop the others. The
//! programs under test are executed as they are shipped: nothing of them is linked.

pub mod figures;
mod inside;
mod leftovers;
mod outside;
pub mod progress;
mod upheaval;
mod world;

use std::io::Write;
use std::time::Duration;

use self::figures::{Document, NamedStatus, Percentiles, eni_table, summary};
use self::leftovers::Before;
use self::progress::Progress;
use self::world::World;
use crate::mock::CloudConfig;
use crate::probe::Patience;

/// Nodes of the demo.
const NODES: usize = 2;

/// Pods on each. An m5.large has 9 secondary addresses on an ENI: three of twelve pods need a second one.
const PODS_PER_NODE: u16 = 12;

/// EC2: 3 ENIs with 10 addresses each, of which the first is the ENI's own.
const INSTANCE_TYPE: &str = "m5.large";

/// How long a probe of the demo is repeated: the paths exist, a busy machine may be slow.
const PATIENCE: Patience = Patience {
    attempts: 3,
    wait: Duration::from_secs(2),
    pause: Duration::from_millis(200),
};

/// Runs the demo, writes its commentary to `out`, and returns the figures.
///
/// # Errors
/// The world could not be built, or `out` is closed. A check that failed is no error: it is in the document.
pub fn run(out: &mut dyn Write) -> anyhow::Result<Document> {
    let mut progress = Progress::new(out);
    progress.step(&format!(
        "a mock VPC with {NODES} nodes ({INSTANCE_TYPE}), EC2 as slow as it is"
    ))?;
    let config = CloudConfig {
        name: "demo".to_owned(),
        ..CloudConfig::default()
    };
    let mut world = World::build(config, INSTANCE_TYPE, NODES)?;
    progress.step("berthd is up on each node")?;
    let before = Before::take(&world)?;

    progress.step(&format!("{PODS_PER_NODE} pods a node, all at once"))?;
    progress.check("wait-on-empty-pool", || {
        upheaval::add_all(&mut world, PODS_PER_NODE)
    })?;
    connectivity(&world, &mut progress)?;
    progress.check("daemon-killed", || {
        upheaval::kill_during_adds(&mut world, PODS_PER_NODE)
    })?;

    let statuses = world.statuses()?;
    let pods = world.pods.len();
    progress.step(&format!("all {pods} pods are deleted"))?;
    progress.check("del-leaves-nothing", || {
        leftovers::delete_all(&mut world, &before)
    })?;

    let document = Document {
        nodes: world.cluster.members.len(),
        pods,
        checks: progress.checks().to_vec(),
        held: NamedStatus::total(&statuses, |counts| counts.held),
        used: NamedStatus::total(&statuses, |counts| counts.used),
        ec2_calls: world.cluster.cloud().counts(),
        add_ms: Percentiles::of(&world.adds),
        del_ms: Percentiles::of(&world.dels),
    };
    progress.print(&eni_table(&statuses))?;
    progress.print(&summary(&document))?;
    Ok(document)
}

/// Who reaches whom, and by which way.
fn connectivity(world: &World, progress: &mut Progress<'_>) -> anyhow::Result<()> {
    progress.check("pod-pod-same-node", || inside::same_node(world))?;
    progress.check("pod-pod-cross-node", || inside::cross_node(world))?;
    progress.check("secondary-eni-egress", || inside::secondary_egress(world))?;
    progress.check("pod-node", || inside::pod_to_node(world))?;
    progress.check("node-pod", || inside::node_to_pod(world))?;
    progress.check("internet-snat", || outside::internet(world))?;
    progress.check("hostport-secondary-eni", || outside::host_port(world))?;
    progress.check("source-dest-check", || outside::spoofed(world))?;
    Ok(())
}
