//! The counters by themselves.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use ec2::fake::{FakeEc2, FakeSetup};
use ec2::{Action, Ec2, Kind};

use super::*;
use crate::store::Store;
use crate::store::fake::MemoryStore;

/// One sample of the registry, by its name and its labels as they are written.
fn sample(metrics: &Metrics, series: &str) -> Option<String> {
    let line = |line: &str| Some(line.strip_prefix(series)?.strip_prefix(' ')?.to_owned());
    metrics
        .text(&Report::default())
        .unwrap()
        .lines()
        .find_map(line)
}

#[test]
fn what_is_counted_by_few_labels_begins_at_zero() {
    let metrics = Metrics::new().unwrap();
    for object in Object::ALL {
        let series = format!("berth_repairs_total{{object=\"{}\"}}", object.name());
        assert_eq!(sample(&metrics, &series).as_deref(), Some("0"));
    }
    metrics.repaired(Object::Rule, 2);
    let rules = sample(&metrics, "berth_repairs_total{object=\"rule\"}");
    assert_eq!(rules.as_deref(), Some("2"));
    assert_eq!(metrics.repairs(), BTreeMap::from([("rule".to_owned(), 2)]));
}

#[tokio::test]
async fn calls_to_ec2_are_counted_by_what_came_of_them() {
    let cloud = FakeEc2::new(FakeSetup::default()).unwrap();
    let metrics = Metrics::new().unwrap();
    let counted = CountedEc2::new(cloud.clone(), metrics.clone());
    cloud.fail_next(Action::DescribeInstanceTypes, Kind::Throttled, 1);
    counted
        .describe_instance_type("m5.large")
        .await
        .unwrap_err();
    counted.describe_instance_type("m5.large").await.unwrap();
    counted.describe_instance_type("m5.large").await.unwrap();
    let series = |outcome| {
        let labels = format!("action=\"DescribeInstanceTypes\",outcome=\"{outcome}\"");
        sample(&metrics, &format!("berth_ec2_requests_total{{{labels}}}"))
    };
    assert_eq!(series("ok").as_deref(), Some("2"));
    assert_eq!(series("Throttled").as_deref(), Some("1"));
    assert_eq!(metrics.ec2_calls()["DescribeInstanceTypes"], 3);
}

#[tokio::test]
async fn writes_are_counted_by_result() {
    let disk = MemoryStore::default();
    let metrics = Metrics::new().unwrap();
    let counted = CountedStore::new(disk.clone(), metrics.clone());
    counted.write(Arc::new(Vec::new())).await.unwrap();
    disk.fail(Some("disk full"));
    counted.write(Arc::new(Vec::new())).await.unwrap_err();
    for result in ["ok", "failed"] {
        let name = "berth_checkpoint_write_duration_seconds_count";
        let series = format!("{name}{{result=\"{result}\"}}");
        assert_eq!(sample(&metrics, &series).as_deref(), Some("1"), "{result}");
    }
}

#[test]
fn a_request_is_in_its_bucket() {
    let metrics = Metrics::new().unwrap();
    metrics.cni_request("add", "SubnetFull", Duration::from_millis(300));
    let bucket = |le| {
        let labels = format!("result=\"SubnetFull\",verb=\"add\",le=\"{le}\"");
        let name = "berth_cni_request_duration_seconds_bucket";
        sample(&metrics, &format!("{name}{{{labels}}}")).unwrap()
    };
    assert_eq!((bucket("0.25"), bucket("0.5")), ("0".into(), "1".into()));
}
