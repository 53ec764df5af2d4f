//! How things stand, as gauges: computed from the actor's report at each scrape, so that nothing is kept twice and no
//! series outlives what it is about.

use std::collections::BTreeMap;

use ipam::Reason;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, Opts};

use crate::degraded::Feature;
use crate::report::Report;

/// The gauges of a report.
///
/// # Errors
/// A name or a label that Prometheus does not allow: a bug.
pub(super) fn of(report: &Report) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let mut families = node(report)?;
    families.extend(pool(report)?);
    families.extend(troubles(report)?);
    Ok(families)
}

fn node(report: &Report) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let mut families = labelled(
        "berth_build_info",
        "The version of berthd; always 1.",
        "version",
        [(report.version.clone(), 1.0)],
    )?;
    families.extend(single(
        "berth_start_time_seconds",
        "When berthd was started, Unix time.",
        report.started_at as f64,
    )?);
    families.extend(single(
        "berth_ready",
        "Whether an ADD would be served if there is an address: 1 or 0.",
        flag(report.serving),
    )?);
    if let Some(described) = report.described_at {
        families.extend(single(
            "berth_ec2_described_timestamp_seconds",
            "When EC2 last described the node's ENIs, Unix time.",
            described as f64,
        )?);
    }
    Ok(families)
}

fn pool(report: &Report) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let counts = &report.addresses;
    let addresses = [
        ("used", counts.used),
        ("cooling", counts.cooling),
        ("free", counts.free),
        ("quarantined", counts.quarantined),
        ("unassigning", counts.unassigning),
    ];
    let mut families = labelled(
        "berth_addresses",
        "Addresses that EC2 has given this node for pods, by state; their sum is what the node holds.",
        "state",
        addresses.map(|(state, count)| (state.to_owned(), f64::from(count))),
    )?;
    let states = ["created", "attaching", "ready", "draining", "detached"];
    let mut enis: BTreeMap<String, f64> = states.map(|state| (state.to_owned(), 0.0)).into();
    enis.insert(FOREIGN.to_owned(), 0.0);
    for eni in &report.enis {
        let state = if eni.ownership == FOREIGN {
            FOREIGN
        } else {
            &eni.state
        };
        *enis.entry(state.to_owned()).or_default() += 1.0;
    }
    families.extend(labelled(
        "berth_enis",
        "ENIs of this node by state; foreign ones are somebody else's and only take a place.",
        "state",
        enis,
    )?);
    families.extend(single(
        "berth_enis_max",
        "ENIs that the instance type, or MAX_ENI, allows; 0 while unknown.",
        f64::from(report.max_enis),
    )?);
    families.extend(single(
        "berth_addresses_max",
        "Addresses that the ENIs could hold for pods if all were there; 0 while unknown.",
        f64::from(report.max_enis) * f64::from(report.addresses_per_eni),
    )?);
    families.extend(reserve(report)?);
    families.extend(single(
        "berth_adds_waiting",
        "ADDs that wait for an address now.",
        report.waiting.len() as f64,
    )?);
    if let Some(expected) = report.expected {
        families.extend(single(
            "berth_pods_expected",
            "Pods bound to this node that have not asked for their address yet; absent while the API server does not say.",
            f64::from(expected),
        )?);
    }
    Ok(families)
}

/// How many free addresses are kept; nothing before the first plan.
fn reserve(report: &Report) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let Some(reserve) = &report.reserve else {
        return Ok(Vec::new());
    };
    let levels = [
        ("low", reserve.low),
        ("high", reserve.high),
        ("keep", reserve.keep),
    ];
    let mut families = labelled(
        "berth_reserve_addresses",
        "Free addresses that are kept: below low more are asked for, up to high; above keep they are given back.",
        "level",
        levels.map(|(level, count)| (level.to_owned(), f64::from(count))),
    )?;
    families.extend(single(
        "berth_surplus_addresses",
        "Free addresses that are too many and go when they have been for long enough.",
        f64::from(reserve.surplus),
    )?);
    Ok(families)
}

/// Of ENIs that are not berth's, in place of a state.
const FOREIGN: &str = "foreign";

fn troubles(report: &Report) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let active = |name: &str| flag(report.reasons.iter().any(|reason| reason.name == name));
    let mut families = labelled(
        "berth_reason_active",
        "Whether this typed reason keeps the pool from being as it should be: 1 or 0.",
        "reason",
        Reason::NAMES.map(|name| (name.to_owned(), active(name))),
    )?;
    let away = |name: &str| flag(report.degraded.iter().any(|entry| entry.feature == name));
    families.extend(labelled(
        "berth_degraded",
        "Whether this feature does not work at present, while pods are served all the same: 1 or 0.",
        "feature",
        Feature::ALL.map(|feature| (feature.name().to_owned(), away(feature.name()))),
    )?);
    families.extend(single(
        "berth_checkpoint_failing",
        "Whether the newest state is not on disk because its write failed: 1 or 0.",
        flag(report.checkpoint_failure.is_some()),
    )?);
    Ok(families)
}

fn flag(set: bool) -> f64 {
    if set { 1.0 } else { 0.0 }
}

fn single(name: &str, help: &str, value: f64) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let gauge = Gauge::new(name, help)?;
    gauge.set(value);
    Ok(gauge.collect())
}

fn labelled(
    name: &str,
    help: &str,
    label: &str,
    values: impl IntoIterator<Item = (String, f64)>,
) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let gauges = GaugeVec::new(Opts::new(name, help), &[label])?;
    for (value, number) in values {
        gauges.with_label_values(&[value]).set(number);
    }
    Ok(gauges.collect())
}
