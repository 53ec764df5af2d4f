//! What the pages, the alert rules and the dashboard say of metrics and reasons, held against the daemon's own.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::time::Duration;

use ipam::Reason;

use super::*;
use crate::degraded::Feature;
use crate::report::ReserveReport;

const METRICS: &str = include_str!("../../../docs/metrics.md");
const OPERATIONS: &str = include_str!("../../../docs/operations.md");
const ALERTS: &str = include_str!("../../../deploy/prometheus/alerts.yaml");
const ALERT_TESTS: &str = include_str!("../../../deploy/prometheus/alerts_test.yaml");
const DASHBOARD: &str = include_str!("../../../deploy/grafana/dashboard.json");

/// Everything that `/metrics` can say.
fn exposition() -> String {
    let metrics = Metrics::new().unwrap();
    metrics.waited("none", Duration::ZERO);
    metrics.request_part("add", "wait", Duration::ZERO);
    metrics.ec2_call("DescribeSubnets", OK, Duration::ZERO);
    metrics.set_subnet_free("subnet-1", Some(1));
    let report = Report {
        described_at: Some(1),
        expected: Some(1),
        reserve: Some(ReserveReport::default()),
        ..Report::default()
    };
    metrics.text(&report).unwrap()
}

/// The metrics' names.
fn families() -> BTreeSet<String> {
    let text = exposition();
    let name = |line: &str| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned());
    text.lines().filter_map(name).collect()
}

/// The names of berth's metrics that a text mentions, a histogram's series by the histogram's name.
fn mentioned(text: &str) -> BTreeSet<String> {
    let families = families();
    let word = |word: &str| {
        let base = ["_bucket", "_count", "_sum"]
            .iter()
            .find_map(|suffix| word.strip_suffix(suffix))
            .filter(|base| families.contains(*base));
        base.unwrap_or(word).to_owned()
    };
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("berth_"))
        .map(word)
        .collect()
}

fn rows(page: &str) -> BTreeSet<String> {
    let name = |line: &str| {
        Some(
            line.strip_prefix("| `berth_")?
                .split('`')
                .next()?
                .to_owned(),
        )
    };
    page.lines()
        .filter_map(name)
        .map(|name| format!("berth_{name}"))
        .collect()
}

#[test]
fn the_page_has_a_row_for_each_metric_and_no_other() {
    assert_eq!(rows(METRICS), families());
}

#[test]
fn nothing_names_a_metric_that_is_not_there() {
    for (what, text) in [
        ("metrics.md", METRICS),
        ("operations.md", OPERATIONS),
        ("alerts.yaml", ALERTS),
        ("alerts_test.yaml", ALERT_TESTS),
        ("dashboard.json", DASHBOARD),
    ] {
        let unknown: Vec<_> = (mentioned(text).difference(&families()).cloned()).collect();
        assert!(unknown.is_empty(), "{what} names {unknown:?}");
    }
}

#[test]
fn the_dashboard_shows_every_metric_somehow() {
    let shown = mentioned(DASHBOARD);
    let left: Vec<_> = families().difference(&shown).cloned().collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn every_reason_has_its_part_and_so_has_every_alert() {
    let headings: BTreeSet<_> = (OPERATIONS.lines())
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    for reason in Reason::NAMES {
        assert!(headings.contains(reason), "no part on {reason}");
    }
    let alerts: Vec<_> = (ALERTS.lines())
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(!alerts.is_empty());
    for alert in &alerts {
        assert!(headings.contains(alert), "no part on {alert}");
        let link = format!("operations.md#{}\"", alert.to_lowercase());
        assert!(ALERTS.contains(&link), "{alert} has no link to its part");
        let tested = ALERT_TESTS
            .matches(&format!("alertname: {alert}\n"))
            .count();
        assert!(tested >= 2, "{alert} has {tested} tests");
    }
    let links = ALERTS.matches("runbook_url:").count();
    assert_eq!(links, alerts.len());
}

#[test]
fn every_value_of_a_label_is_explained() {
    for feature in Feature::ALL {
        assert!(METRICS.contains(&format!("`{}`", feature.name())));
    }
    for object in Object::ALL {
        assert!(
            METRICS.contains(&format!("`{}`", object.name())),
            "{object:?}"
        );
    }
    let states = exposition();
    let state = |line: &str| {
        let labels = line.split_once("{state=\"")?.1;
        Some(labels.split('"').next()?.to_owned())
    };
    for state in states.lines().filter_map(state) {
        assert!(METRICS.contains(&format!("`{state}`")), "{state}");
    }
}

#[test]
fn the_status_document_is_described_field_by_field() {
    let document = serde_json::to_value(Report::default()).unwrap();
    for field in document.as_object().unwrap().keys() {
        let named = [format!("`{field}`"), format!("`{field}[]`")];
        assert!(
            named.iter().any(|name| OPERATIONS.contains(name)),
            "{field} is not described"
        );
    }
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36);
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "panel ids are unique");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        for target in targets {
            let query = target["expr"].as_str().unwrap();
            assert!(
                query.contains("instance=~\"$instance\""),
                "{title}: {query}"
            );
            assert!(!mentioned(query).is_empty(), "{title}: {query}");
        }
        let place = &panel["gridPos"];
        let right = place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap();
        assert!(right <= 24, "{title} does not fit");
    }
}
