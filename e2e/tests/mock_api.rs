//! The EC2 Query API of the mock over raw HTTP: what the calls do and how their answers look.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "mock/client.rs"]
mod client;

use std::time::Duration;

use client::{Answer, ec2, start, until};
use e2e::mock::{Cloud, CloudConfig, Node, Outcome};

fn subnet(cloud: &Cloud) -> String {
    cloud.state().first_subnet.clone()
}

async fn create(cloud: &Cloud, node: &Node, more: &str) -> Answer {
    let subnet = subnet(cloud);
    let call = format!("CreateNetworkInterface SubnetId={subnet} {more}");
    ec2(&node.ec2_url, &call).await.expect_ok()
}

async fn attach(node: &Node, eni: &str, index: u32) -> String {
    let call = format!(
        "AttachNetworkInterface NetworkInterfaceId={eni} InstanceId={} DeviceIndex={index}",
        node.instance_id
    );
    let answer = ec2(&node.ec2_url, &call).await.expect_ok();
    answer.text("attachmentId")
}

async fn describe(node: &Node, eni: &str) -> Answer {
    let call = format!("DescribeNetworkInterfaces NetworkInterfaceId.1={eni}");
    ec2(&node.ec2_url, &call).await.expect_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn create_answers_the_eni_in_ec2s_xml() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let created = create(
        &cloud,
        &node,
        "Description=<x>&\"y\" SecondaryPrivateIpAddressCount=3 ClientToken=once \
         TagSpecification.1.ResourceType=network-interface \
         TagSpecification.1.Tag.1.Key=a&b TagSpecification.1.Tag.1.Value=<v>",
    )
    .await;
    assert!(created.head.contains("content-type: text/xml"));
    let root =
        "<CreateNetworkInterfaceResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">";
    assert!(created.body.contains(root), "{}", created.body);
    assert!(!created.text("requestId").is_empty());
    for (element, text) in [
        ("status", "pending"),
        ("description", "&lt;x&gt;&amp;&quot;y&quot;"),
        ("key", "a&amp;b"),
        ("value", "&lt;v&gt;"),
        ("clientToken", "once"),
        ("subnetId", &subnet(&cloud)),
        ("groupName", "nodes"),
        ("availabilityZone", "us-west-2a"),
    ] {
        assert_eq!(created.text(element), text, "{element}");
    }
    let primary = created.texts("primary");
    assert_eq!(primary, ["true", "false", "false", "false"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eni_lives_from_attach_to_delete() {
    // Slow enough for the steps between to be seen.
    let (cloud, node) = start(CloudConfig {
        attach_delay: Duration::from_secs(1),
        detach_delay: Duration::from_secs(1),
        ..CloudConfig::api_only()
    })
    .await;
    let url = &node.ec2_url;
    let eni = create(&cloud, &node, "").await.text("networkInterfaceId");
    let attachment = attach(&node, &eni, 1).await;
    let described = describe(&node, &eni).await;
    assert_eq!(described.texts("status"), ["in-use", "attaching"]);
    assert_eq!(described.text("deleteOnTermination"), "false");
    until("attached", || cloud.state().is_settled(&node.instance_id)).await;
    let modify = format!(
        "ModifyNetworkInterfaceAttribute NetworkInterfaceId={eni} \
         Attachment.AttachmentId={attachment} Attachment.DeleteOnTermination=true"
    );
    ec2(url, &modify).await.expect_ok();
    let described = describe(&node, &eni).await;
    assert_eq!(described.texts("status"), ["in-use", "attached"]);
    assert_eq!(described.text("deleteOnTermination"), "true");
    assert_eq!(described.text("deviceIndex"), "1");
    assert_eq!(described.text("instanceId"), node.instance_id);

    let delete = format!("DeleteNetworkInterface NetworkInterfaceId={eni}");
    assert_eq!(
        ec2(url, &delete).await.error(),
        (400, "InvalidParameterValue".to_owned())
    );
    let detach = format!("DetachNetworkInterface AttachmentId={attachment}");
    ec2(url, &detach).await.expect_ok();
    assert_eq!(
        ec2(url, &detach).await.error(),
        (400, "IncorrectState".to_owned())
    );
    until("available", || !cloud.available_enis().is_empty()).await;
    assert_eq!(describe(&node, &eni).await.text("status"), "available");
    ec2(url, &delete).await.expect_ok();
    assert!(cloud.available_enis().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_assigned_by_count_and_by_name() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let (url, eni) = (&node.ec2_url, &node.primary_eni);
    let assign = format!("AssignPrivateIpAddresses NetworkInterfaceId={eni}");
    let unassign = format!("UnassignPrivateIpAddresses NetworkInterfaceId={eni}");

    let four = format!("{assign} SecondaryPrivateIpAddressCount=4");
    let answer = ec2(url, &four).await.expect_ok();
    let new = answer.texts("privateIpAddress");
    assert_eq!(new.len(), 4, "only the new ones: {}", answer.body);
    let holdings = cloud.holdings(&node.instance_id);
    assert!(new.iter().all(|a| holdings.contains(&a.parse().unwrap())));
    assert_eq!(holdings.len(), 5);

    let two = format!(
        "{unassign} PrivateIpAddress.1={} PrivateIpAddress.2={}",
        new[0], new[1]
    );
    ec2(url, &two).await.expect_ok();
    assert_eq!(cloud.holdings(&node.instance_id).len(), 3);
    assert_eq!(
        ec2(url, &two).await.error(),
        (400, "InvalidParameterValue".to_owned())
    );
    let back = format!("{assign} PrivateIpAddress.1={}", new[1]);
    let answer = ec2(url, &back).await.expect_ok();
    assert_eq!(answer.texts("privateIpAddress"), [new[1].clone()]);
    assert_eq!(
        ec2(url, &back).await.error(),
        (400, "InvalidIPAddress.InUse".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_token_makes_one_eni_however_often_it_is_sent() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let wish = "ClientToken=t-1 SecondaryPrivateIpAddressCount=2";
    let first = create(&cloud, &node, wish).await;
    let again = create(&cloud, &node, wish).await;
    assert_eq!(
        first.text("networkInterfaceId"),
        again.text("networkInterfaceId")
    );
    let other = format!(
        "CreateNetworkInterface SubnetId={} ClientToken=t-1",
        subnet(&cloud)
    );
    assert_eq!(
        ec2(&node.ec2_url, &other).await.error(),
        (400, "IdempotentParameterMismatch".to_owned())
    );
    assert_eq!(cloud.available_enis().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn describe_filters() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let url = &node.ec2_url;
    for n in 0..6 {
        let created = create(&cloud, &node, "Description=mine").await;
        let eni = created.text("networkInterfaceId");
        let tag = format!("CreateTags ResourceId.1={eni} Tag.1.Key=n Tag.1.Value={n}");
        ec2(url, &tag).await.expect_ok();
    }
    let vpc = cloud.state().vpc_id.clone();
    for (name, value, expected) in [
        ("attachment.instance-id", node.instance_id.as_str(), 1),
        ("status", "available", 6),
        ("status", "in-use", 1),
        ("tag:n", "3", 1),
        ("tag-key", "n", 6),
        ("tag:n", "9", 0),
        ("vpc-id", &vpc, 7),
        ("subnet-id", &subnet(&cloud), 7),
        ("network-interface-id", &node.primary_eni, 1),
        ("description", "mi*", 6),
    ] {
        let call =
            format!("DescribeNetworkInterfaces Filter.1.Name={name} Filter.1.Value.1={value}");
        let shown = ec2(url, &call).await.expect_ok();
        let ids = shown.texts("networkInterfaceId");
        assert_eq!(ids.len(), expected, "{name}={value}");
    }
    // Values are alternatives, filters must all pass.
    let both = "DescribeNetworkInterfaces Filter.1.Name=tag:n Filter.1.Value.1=3 Filter.1.Value.2=4 \
                Filter.2.Name=status Filter.2.Value.1=available";
    let shown = ec2(url, both).await.expect_ok();
    assert_eq!(shown.texts("networkInterfaceId").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn describe_comes_in_pages() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    for _ in 0..6 {
        create(&cloud, &node, "").await;
    }
    let url = &node.ec2_url;
    let first = ec2(url, "DescribeNetworkInterfaces MaxResults=5").await;
    let first = first.expect_ok();
    let token = first.text("nextToken");
    let rest = format!("DescribeNetworkInterfaces MaxResults=5 NextToken={token}");
    let second = ec2(url, &rest).await.expect_ok();
    let mut ids = first.texts("networkInterfaceId");
    ids.extend(second.texts("networkInterfaceId"));
    ids.dedup();
    assert_eq!(ids.len(), 7);
    assert!(second.texts("nextToken").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn instance_types_instances_and_subnets_are_described() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let url = &node.ec2_url;
    let one = ec2(url, "DescribeInstanceTypes InstanceType.1=m3.2xlarge").await;
    let one = one.expect_ok();
    assert_eq!(one.text("ipv4AddressesPerInterface"), "30");
    assert_eq!(one.texts("maximumNetworkInterfaces"), ["4", "4"]);
    assert_eq!(one.text("hypervisor"), "xen");
    let all = ec2(url, "DescribeInstanceTypes").await.expect_ok();
    assert_eq!(all.texts("instanceType").len(), 100);
    let call = format!("DescribeInstances InstanceId.1={}", node.instance_id);
    let instance = ec2(url, &call).await.expect_ok();
    assert_eq!(instance.text("networkInterfaceId"), node.primary_eni);
    assert_eq!(instance.text("name"), "running");
    cloud.occupy(None, 200).unwrap();
    let subnets = ec2(url, "DescribeSubnets").await.expect_ok();
    // 251 of a /24, less the node's own.
    assert_eq!(subnets.text("availableIpAddressCount"), "50");
    assert_eq!(subnets.text("cidrBlock"), "10.0.1.0/24");
}

#[tokio::test(flavor = "multi_thread")]
async fn describe_lags_when_told_to_and_calls_are_in_the_journal() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    cloud.set_describe_lag(Duration::from_secs(3600));
    let eni = create(&cloud, &node, "").await.text("networkInterfaceId");
    let call = format!("DescribeNetworkInterfaces NetworkInterfaceId.1={eni}");
    let not_found = "InvalidNetworkInterfaceID.NotFound".to_owned();
    assert_eq!(
        ec2(&node.ec2_url, &call).await.error(),
        (400, not_found.clone())
    );
    cloud.set_describe_lag(Duration::ZERO);
    ec2(&cloud.ec2_url(), &call).await.expect_ok();

    assert_eq!(cloud.counts()["DescribeNetworkInterfaces"], 2);
    let journal = cloud.journal();
    let callers: Vec<_> = journal.iter().map(|c| c.instance.as_deref()).collect();
    let node_id = Some(node.instance_id.as_str());
    assert_eq!(callers, [node_id, node_id, None]);
    assert_eq!(journal[1].parameters["NetworkInterfaceId.1"], eni);
    assert_eq!(journal[1].outcome, Outcome::Refused(not_found));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_node_leaves_what_does_not_go_with_it() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let left = create(&cloud, &node, "").await.text("networkInterfaceId");
    attach(&node, &left, 1).await;
    let tags = [("node.k8s.amazonaws.com/no_manage", "true")];
    let foreign = cloud.create_foreign_eni(&node.instance_id, &tags).await;
    let foreign = foreign.unwrap();
    assert_eq!(foreign.attachment.as_ref().unwrap().device_index, 2);
    assert_eq!(cloud.enis_of(&node.instance_id).len(), 3);
    let done = cloud.terminate_node(&node.instance_id).await.unwrap();
    assert_eq!(done.deleted.join(""), node.primary_eni);
    let mut available: Vec<_> = cloud.available_enis().into_iter().map(|e| e.id).collect();
    let mut expected = vec![left, foreign.id];
    available.sort();
    expected.sort();
    assert_eq!(available, expected);
    let host = node.ec2_url.strip_prefix("http://").unwrap();
    until("closed", || std::net::TcpStream::connect(host).is_err()).await;
}
