//! Answers of EC2 and of instance metadata, spoilt in thousands of ways, to the adapter as it ships: HTTP, the SDK's XML,
//! and our reading of what the SDK made of it. The SDK is compiled in release only, so this is no target of cargo-fuzz;
//! `BERTH_FUZZ_SECONDS` makes it go on for longer (`make fuzz` sets it).

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::mock::{Cloud, CloudConfig, Node, NodeSpec};
use fuzz_entries::mutation::Mutator;
use serde_json::{Value, json};

use crate::port::Port;
use crate::relay::{Answer, Relay};

/// Spoilt answers to each call.
const ROUNDS: usize = 200;

/// Kinds of errors (`ec2::Kind`) that say that nothing was done, or that nobody knows.
const KINDS: [&str; 11] = [
    "Throttled",
    "AccessDenied",
    "CredentialsRefused",
    "SubnetFull",
    "NoContiguousBlock",
    "AddressLimit",
    "EniLimit",
    "NotFound",
    "WrongState",
    "Refused",
    "Doubtful",
];

/// How long to go on at least with each call.
fn patience() -> Duration {
    let seconds = std::env::var("BERTH_FUZZ_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Runs `round` [`ROUNDS`] times, and until time is up.
fn rounds(mut round: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut count = 0;
    while count < ROUNDS || started.elapsed() < patience() {
        round()?;
        count += 1;
    }
    Ok(())
}

/// A node of the mock, and a relay to one of its servers.
struct Site {
    _runtime: tokio::runtime::Runtime,
    _cloud: Cloud,
    node: Node,
}

fn site() -> anyhow::Result<Site> {
    let runtime = tokio::runtime::Runtime::new()?;
    let cloud = runtime.block_on(Cloud::start(CloudConfig::api_only()))?;
    let node = runtime.block_on(cloud.add_node(NodeSpec::new("m5.large")))?;
    Ok(Site {
        _runtime: runtime,
        _cloud: cloud,
        node,
    })
}

/// The calls whose answers are read, in an order in which all succeed.
fn calls(node: &Node, subnet: &Value) -> Vec<Value> {
    let eni = &node.primary_eni;
    vec![
        json!({"call": "assign_private_ip_addresses", "eni": eni, "count": 2}),
        json!({"call": "assign_ipv4_prefixes", "eni": eni, "count": 1}),
        json!({"call": "describe_network_interfaces", "attached_to": node.instance_id}),
        json!({"call": "describe_instance_type", "instance_type": "m5.large"}),
        json!({"call": "describe_subnet", "subnet": subnet}),
        json!({"call": "create_network_interface", "subnet_id": subnet, "security_groups": [],
            "description": "d", "tags": {"k": "v"}, "secondary_addresses": 1, "client_token": "t-1"}),
    ]
}

/// An error is of a known kind and one short line. Of an answer that says that all went well, nothing less than doubt.
fn check_error(error: &Value, status: u16) -> anyhow::Result<()> {
    let kind = error["kind"].as_str().context("a kind")?;
    ensure!(KINDS.contains(&kind), "{error}");
    ensure!(status >= 300 || kind == "Doubtful", "{status}: {error}");
    let message = error["message"].as_str().context("a message")?;
    let length = message.chars().count();
    ensure!(
        (1..=501).contains(&length) && !message.contains('\n'),
        "{error}"
    );
    ensure!(error["code"] != "", "{error}");
    Ok(())
}

/// A result is of the form that was asked for, and a subnet's free addresses of the subnet that was.
fn check_result(call: &Value, result: &Value, told: &str) -> anyhow::Result<()> {
    let entries = result.as_array().map_or(0, Vec::len);
    match call["call"].as_str().unwrap_or_default() {
        "assign_private_ip_addresses" | "assign_ipv4_prefixes" => {
            ensure!(call["count"] == entries, "{call}: {result}");
        }
        "describe_instance_type" => ensure!(result["enis"].is_u64(), "{call}: {result}"),
        "describe_subnet" => {
            let subnet = call["subnet"].as_str().context("a subnet")?;
            let id = format!("<subnetId>{subnet}</subnetId>");
            ensure!(result.is_u64() && told.contains(&id), "{call}: {result}");
        }
        "create_network_interface" => ensure!(is_eni(result), "{call}: {result}"),
        _ => {
            let enis = result.as_array().context("a list")?;
            ensure!(enis.iter().all(is_eni), "{call}: {result}");
        }
    }
    Ok(())
}

fn is_eni(eni: &Value) -> bool {
    let filled = |key: &str| eni[key].as_str().is_some_and(|text| !text.is_empty());
    filled("id") && filled("subnet_id") && eni["mac"].as_str().is_some_and(|mac| mac.len() == 17)
}

#[test]
fn spoilt_answers_of_ec2_are_read_or_in_doubt() -> anyhow::Result<()> {
    let site = site()?;
    let relay = Relay::to(&site.node.ec2_url)?;
    let mut port = Port::to(&relay.url, &site.node.imds_url)?;
    let mut mutator = Mutator::new(11);
    let mut good = Vec::new();
    let shown =
        port.call(&json!({"call": "describe_network_interfaces", "ids": [site.node.primary_eni]}))?;
    for call in calls(&site.node, &shown["ok"][0]["subnet_id"]) {
        relay.pass();
        let reply = port.call(&call)?;
        ensure!(reply["error"].is_null(), "{call}: {reply}");
        let (_, answer) = relay.pass().pop().context("a call was made")?;
        good.push((call, answer.body));
    }
    let bodies: Vec<_> = good.iter().map(|(_, body)| body.clone()).collect();
    for (call, body) in &good {
        rounds(|| {
            let others = [body.clone(), bodies[mutator.below(bodies.len())].clone()];
            let status = [200, 200, 200, 400, 403, 500, 503][mutator.below(7)];
            let body = mutator.spoil_markup(&others);
            let told = String::from_utf8_lossy(&body).into_owned();
            relay.instead("", Answer { status, body });
            let reply = port.call(call).with_context(|| told.clone())?;
            let checked = match &reply["error"] {
                Value::Null => check_result(call, &reply["ok"], &told),
                error => check_error(error, status),
            };
            checked.with_context(|| format!("{call}, status {status}: {told}"))
        })?;
    }
    Ok(())
}

/// Seldom what comes of spoiling at random.
#[test]
fn free_addresses_of_another_subnet_are_in_doubt() -> anyhow::Result<()> {
    let site = site()?;
    let relay = Relay::to(&site.node.ec2_url)?;
    let mut port = Port::to(&relay.url, &site.node.imds_url)?;
    let shown =
        port.call(&json!({"call": "describe_network_interfaces", "ids": [site.node.primary_eni]}))?;
    let subnet = &shown["ok"][0]["subnet_id"];
    let call = json!({"call": "describe_subnet", "subnet": subnet});
    relay.pass();
    let reply = port.call(&call)?;
    ensure!(reply["ok"].is_u64(), "{reply}");
    let (_, answer) = relay.pass().pop().context("a call was made")?;
    let body = String::from_utf8(answer.body)?;
    let body = body.replace("<subnetId>", "<subnetId>x");
    let status = 200;
    relay.instead(
        "",
        Answer {
            status,
            body: body.into_bytes(),
        },
    );
    let reply = port.call(&call)?;
    check_error(&reply["error"], status).with_context(|| reply.to_string())
}

#[test]
fn spoilt_metadata_is_read_or_refused() -> anyhow::Result<()> {
    let site = site()?;
    let relay = Relay::to(&site.node.imds_url)?;
    let mut port = Port::to(&site.node.ec2_url, &relay.url)?;
    let mut mutator = Mutator::new(13);
    for call in [json!({"call": "identity"}), json!({"call": "interfaces"})] {
        relay.pass();
        let reply = port.call(&call)?;
        ensure!(reply["error"].is_null(), "{call}: {reply}");
        let mut good = relay.pass();
        // Two hundred times the mock's time to answer would be a minute.
        relay.remember(&good);
        good.retain(|(line, _)| line.starts_with("GET "));
        let bodies: Vec<_> = good.iter().map(|(_, answer)| answer.body.clone()).collect();
        rounds(|| {
            let (line, answer) = &good[mutator.below(good.len())];
            let others = [
                answer.body.clone(),
                bodies[mutator.below(bodies.len())].clone(),
            ];
            let status = [200, 200, 200, 404, 500][mutator.below(5)];
            let body = mutator.spoil(&others);
            let told = format!(
                "{line}, status {status}: {}",
                String::from_utf8_lossy(&body)
            );
            relay.instead(line, Answer { status, body });
            let reply = port.call(&call).with_context(|| told.clone())?;
            let error = &reply["error"];
            if !error.is_null() {
                let message = error["message"].as_str().unwrap_or_default();
                let length = message.chars().count();
                ensure!(error["action"] == "IMDS" && length > 0, "{told}: {reply}");
                ensure!(length < 700 && !message.contains('\n'), "{told}: {reply}");
            }
            Ok(())
        })?;
    }
    Ok(())
}
