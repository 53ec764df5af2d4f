//! What happens, counted and timed: the registry, and one method for each thing that is counted.
//!
//! What merely shows how things stand (addresses, ENIs, reasons) is not kept here: it is computed from the actor's report
//! when somebody asks. Names, labels and units are in docs/metrics.md, which a test compares.

mod calls;
#[cfg(test)]
mod documentation;
mod gauges;
#[cfg(test)]
mod tests;
mod writes;

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::dataplane::Object;
use crate::report::Report;

pub use calls::CountedEc2;
pub use writes::CountedStore;

/// From a socket round trip on an idle node (milliseconds) to kubelet's patience (30 s).
const CNI_BUCKETS: &[f64] = &[
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0,
];
/// From one write to a tmpfs, or one change of the kernel's, to the longest wait for an address.
const PART_BUCKETS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0, 25.0,
];
/// From one call to EC2 (half a second) to the longest wait that can be set (24 s).
const WAIT_BUCKETS: &[f64] = &[0.01, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 25.0];
/// EC2's calls take 0.1 to 2 s; the adapter gives up after 10 s.
const EC2_BUCKETS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// One fsync on local NVMe is below a millisecond, on a busy EBS volume a second.
const WRITE_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// The counters. Clones count into the same ones.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    cni: HistogramVec,
    parts: HistogramVec,
    waits: HistogramVec,
    ec2_requests: IntCounterVec,
    ec2_duration: HistogramVec,
    repairs: IntCounterVec,
    writes: HistogramVec,
    tombstones: IntGauge,
    subnets: IntGaugeVec,
}

/// `ok`, or the name of what went wrong.
pub const OK: &str = "ok";

impl Metrics {
    /// An empty registry.
    ///
    /// # Errors
    /// A name or a label that Prometheus does not allow: a bug.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let timed = |name, help, buckets: &[f64], labels: &[&str]| {
            let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            registered(&registry, HistogramVec::new(options, labels)?)
        };
        let counted = |name, help, labels: &[&str]| {
            registered(
                &registry,
                IntCounterVec::new(Opts::new(name, help), labels)?,
            )
        };
        let metrics = Self {
            cni: timed(
                "berth_cni_request_duration_seconds",
                "Time from a CNI request's arrival until its answer, by verb and result (ok, cancelled, or the reason's name).",
                CNI_BUCKETS,
                &["verb", "result"],
            )?,
            parts: timed(
                "berth_cni_part_duration_seconds",
                "Time that ADDs and DELs that succeeded spent in their parts, by verb and part.",
                PART_BUCKETS,
                &["verb", "part"],
            )?,
            waits: timed(
                "berth_add_wait_seconds",
                "Time that ADDs waited for an address until they had one or gave up, by what they waited for last.",
                WAIT_BUCKETS,
                &["reason"],
            )?,
            ec2_requests: counted(
                "berth_ec2_requests_total",
                "Calls to EC2 that have ended, by action and outcome.",
                &["action", "outcome"],
            )?,
            ec2_duration: timed(
                "berth_ec2_request_duration_seconds",
                "Time from a call to EC2 until its answer, by action.",
                EC2_BUCKETS,
                &["action"],
            )?,
            repairs: counted(
                "berth_repairs_total",
                "Things in the kernel that something else changed or removed and that were put back, by kind of object.",
                &["object"],
            )?,
            writes: timed(
                "berth_checkpoint_write_duration_seconds",
                "Time that writing the checkpoint took, fsync included, by result (ok or failed).",
                WRITE_BUCKETS,
                &["result"],
            )?,
            tombstones: tombstones(&registry)?,
            subnets: subnets(&registry)?,
            registry,
        };
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// What begins to exist at 1 has no rate at its first event.
    fn begin_at_zero(&self) {
        for verb in ["add", "del", "check", "gc", "status"] {
            let _ = self.cni.with_label_values(&[verb, OK]);
        }
        for object in Object::ALL {
            let _ = self.repairs.with_label_values(&[object.name()]);
        }
        for result in [OK, "failed"] {
            let _ = self.writes.with_label_values(&[result]);
        }
    }

    /// The counters, and how things stand by `report`, in Prometheus' text format.
    ///
    /// # Errors
    /// A family that contradicts itself: a bug.
    pub fn text(&self, report: &Report) -> Result<String, prometheus::Error> {
        let mut families = self.registry.gather();
        families.extend(gauges::of(report)?);
        TextEncoder::new().encode_to_string(&families)
    }

    /// A CNI request was answered, or its client went away.
    pub fn cni_request(&self, verb: &str, result: &str, took: Duration) {
        let series = self.cni.with_label_values(&[verb, result]);
        series.observe(took.as_secs_f64());
    }

    /// A part of a CNI request that succeeded took so long.
    pub fn request_part(&self, verb: &str, part: &str, took: Duration) {
        let series = self.parts.with_label_values(&[verb, part]);
        series.observe(took.as_secs_f64());
    }

    /// An ADD got its address, or gave up, after so long.
    pub fn waited(&self, reason: &str, waited: Duration) {
        let series = self.waits.with_label_values(&[reason]);
        series.observe(waited.as_secs_f64());
    }

    /// A call to EC2 ended.
    pub fn ec2_call(&self, action: &str, outcome: &str, took: Duration) {
        self.ec2_requests
            .with_label_values(&[action, outcome])
            .inc();
        let series = self.ec2_duration.with_label_values(&[action]);
        series.observe(took.as_secs_f64());
    }

    /// Calls to EC2 that have ended, by action.
    pub fn ec2_calls(&self) -> BTreeMap<String, u64> {
        let mut calls = BTreeMap::new();
        for family in self.ec2_duration.collect() {
            for series in family.get_metric() {
                let action = series.get_label().first().map(|label| label.value());
                let ended = series.get_histogram().get_sample_count();
                calls.insert(action.unwrap_or_default().to_owned(), ended);
            }
        }
        calls
    }

    /// Something else had changed or removed `count` things in the kernel, and they are back.
    pub fn repaired(&self, object: Object, count: u64) {
        self.repairs
            .with_label_values(&[object.name()])
            .inc_by(count);
    }

    /// What was put back so far, by kind of object; those of which nothing was are left out.
    pub fn repairs(&self) -> BTreeMap<String, u64> {
        let counted = |object: Object| {
            let count = self.repairs.with_label_values(&[object.name()]).get();
            (count > 0).then(|| (object.name().to_owned(), count))
        };
        Object::ALL.into_iter().filter_map(counted).collect()
    }

    /// The checkpoint was written, or not.
    pub fn checkpoint_written(&self, result: &str, took: Duration) {
        let series = self.writes.with_label_values(&[result]);
        series.observe(took.as_secs_f64());
    }

    /// So many addresses a subnet has left, if that is known.
    pub fn set_subnet_free(&self, subnet: &str, free: Option<u32>) {
        match free {
            Some(free) => self.subnets.with_label_values(&[subnet]).set(free.into()),
            // An error says that it is not there.
            None => drop(self.subnets.remove_label_values(&[subnet])),
        }
    }

    /// How many addresses the subnets have left, as far as EC2 said so lately.
    pub fn subnets(&self) -> BTreeMap<String, u64> {
        let mut subnets = BTreeMap::new();
        for family in self.subnets.collect() {
            for series in family.get_metric() {
                let subnet = series.get_label().first().map(|label| label.value());
                // A count that came as u32.
                let free = series.get_gauge().get_value() as u64;
                subnets.insert(subnet.unwrap_or_default().to_owned(), free);
            }
        }
        subnets
    }

    /// So many tombstones were replayed without success.
    pub fn set_tombstones(&self, waiting: usize) {
        self.tombstones
            .set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// How many tombstones wait for another try.
    pub fn tombstones(&self) -> u64 {
        u64::try_from(self.tombstones.get()).unwrap_or(0)
    }
}

fn tombstones(registry: &Registry) -> Result<IntGauge, prometheus::Error> {
    let gauge = IntGauge::new(
        "berth_tombstones_waiting",
        "DELs that met no daemon, were replayed, failed, and will be tried again.",
    )?;
    registered(registry, gauge)
}

fn subnets(registry: &Registry) -> Result<IntGaugeVec, prometheus::Error> {
    let options = Opts::new(
        "berth_subnet_free_addresses",
        "Addresses that EC2 says the subnet has left, as of the last minute; absent when EC2 does not say.",
    );
    registered(registry, IntGaugeVec::new(options, &["subnet"])?)
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
