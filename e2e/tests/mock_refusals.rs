//! What the mock refuses, in EC2's codes: limits, and everything that it does not understand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "mock/client.rs"]
mod client;

use client::{ec2, start};
use e2e::mock::CloudConfig;

/// Status, code and call. ENI is the node's primary one, OTHER is on its device index 1 by ATTACHMENT, FREE on none.
const REFUSED: &str = "
    400 InvalidAction                       DescribeVolumes
    400 MissingParameter                    CreateNetworkInterface
    400 InvalidSubnetID.NotFound            CreateNetworkInterface SubnetId=subnet-1
    400 InvalidSecurityGroupID.NotFound     CreateNetworkInterface SubnetId=SUBNET SecurityGroupId.1=sg-1
    400 InvalidParameterValue               CreateNetworkInterface SubnetId=SUBNET SecondaryPrivateIpAddressCount=x
    400 UnknownParameter                    CreateNetworkInterface SubnetId=SUBNET Ipv6AddressCount=1
    412 DryRunOperation                     CreateNetworkInterface SubnetId=SUBNET DryRun=true
    400 InvalidParameterValue               CreateNetworkInterface SubnetId=SUBNET PrivateIpAddress=10.0.1.3
    400 InvalidIPAddress.InUse              CreateNetworkInterface SubnetId=SUBNET PrivateIpAddress=ADDRESS
    400 InvalidParameterValue               CreateNetworkInterface SubnetId=SUBNET TagSpecification.1.ResourceType=subnet
    400 MissingParameter                    AttachNetworkInterface NetworkInterfaceId=FREE
    400 InvalidInstanceID.NotFound          AttachNetworkInterface NetworkInterfaceId=FREE InstanceId=i-1 DeviceIndex=2
    400 InvalidNetworkInterfaceID.NotFound  AttachNetworkInterface NetworkInterfaceId=eni-1 InstanceId=INSTANCE DeviceIndex=2
    400 InvalidNetworkInterface.InUse       AttachNetworkInterface NetworkInterfaceId=OTHER InstanceId=INSTANCE DeviceIndex=2
    400 InvalidParameterValue               AttachNetworkInterface NetworkInterfaceId=FREE InstanceId=INSTANCE DeviceIndex=1
    400 InvalidParameterValue               AttachNetworkInterface NetworkInterfaceId=FREE InstanceId=INSTANCE DeviceIndex=2 NetworkCardIndex=1
    400 InvalidAttachmentID.NotFound        DetachNetworkInterface AttachmentId=eni-attach-1
    400 MissingParameter                    ModifyNetworkInterfaceAttribute NetworkInterfaceId=ENI
    400 UnknownParameter                    ModifyNetworkInterfaceAttribute NetworkInterfaceId=ENI SourceDestCheck.Value=false
    400 InvalidParameterCombination         ModifyNetworkInterfaceAttribute NetworkInterfaceId=ENI Attachment.AttachmentId=ATTACHMENT Attachment.DeleteOnTermination=true
    400 MissingParameter                    AssignPrivateIpAddresses NetworkInterfaceId=ENI
    400 InvalidParameterValue               AssignPrivateIpAddresses NetworkInterfaceId=ENI SecondaryPrivateIpAddressCount=0
    400 InvalidParameterValue               AssignPrivateIpAddresses NetworkInterfaceId=ENI PrivateIpAddress.1=10.0.2.9
    400 InvalidParameterCombination         AssignPrivateIpAddresses NetworkInterfaceId=ENI SecondaryPrivateIpAddressCount=1 PrivateIpAddress.1=10.0.1.9
    400 PrivateIpAddressLimitExceeded       AssignPrivateIpAddresses NetworkInterfaceId=ENI SecondaryPrivateIpAddressCount=10
    400 MissingParameter                    UnassignPrivateIpAddresses NetworkInterfaceId=ENI
    400 InvalidParameterValue               UnassignPrivateIpAddresses NetworkInterfaceId=ENI PrivateIpAddress.1=ADDRESS
    400 InvalidParameterValue               UnassignPrivateIpAddresses NetworkInterfaceId=ENI PrivateIpAddress.1=nonsense
    400 InvalidParameterValue               DeleteNetworkInterface NetworkInterfaceId=OTHER
    400 InvalidNetworkInterfaceID.NotFound  DeleteNetworkInterface NetworkInterfaceId=eni-1
    400 InvalidNetworkInterfaceID.NotFound  DescribeNetworkInterfaces NetworkInterfaceId.1=ENI NetworkInterfaceId.2=eni-1
    400 InvalidParameterValue               DescribeNetworkInterfaces Filter.1.Name=no-such Filter.1.Value.1=x
    400 InvalidParameterValue               DescribeNetworkInterfaces MaxResults=4
    400 InvalidParameterValue               DescribeNetworkInterfaces NextToken=made-up
    400 InvalidParameterCombination         DescribeNetworkInterfaces NetworkInterfaceId.1=ENI MaxResults=10
    400 InvalidInstanceType                 DescribeInstanceTypes InstanceType.1=m9.huge
    400 InvalidInstanceID.NotFound          DescribeInstances InstanceId.1=i-1
    400 InvalidID                           CreateTags ResourceId.1=eni-1 Tag.1.Key=k Tag.1.Value=v
    400 MissingParameter                    CreateTags ResourceId.1=ENI
    400 OperationNotPermitted               DetachNetworkInterface AttachmentId=PRIMARY
";

#[tokio::test(flavor = "multi_thread")]
async fn what_ec2_refuses_is_refused_and_changes_nothing() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let other = cloud.create_foreign_eni(&node.instance_id, &[]).await;
    let other = other.unwrap();
    let free = cloud.occupy(None, 1).unwrap();
    let before = cloud.state();
    let primary = before.enis[&node.primary_eni].attachment.clone().unwrap();
    for line in REFUSED.lines().filter(|l| !l.trim().is_empty()) {
        let (status, rest) = line.trim().split_once(' ').unwrap();
        let (code, call) = rest.trim().split_once(' ').unwrap();
        let call = call
            .replace("SUBNET", &free.subnet_id)
            .replace("OTHER", &other.id)
            .replace("ATTACHMENT", &other.attachment.as_ref().unwrap().id)
            .replace("FREE", &free.id)
            .replace("INSTANCE", &node.instance_id)
            .replace("ADDRESS", &node.address.to_string())
            .replace("PRIMARY", &primary.id)
            .replace("=ENI", &format!("={}", node.primary_eni));
        let answer = ec2(&node.ec2_url, &call).await;
        let expected = (status.parse().unwrap(), code.to_owned());
        assert_eq!(answer.error(), expected, "{call}: {}", answer.body);
        assert_eq!(*before, *cloud.state(), "{call} changed something");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_action_is_refused() {
    let (_cloud, node) = start(CloudConfig::api_only()).await;
    let answer = ec2(&node.ec2_url, "").await;
    assert_eq!(answer.error(), (400, "MissingParameter".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_takes_no_more_enis_than_its_type() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    for _ in 0..2 {
        let made = cloud.create_foreign_eni(&node.instance_id, &[]).await;
        made.unwrap();
    }
    let fourth = cloud.occupy(None, 1).unwrap().id;
    let attach = format!(
        "AttachNetworkInterface NetworkInterfaceId={fourth} InstanceId={} DeviceIndex=3",
        node.instance_id
    );
    assert_eq!(
        ec2(&node.ec2_url, &attach).await.error(),
        (400, "AttachmentLimitExceeded".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eni_with_more_addresses_than_the_type_takes_is_not_attached() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let big = cloud.occupy(None, 11).unwrap().id;
    let attach = format!(
        "AttachNetworkInterface NetworkInterfaceId={big} InstanceId={} DeviceIndex=1",
        node.instance_id
    );
    assert_eq!(
        ec2(&node.ec2_url, &attach).await.error(),
        (400, "PrivateIpAddressLimitExceeded".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subnet_gives_all_or_nothing() {
    let (cloud, node) = start(CloudConfig::api_only()).await;
    let subnet = cloud.state().subnets.values().next().unwrap().clone();
    cloud.occupy(None, subnet.free() - 1).unwrap();
    let full = (400, "InsufficientFreeAddressesInSubnet".to_owned());
    let eni = &node.primary_eni;
    let assign =
        format!("AssignPrivateIpAddresses NetworkInterfaceId={eni} SecondaryPrivateIpAddressCount");
    let two = ec2(&node.ec2_url, &format!("{assign}=2")).await;
    assert_eq!(two.error(), full);
    let create = format!("CreateNetworkInterface SubnetId={}", subnet.id);
    let with_one = format!("{create} SecondaryPrivateIpAddressCount=1");
    assert_eq!(ec2(&node.ec2_url, &with_one).await.error(), full);
    ec2(&node.ec2_url, &format!("{assign}=1")).await.expect_ok();
    assert_eq!(ec2(&node.ec2_url, &create).await.error(), full);
}
