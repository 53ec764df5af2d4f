//! Section `add`: ADD and DEL from before a program is started until it is gone, of berth, of the floor and of peers, on
//! nodes with few and many pods, on every kind of address and ENI, with the state in memory and on disk, and thirty at once.

pub mod burst;
pub mod chain;
pub mod contest;
pub mod contestant;
pub mod floor;
pub mod growth;
pub mod peers;
pub mod program;
pub mod sandbox;
pub mod share;
pub mod stand;
pub mod walk;

use anyhow::Context;

use self::chain::BERTH;
use self::walk::Walk;
use crate::report::FLOOR;
use crate::section::{Bench, Section};

/// What it is.
pub const SECTION: Section = Section {
    name: "add",
    about: "ADD and DEL: berth, the floor, peers; few and many pods; thirty at once",
    run,
};

/// 15 ENIs of 49 single addresses or prefixes: of prefixes, the primary ENI has room for 784 pods.
const LARGE: &str = "m5.24xlarge";
/// 3 ENIs of 9 prefixes: the primary one has room for 144 pods.
const SMALL: &str = "m5.large";
const PREFIXES: (&str, &str) = ("ENABLE_PREFIX_DELEGATION", "true");
const SINGLE: (&str, &str) = ("ENABLE_PREFIX_DELEGATION", "false");
const CHECKPOINT: &str = "AWS_VPC_K8S_CNI_BACKING_STORE";
/// Of the walk that the goals are taken from.
const PODS: [u32; 6] = [0, 30, 110, 250, 500, 1000];
/// Of the node that is full, for the goal about growth.
const FULL: u32 = 500;

fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let quick = bench.quick;
    let disk = bench.disk.join("ipam.json").display().to_string();
    let disk = [PREFIXES, (CHECKPOINT, disk.as_str())];
    let (many, few, bursts) = if quick { (2, 2, 2) } else { (120, 48, 12) };
    let walk = |suffix, instance_type, settings, pods| Walk {
        suffix,
        instance_type,
        settings,
        pods: if quick { &[2] } else { pods },
        rounds: few,
        beside_peers: None,
    };
    let walks = [
        Walk {
            pods: if quick { &[0, 2] } else { &PODS },
            rounds: many,
            beside_peers: Some(if quick { [2, 2] } else { [36, 12] }),
            ..walk("", LARGE, &[PREFIXES], &PODS)
        },
        // 49 pods on the primary ENI, the others on secondary ones
        walk(" single", LARGE, &[SINGLE], &[0, 30, 110, 250, 500]),
        // 144 pods on the primary ENI
        walk(" small", SMALL, &[PREFIXES], &[110, 250]),
        walk(" disk", LARGE, &disk, &[0, 250]),
    ];
    for walk in &walks {
        walk.go(bench)
            .with_context(|| format!("add{}", walk.suffix))?;
    }
    growth::measure(bench, if quick { 2 } else { FULL }, many)?;
    burst::measure(bench, bursts)?;
    goals(bench);
    Ok(())
}

/// The goals by their rows. Those beside peers are from the contest that the peers took part in.
fn goals(bench: &mut Bench) {
    let record = &bench.record;
    let p50 = |name: &str, of: &str| record.p50_us(name, of, 0);
    let (growth, full) = ("add growth", if bench.quick { 2 } else { FULL });
    let goals = [
        ("add_over_floor", p50("add", BERTH), p50("add", FLOOR)),
        (
            "add_500_over_0",
            record.p50_us(growth, BERTH, full),
            p50(growth, BERTH),
        ),
        ("del_over_floor", p50("del", BERTH), p50("del", FLOOR)),
        (
            "ptp_over_add",
            p50("add peers", peers::PTP),
            p50("add peers", BERTH),
        ),
        (
            "ptp_masq_over_add",
            p50("add peers", peers::PTP_MASQ),
            p50("add peers", BERTH),
        ),
        (
            "burst30_over_floor",
            p50(burst::NAME, BERTH),
            p50(burst::NAME, FLOOR),
        ),
    ];
    for (name, above, below) in goals {
        if let (Some(above), Some(below)) = (above, below) {
            bench.record.goal(name, above / below);
        }
    }
}
