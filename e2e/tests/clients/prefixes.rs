//! Prefixes through the adapter, on the mock: moto, against which all else is compared, has none.

use std::collections::BTreeSet;

use anyhow::ensure;
use e2e::mock::state::Eni;
use e2e::mock::{Cloud, CloudConfig, NodeSpec};
use serde_json::{Value, json};

use crate::port::Port;

/// What the mock has of an ENI's prefixes, as texts.
fn truth(cloud: &Cloud, eni: &str) -> BTreeSet<String> {
    let texts = |eni: &Eni| eni.prefixes.iter().map(ToString::to_string).collect();
    cloud.state().enis.get(eni).map(texts).unwrap_or_default()
}

/// A reply's list of texts.
fn texts(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn the_adapter_delegates_shows_and_takes_back_prefixes() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let cloud = runtime.block_on(Cloud::start(CloudConfig::api_only()))?;
    let node = runtime.block_on(cloud.add_node(NodeSpec::new("m5.large")))?;
    let mut port = Port::to(&node.ec2_url, &node.imds_url)?;
    let state = cloud.state();
    let made = port.call(&json!({
        "call": "create_network_interface", "subnet_id": state.first_subnet,
        "security_groups": [], "description": "", "tags": {}, "secondary_addresses": 0,
        "prefixes": 2, "client_token": "t-1",
    }))?;
    let eni = made["ok"]["id"].as_str().unwrap_or_default().to_owned();
    let first = texts(&made["ok"]["prefixes"]);
    ensure!(
        first.len() == 2 && first == truth(&cloud, &eni),
        "made as {made}"
    );

    let more =
        port.call(&json!({"call": "assign_ipv4_prefixes", "eni": eni, "count": 3}))?["ok"].clone();
    let new = texts(&more);
    ensure!(
        new.len() == 3 && new.is_disjoint(&first),
        "beside {first:?} came {more}"
    );
    let show = json!({"call": "describe_network_interfaces", "ids": [eni]});
    let shown = port.call(&show)?["ok"][0].clone();
    let all: BTreeSet<_> = first.union(&new).cloned().collect();
    ensure!(
        texts(&shown["prefixes"]) == all && all == truth(&cloud, &eni),
        "{shown}"
    );
    ensure!(shown["secondary_addresses"] == json!([]), "{shown}");

    // prefixes and single addresses go in one call
    let assign = json!({"call": "assign_private_ip_addresses", "eni": eni, "count": 1});
    let single = port.call(&assign)?["ok"].clone();
    let unassign = json!({"call": "unassign_private_ip_addresses", "eni": eni,
        "addresses": single, "prefixes": first});
    let done = port.call(&unassign)?;
    ensure!(done == json!({"ok": null}), "{done}");
    ensure!(truth(&cloud, &eni) == new);
    ensure!(cloud.state().eni(&eni)?.secondary.is_empty());
    let again = port.call(&unassign)?;
    ensure!(again["error"]["code"] == "InvalidParameterValue", "{again}");
    Ok(())
}

#[test]
fn a_fragmented_subnet_and_a_full_eni_are_told_apart() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let cloud = runtime.block_on(Cloud::start(CloudConfig::api_only()))?;
    let node = runtime.block_on(cloud.add_node(NodeSpec::new("m5.large")))?;
    let mut port = Port::to(&node.ec2_url, &node.imds_url)?;
    let eni = &node.primary_eni;
    // with its own address it has room for nine
    let mut refused = |count: u32| -> anyhow::Result<(Value, Value)> {
        let call = json!({"call": "assign_ipv4_prefixes", "eni": eni, "count": count});
        let error = port.call(&call)?["error"].clone();
        Ok((error["kind"].clone(), error["code"].clone()))
    };
    let (kind, code) = refused(10)?;
    ensure!(
        kind == "AddressLimit" && code == "PrivateIpAddressLimitExceeded",
        "{kind} {code}"
    );
    cloud.fragment()?;
    let (kind, code) = refused(1)?;
    ensure!(
        kind == "NoContiguousBlock" && code == "InsufficientCidrBlocks",
        "{kind} {code}"
    );
    ensure!(truth(&cloud, eni).is_empty());
    Ok(())
}
