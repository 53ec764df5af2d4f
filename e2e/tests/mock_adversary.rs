//! The mock at its worst: answers that are none, errors after the effect, attachments that fail, and readers that learn
//! of one kind of change later than of the other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "mock/client.rs"]
mod client;

use std::time::Duration;

use client::{Answer, ec2, request, start, until};
use e2e::mock::{CloudConfig, Fault, FaultKind, Garbage, IMDS, Lag, Node, Outcome};

/// Longer than any test runs.
const AGES: Duration = Duration::from_secs(250);
const AGES_MS: u64 = 250_000;

async fn assign(node: &Node) -> Answer {
    let call = format!(
        "AssignPrivateIpAddresses NetworkInterfaceId={} SecondaryPrivateIpAddressCount=1",
        node.primary_eni
    );
    ec2(&node.ec2_url, &call).await
}

/// The addresses that DescribeNetworkInterfaces shows on the primary ENI, its own first.
async fn described(node: &Node) -> Vec<String> {
    let call = format!(
        "DescribeNetworkInterfaces Filter.1.Name=network-interface-id Filter.1.Value.1={}",
        node.primary_eni
    );
    let answer = ec2(&node.ec2_url, &call).await.expect_ok();
    // The ENI's own element names its primary address once more.
    answer.texts("privateIpAddress").split_off(1)
}

async fn imds(node: &Node, path: &str) -> Answer {
    let ttl = [("X-aws-ec2-metadata-token-ttl-seconds", "60")];
    let url = format!("{}/latest/api/token", node.imds_url);
    let token = request(&url, "PUT", &ttl, "").await.unwrap().expect_ok();
    let headers = [("X-aws-ec2-metadata-token", token.body.as_str())];
    let url = format!("{}/latest/meta-data/{path}", node.imds_url);
    request(&url, "GET", &headers, "").await.unwrap()
}

/// The addresses that instance metadata shows on the primary ENI, its own first.
async fn in_metadata(node: &Node) -> Vec<String> {
    let path = format!("network/interfaces/macs/{}/local-ipv4s", node.mac);
    let answer = imds(node, &path).await.expect_ok();
    answer.body.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_comes_with_status_200_and_only_some_of_it_after_the_effect() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    for (shape, done, looks) in [
        (Garbage::Truncated, 1, "<AssignPrivateIpAddressesResponse"),
        (Garbage::WrongRoot, 1, "<ListQueuesResponse"),
        (Garbage::Html, 0, "<!DOCTYPE html>"),
        (Garbage::Empty, 0, ""),
    ] {
        let before = cloud.holdings(&node.instance_id).len();
        let fault = FaultKind::Garbage { shape };
        cloud.fault(Fault::once("AssignPrivateIpAddresses", fault));
        let answer = assign(&node).await.expect_ok();
        assert!(answer.body.contains(looks), "{shape:?}: {}", answer.body);
        let whole = answer.body.contains("</AssignPrivateIpAddressesResponse>");
        assert!(!whole, "{shape:?} is an answer: {}", answer.body);
        let gained = cloud.holdings(&node.instance_id).len() - before;
        assert_eq!(gained, done, "{shape:?}");
        assert_eq!(cloud.journal().last().unwrap().outcome, Outcome::Garbled);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_can_be_garbage_too() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let page = FaultKind::Garbage {
        shape: Garbage::Html,
    };
    // the token is not spoilt
    cloud.fault(Fault::times(IMDS, page, 2));
    assert!(imds(&node, "mac").await.expect_ok().body.contains("<html>"));
    assert_eq!(imds(&node, "mac").await.expect_ok().body, node.mac);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_can_come_after_the_effect() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let late = FaultKind::ErrorAfter {
        code: "InternalError".to_owned(),
        status: 500,
    };
    cloud.fault(Fault::once("AssignPrivateIpAddresses", late));
    assert_eq!(
        assign(&node).await.error(),
        (500, "InternalError".to_owned())
    );
    assert_eq!(cloud.holdings(&node.instance_id).len(), 2);
    // what EC2 itself refuses stays its own refusal
    let late = FaultKind::ErrorAfter {
        code: "InternalError".to_owned(),
        status: 500,
    };
    cloud.fault(Fault::once("DeleteNetworkInterface", late));
    let call = "DeleteNetworkInterface NetworkInterfaceId=eni-1";
    let refused = ec2(&node.ec2_url, call).await;
    assert_eq!(
        refused.error(),
        (400, "InvalidNetworkInterfaceID.NotFound".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_can_fail_after_its_answer() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let eni = cloud.occupy(None, 1).unwrap().id;
    let fails = FaultKind::FailAttach { ms: 100 };
    cloud.fault(Fault::once("AttachNetworkInterface", fails));
    let attach = format!(
        "AttachNetworkInterface NetworkInterfaceId={eni} InstanceId={} DeviceIndex=1",
        node.instance_id
    );
    ec2(&node.ec2_url, &attach).await.expect_ok();
    until("available again", || {
        cloud.state().enis[&eni].status() == "available"
    })
    .await;
    // and it can be attached after all
    ec2(&node.ec2_url, &attach).await.expect_ok();
    until("attached", || cloud.state().is_settled(&node.instance_id)).await;
}

/// An address that has gone, after one that came.
async fn swap(node: &Node) -> (String, String) {
    let gone = assign(node).await.expect_ok().text("privateIpAddress");
    let new = assign(node).await.expect_ok().text("privateIpAddress");
    let call = format!(
        "UnassignPrivateIpAddresses NetworkInterfaceId={} PrivateIpAddress.1={gone}",
        node.primary_eni
    );
    ec2(&node.ec2_url, &call).await.expect_ok();
    (gone, new)
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_can_still_see_what_has_gone_and_all_that_is_there() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let (gone, new) = swap(&node).await;
    let truth = [node.address.to_string(), new];
    let haunted = [truth.as_slice(), &[gone]].concat();
    let fault = || FaultKind::Ghosts { ms: AGES_MS };
    cloud.fault(Fault::once("DescribeNetworkInterfaces", fault()));
    assert_eq!(described(&node).await, haunted);
    assert_eq!(described(&node).await, truth);
    cloud.set_imds_lag(Lag {
        appear: Duration::ZERO,
        vanish: AGES,
    });
    assert_eq!(in_metadata(&node).await, haunted);
}

/// The prefixes that DescribeNetworkInterfaces shows on the primary ENI.
async fn prefixes(node: &Node) -> Vec<String> {
    let call = format!(
        "DescribeNetworkInterfaces NetworkInterfaceId.1={}",
        node.primary_eni
    );
    let answer = ec2(&node.ec2_url, &call).await.expect_ok();
    answer.texts("ipv4Prefix")
}

async fn delegate(node: &Node) -> String {
    let call = format!(
        "AssignPrivateIpAddresses NetworkInterfaceId={} Ipv4PrefixCount=1",
        node.primary_eni
    );
    let answer = ec2(&node.ec2_url, &call).await.expect_ok();
    answer.text("ipv4Prefix")
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_can_be_behind_with_prefixes_in_either_direction() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let (gone, stays) = (delegate(&node).await, delegate(&node).await);
    let call = format!(
        "UnassignPrivateIpAddresses NetworkInterfaceId={} Ipv4Prefix.1={gone}",
        node.primary_eni
    );
    ec2(&node.ec2_url, &call).await.expect_ok();
    let ghosts = FaultKind::Ghosts { ms: AGES_MS };
    cloud.fault(Fault::once("DescribeNetworkInterfaces", ghosts));
    assert_eq!(prefixes(&node).await, [stays.clone(), gone]);
    let truth = [stays];
    assert_eq!(prefixes(&node).await, truth);
    // as below: one attempt of many must hide the later change
    tokio::time::sleep(Duration::from_secs(1)).await;
    let at = tokio::time::Instant::now();
    let later = delegate(&node).await;
    let mut shown = Vec::new();
    for _ in 0..20 {
        let ms = u64::try_from(at.elapsed().as_millis()).unwrap() + 500;
        let hides = FaultKind::Hides { ms };
        cloud.fault(Fault::once("DescribeNetworkInterfaces", hides));
        shown = prefixes(&node).await;
        if !shown.contains(&later) {
            break;
        }
    }
    assert_eq!(shown, truth);
    assert_eq!(prefixes(&node).await, [truth.as_slice(), &[later]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_can_miss_what_is_new_and_see_at_once_what_goes() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let (_gone, new) = swap(&node).await;
    let own = node.address.to_string();
    cloud.set_imds_lag(Lag {
        appear: AGES,
        vanish: Duration::ZERO,
    });
    // an instance knows itself from its first moment: it is older than the first state
    assert_eq!(in_metadata(&node).await, [own.clone(), new.clone()]);
    // a second between two changes; a stall between setting the fault and reading may exceed half of it, so one attempt of
    // many must hide the later change, and without lag none would
    tokio::time::sleep(Duration::from_secs(1)).await;
    let at = tokio::time::Instant::now();
    let later = assign(&node).await.expect_ok().text("privateIpAddress");
    let mut shown = Vec::new();
    for _ in 0..20 {
        let ms = u64::try_from(at.elapsed().as_millis()).unwrap() + 500;
        let fault = FaultKind::Hides { ms };
        cloud.fault(Fault::once("DescribeNetworkInterfaces", fault));
        shown = described(&node).await;
        if !shown.contains(&later) {
            break;
        }
    }
    assert_eq!(shown, [own.clone(), new.clone()]);
    assert_eq!(described(&node).await, [own, new, later]);
}
