//! What EC2 enforces: subnets, ENIs, addresses, calls.

use anyhow::Context;
use e2e::cluster::DAEMON_PATIENCE;
use e2e::mock::{CloudConfig, Fault, RateLimits, SubnetSpec};

use crate::client::ec2;
use crate::fixture::{PER_ENI, RESERVE, T3_NANO, add_pods, answer, block_on, config, eventually};
use crate::told::{ASSIGN, ATTACH, CREATE, Case, SLOW, error, recovers, use_reserve};

#[test]
fn a_full_subnet() -> anyhow::Result<()> {
    let case = Case {
        remedy: "free addresses in the node's subnet",
        code: "InsufficientFreeAddressesInSubnet",
        ..Case::refused(
            "full",
            ASSIGN,
            "SubnetFull",
            "the subnet has no free address",
        )
    };
    let small = CloudConfig {
        subnets: vec![SubnetSpec {
            cidr: "10.0.7.0/28".parse()?,
            zone: "us-west-2a".to_owned(),
        }],
        ..config(case.name)
    };
    let Some(cluster) = case.start_in(small)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let state = cluster.cloud().state();
    let subnet = state.subnet(&state.first_subnet)?;
    let theirs = cluster.cloud().occupy(None, subnet.free())?;
    let _pods = use_reserve(member)?;
    case.is_told(member)?;
    let url = cluster.cloud().ec2_url();
    let call = format!("DeleteNetworkInterface NetworkInterfaceId={}", theirs.id);
    block_on(ec2(&url, &call))?.expect_ok();
    recovers(&cluster, member)
}

/// Single addresses serve, so that no ADD is refused and no pod's events speak of it: the other three places do.
#[test]
fn a_subnet_without_a_whole_block() -> anyhow::Result<()> {
    let case = Case {
        settings: &[("ENABLE_PREFIX_DELEGATION", "true")],
        words: "no free /28 in one piece",
        ..Case::served(
            "noblock",
            ASSIGN,
            "NoContiguousBlock",
            "InsufficientCidrBlocks",
        )
    };
    let Some(cluster) = case.launch()? else {
        return Ok(());
    };
    cluster.cloud().fragment()?;
    cluster.start_daemons()?;
    let member = &cluster.members[0];
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    let pods = add_pods(member, "pod", RESERVE + 1)?;
    answer(member, &pods)?;
    eventually(case.name, SLOW, || case.status_says(member))?;
    case.log_says_of_call(member)?;
    case.metrics_say_by_themselves(member)
}

#[test]
fn all_enis_of_the_type() -> anyhow::Result<()> {
    let case = Case {
        instance: T3_NANO,
        remedy: "MAX_ENI",
        call: None,
        ..Case::refused("enis", "", "EniLimit", "all 2 ENIs of this instance")
    };
    let Some(cluster) = case.start()? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let mut pods = add_pods(member, "pod", RESERVE)?;
    case.is_told(member)?;
    member.node.del_pod(pods.pop().context("two pods")?)?;
    recovers(&cluster, member)
}

#[test]
fn all_enis_that_are_allowed() -> anyhow::Result<()> {
    let case = Case {
        settings: &[("MAX_ENI", "1")],
        remedy: "MAX_ENI",
        call: None,
        ..Case::refused("maxeni", "", "EniLimit", "all 1 ENIs of this instance")
    };
    let Some(cluster) = case.start()? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let mut pods = add_pods(member, "pod", PER_ENI)?;
    case.is_told(member)?;
    member.node.del_pod(pods.pop().context("nine pods")?)?;
    recovers(&cluster, member)
}

/// Somebody else took the last places on the instance, which berth learns from EC2's refusal.
#[test]
fn an_instance_that_others_filled() -> anyhow::Result<()> {
    let case = Case {
        call: Some((ATTACH, "EniLimit")),
        code: "AttachmentLimitExceeded",
        ..Case::refused("filled", ATTACH, "EniLimit", "all 3 ENIs of this instance")
    };
    let Some(cluster) = case.start()? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    for _ in 0..2 {
        let instance = &member.instance.instance_id;
        block_on(cluster.cloud().create_foreign_eni(instance, &[]))??;
    }
    let mut pods = add_pods(member, "pod", PER_ENI)?;
    case.is_told(member)?;
    member.node.del_pod(pods.pop().context("nine pods")?)?;
    recovers(&cluster, member)
}

#[test]
fn an_eni_that_takes_no_more_addresses() -> anyhow::Result<()> {
    let case = Case {
        settings: &[("MAX_ENI", "1")],
        remedy: "another ENI is tried",
        code: "PrivateIpAddressLimitExceeded",
        ..Case::refused(
            "address",
            ASSIGN,
            "AddressLimit",
            "the ENI takes no more addresses",
        )
    };
    let limit = error("PrivateIpAddressLimitExceeded", 400);
    case.under(&[Fault::always(ASSIGN, limit)])
}

#[test]
fn the_accounts_quota_of_enis() -> anyhow::Result<()> {
    let case = Case {
        call: Some((CREATE, "EniLimit")),
        remedy: "message of EC2",
        ..Case::refused("quota", CREATE, "Refused", "NetworkInterfaceLimitExceeded")
    };
    let Some(cluster) = case.start()? else {
        return Ok(());
    };
    let quota = error("NetworkInterfaceLimitExceeded", 400);
    cluster.cloud().fault(Fault::always(CREATE, quota));
    let _pods = add_pods(&cluster.members[0], "pod", PER_ENI)?;
    case.met(&cluster)
}

/// The bucket of one action has a token for the start, and gets no more.
#[test]
fn an_empty_token_bucket() -> anyhow::Result<()> {
    let case = Case {
        remedy: "EC2 quota",
        code: "RequestLimitExceeded",
        ..Case::refused("bucket", ASSIGN, "Throttled", "EC2 throttles this account")
    };
    let mut stingy = config(case.name);
    stingy.rate_limits = RateLimits {
        by_action: [(ASSIGN.to_owned(), (1, 0))].into(),
    };
    let Some(cluster) = case.start_in(stingy)? else {
        return Ok(());
    };
    let _pods = use_reserve(&cluster.members[0])?;
    case.is_told(&cluster.members[0])
}
