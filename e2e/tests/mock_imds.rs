//! Instance metadata of the mock over raw HTTP: tokens, the tree, and its lag in both directions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "mock/client.rs"]
mod client;

use std::time::{Duration, Instant};

use client::{Answer, request, start};
use e2e::mock::{CloudConfig, Fault, FaultKind, IMDS, Node};

async fn token(node: &Node) -> String {
    let url = format!("{}/latest/api/token", node.imds_url);
    let ttl = [("X-aws-ec2-metadata-token-ttl-seconds", "60")];
    request(&url, "PUT", &ttl, "")
        .await
        .unwrap()
        .expect_ok()
        .body
}

async fn get(node: &Node, path: &str) -> Answer {
    let token = token(node).await;
    let url = format!("{}/latest/{path}", node.imds_url);
    let headers = [("X-aws-ec2-metadata-token", token.as_str())];
    request(&url, "GET", &headers, "").await.unwrap()
}

async fn meta(node: &Node, path: &str) -> String {
    get(node, &format!("meta-data/{path}"))
        .await
        .expect_ok()
        .body
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_without_a_token() {
    let (_cloud, node) = start(CloudConfig::api_only()).await;
    let mac = format!("{}/latest/meta-data/mac", node.imds_url);
    let made_up = [("X-aws-ec2-metadata-token", "made-up")];
    assert_eq!(request(&mac, "GET", &[], "").await.unwrap().status, 401);
    assert_eq!(
        request(&mac, "GET", &made_up, "").await.unwrap().status,
        401
    );
    let token = format!("{}/latest/api/token", node.imds_url);
    assert_eq!(request(&token, "PUT", &[], "").await.unwrap().status, 400);
    let long = [("X-aws-ec2-metadata-token-ttl-seconds", "21601")];
    assert_eq!(request(&token, "PUT", &long, "").await.unwrap().status, 400);
    assert_eq!(meta(&node, "mac").await, node.mac);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_reads_who_it_is() {
    let (_cloud, node) = start(CloudConfig::api_only()).await;
    let document = get(&node, "dynamic/instance-identity/document")
        .await
        .expect_ok();
    let document: serde_json::Value = serde_json::from_str(&document.body).unwrap();
    assert_eq!(document["instanceId"], node.instance_id);
    assert_eq!(document["instanceType"], "m5.large");
    assert_eq!(document["region"], "us-west-2");
    assert_eq!(document["privateIp"], node.address.to_string());
    for (path, expected) in [
        ("instance-id", node.instance_id.as_str()),
        ("instance-type", "m5.large"),
        ("local-ipv4", &node.address.to_string()),
        ("mac", &node.mac),
        ("placement/availability-zone", "us-west-2a"),
        ("placement/region", "us-west-2"),
        ("iam/security-credentials/", "node"),
    ] {
        assert_eq!(meta(&node, path).await, expected, "{path}");
    }
    let credentials = meta(&node, "iam/security-credentials/node").await;
    let credentials: serde_json::Value = serde_json::from_str(&credentials).unwrap();
    assert_eq!(credentials["Code"], "Success");
    assert!(credentials["Expiration"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_eni_is_a_directory() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let foreign = cloud
        .create_foreign_eni(&node.instance_id, &[])
        .await
        .unwrap();
    let macs = meta(&node, "network/interfaces/macs/").await;
    assert_eq!(macs, format!("{}/\n{}/", node.mac, foreign.mac));
    let base = format!("network/interfaces/macs/{}", foreign.mac);
    let state = cloud.state();
    for (key, expected) in [
        ("device-number", "1"),
        ("interface-id", foreign.id.as_str()),
        ("subnet-id", &foreign.subnet_id),
        ("vpc-id", &state.vpc_id),
        ("security-group-ids", &foreign.groups[0]),
        ("security-groups", "nodes"),
        ("local-ipv4s", &foreign.primary.to_string()),
        ("subnet-ipv4-cidr-block", "10.0.1.0/24"),
        ("vpc-ipv4-cidr-block", "10.0.0.0/16"),
        ("vpc-ipv4-cidr-blocks", "10.0.0.0/16"),
        ("mac", &foreign.mac),
    ] {
        assert_eq!(
            meta(&node, &format!("{base}/{key}")).await,
            expected,
            "{key}"
        );
        assert!(
            meta(&node, &format!("{base}/"))
                .await
                .lines()
                .any(|l| l == key),
            "{key} is not listed"
        );
    }
    for absent in ["network-card", "ipv4-prefix", "ipv6s", "no-such"] {
        assert_eq!(
            get(&node, &format!("meta-data/{base}/{absent}"))
                .await
                .status,
            404,
            "{absent}"
        );
    }
    let nobody = get(
        &node,
        "meta-data/network/interfaces/macs/0a:00:00:00:00:00/interface-id",
    )
    .await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_lags_behind_what_comes_and_what_goes() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    cloud.set_imds_lag(Duration::from_secs(3600));
    let macs = "network/interfaces/macs/";
    // Older than the instance: it knows itself from its first moment.
    assert_eq!(meta(&node, macs).await, format!("{}/", node.mac));
    cloud.set_imds_lag(Duration::ZERO);
    let foreign = cloud
        .create_foreign_eni(&node.instance_id, &[])
        .await
        .unwrap();
    let both = format!("{}/\n{}/", node.mac, foreign.mac);
    assert_eq!(meta(&node, macs).await, both);
    // There must be a past to look back at.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let detach = foreign.attachment.unwrap().id;
    let detach = format!("DetachNetworkInterface AttachmentId={detach}");
    client::ec2(&node.ec2_url, &detach).await.expect_ok();
    client::until("detached", || cloud.enis_of(&node.instance_id).len() == 1).await;
    let gone = Instant::now();
    assert_eq!(meta(&node, macs).await, format!("{}/", node.mac));
    // With a lag that reaches to half a second before the end, the ENI is shown again. A stall between setting the
    // lag and reading may exceed it, so one attempt of many must see it; without lag none would.
    let mut shown = String::new();
    for _ in 0..20 {
        cloud.set_imds_lag(gone.elapsed() + Duration::from_millis(500));
        shown = meta(&node, macs).await;
        if shown == both {
            break;
        }
    }
    assert_eq!(shown, both, "what is gone is shown for a while");
    cloud.set_imds_lag(Duration::ZERO);
    assert_eq!(meta(&node, macs).await, format!("{}/", node.mac));
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_fails_on_demand() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let error = FaultKind::Error {
        code: String::new(),
        status: 503,
    };
    let token = token(&node).await;
    let headers = [("X-aws-ec2-metadata-token", token.as_str())];
    let url = format!("{}/latest/meta-data/mac", node.imds_url);
    cloud.fault(Fault::once(IMDS, error));
    assert_eq!(
        request(&url, "GET", &headers, "").await.unwrap().status,
        503
    );
    cloud.fault(Fault::once(IMDS, FaultKind::LostReply));
    assert!(request(&url, "GET", &headers, "").await.is_none());
    assert_eq!(
        request(&url, "GET", &headers, "").await.unwrap().body,
        node.mac
    );
    assert!(cloud.counts().is_empty(), "IMDS is not counted as EC2");
    assert!(cloud.journal().iter().all(|c| c.action == IMDS));
}
