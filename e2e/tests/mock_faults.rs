//! Faults and slowness of the mock: what the client sees, and what was done nevertheless.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "mock/client.rs"]
mod client;

use std::time::{Duration, Instant};

use client::{ec2, json, request, start, try_ec2, until};
use e2e::mock::{Cloud, CloudConfig, Fault, FaultKind, Latency, Node, Outcome};

fn tagged(cloud: &Cloud, node: &Node) -> bool {
    cloud.state().enis[&node.primary_eni].tags.contains_key("k")
}

async fn create_tags(node: &Node) -> Option<client::Answer> {
    let eni = &node.primary_eni;
    let call = format!("CreateTags ResourceId.1={eni} Tag.1.Key=k Tag.1.Value=v");
    try_ec2(&node.ec2_url, &call).await
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_on_demand_do_nothing() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let other = FaultKind::Error {
        code: "InternalError".to_owned(),
        status: 500,
    };
    for (kind, status, code) in [
        (FaultKind::Throttle, 503, "RequestLimitExceeded"),
        (FaultKind::AccessDenied, 403, "UnauthorizedOperation"),
        (other, 500, "InternalError"),
    ] {
        cloud.fault(Fault::once("CreateTags", kind));
        let answer = create_tags(&node).await.unwrap();
        assert_eq!(answer.error(), (status, code.to_owned()));
        assert!(!tagged(&cloud, &node));
    }
    create_tags(&node).await.unwrap().expect_ok();
    assert!(tagged(&cloud, &node));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_comes_after_the_effect() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    cloud.fault(Fault::once("CreateTags", FaultKind::LostReply));
    assert!(create_tags(&node).await.is_none(), "an answer came");
    assert!(tagged(&cloud, &node));
    assert_eq!(cloud.journal()[0].outcome, Outcome::ReplyLost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_hangs_and_does_nothing() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    cloud.fault(Fault::once("CreateTags", FaultKind::Timeout));
    let patience = Duration::from_millis(400);
    assert!(
        tokio::time::timeout(patience, create_tags(&node))
            .await
            .is_err(),
        "an answer came"
    );
    assert!(!tagged(&cloud, &node));
    assert_eq!(cloud.journal()[0].outcome, Outcome::NoAnswer);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_does_not_undo_its_call() {
    let mut config = CloudConfig::api_only();
    // Half of it passes before the effect: long against any stall between here and the check.
    config.latency = Latency::flat(Duration::from_secs(4));
    let (cloud, node) = start(config).await;
    let patience = Duration::from_millis(30);
    assert!(
        tokio::time::timeout(patience, create_tags(&node))
            .await
            .is_err()
    );
    assert!(
        !tagged(&cloud, &node),
        "half of the latency must pass before the effect"
    );
    until("done", || tagged(&cloud, &node)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_take_their_latency() {
    let mut config = CloudConfig::api_only();
    config.latency = Latency::flat(Duration::from_millis(200));
    let (cloud, node) = start(config).await;
    let started = Instant::now();
    create_tags(&node).await.unwrap().expect_ok();
    // The jitter is 20 %.
    assert!(started.elapsed() >= Duration::from_millis(160));
    cloud.fault(Fault::once("CreateTags", FaultKind::Slow { ms: 300 }));
    let started = Instant::now();
    create_tags(&node).await.unwrap().expect_ok();
    assert!(started.elapsed() >= Duration::from_millis(460));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_asks_too_much_is_throttled() {
    let mut config = CloudConfig::api_only();
    config
        .rate_limits
        .by_action
        .insert("CreateTags".to_owned(), (2, 0));
    let (_cloud, node) = start(config).await;
    create_tags(&node).await.unwrap().expect_ok();
    create_tags(&node).await.unwrap().expect_ok();
    let answer = create_tags(&node).await.unwrap();
    assert_eq!(answer.error(), (503, "RequestLimitExceeded".to_owned()));
    ec2(&node.ec2_url, "DescribeSubnets").await.expect_ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_describe_shows_the_past_once() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    create_tags(&node).await.unwrap().expect_ok();
    let call = "DescribeNetworkInterfaces Filter.1.Name=tag-key Filter.1.Value.1=k";
    cloud.fault(Fault::once(
        "DescribeNetworkInterfaces",
        FaultKind::Stale { ms: 3_600_000 },
    ));
    for expected in [0, 1] {
        let answer = ec2(&node.ec2_url, call).await.expect_ok();
        assert_eq!(answer.texts("networkInterfaceId").len(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_endpoint_sets_faults_and_tells_what_happened() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let admin = cloud.admin_url();
    let fault = format!(
        r#"{{"action":"CreateTags","kind":"throttle","times":1,"instance":"{}"}}"#,
        node.instance_id
    );
    let headers = [("content-type", "application/json")];
    let set = request(&format!("{admin}/faults"), "POST", &headers, &fault)
        .await
        .unwrap();
    assert_eq!(set.status, 204, "{}", set.body);
    assert_eq!(
        json(&format!("{admin}/faults")).await[0]["kind"],
        "throttle"
    );
    assert_eq!(create_tags(&node).await.unwrap().status, 503);
    assert_eq!(
        json(&format!("{admin}/faults"))
            .await
            .as_array()
            .unwrap()
            .len(),
        0
    );
    let journal = json(&format!("{admin}/journal")).await;
    assert_eq!(journal[0]["action"], "CreateTags");
    assert_eq!(journal[0]["instance"], node.instance_id);
    assert_eq!(journal[0]["outcome"]["refused"], "RequestLimitExceeded");
    assert_eq!(json(&format!("{admin}/counts")).await["CreateTags"], 1);
    let nodes = json(&format!("{admin}/nodes")).await;
    assert_eq!(nodes[0]["enis"][0]["primary"], node.address.to_string());
    let lag = request(&format!("{admin}/lag"), "PUT", &headers, r#"{"imds_ms":5}"#)
        .await
        .unwrap();
    assert_eq!(lag.status, 204);
    let unknown = r#"{"action":"x","kind":"no"}"#;
    let faults = format!("{admin}/faults");
    let bad = request(&faults, "POST", &headers, unknown).await.unwrap();
    assert_eq!(bad.status, 422);
}
