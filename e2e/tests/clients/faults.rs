//! What the adapter makes of each fault: the kind that the planner acts on, the code that people read, and above all
//! whether the call may have had its effect.

use anyhow::ensure;
use e2e::mock::{Cloud, CloudConfig, Fault, FaultKind, Garbage, NodeSpec};
use serde_json::json;

use crate::port::Port;

fn error(code: &str, status: u16) -> FaultKind {
    FaultKind::Error {
        code: code.to_owned(),
        status,
    }
}

fn garbage(shape: Garbage) -> FaultKind {
    FaultKind::Garbage { shape }
}

/// An error of EC2, its status, and the kind that it is.
const REFUSALS: &[(&str, u16, &str)] = &[
    ("ExpiredToken", 400, "CredentialsRefused"),
    ("AuthFailure", 401, "CredentialsRefused"),
    ("InsufficientFreeAddressesInSubnet", 400, "SubnetFull"),
    ("InsufficientCidrBlocks", 400, "NoContiguousBlock"),
    ("PrivateIpAddressLimitExceeded", 400, "AddressLimit"),
    ("AttachmentLimitExceeded", 400, "EniLimit"),
    ("NetworkInterfaceLimitExceeded", 400, "EniLimit"),
    ("InvalidNetworkInterfaceID.NotFound", 400, "NotFound"),
    ("IncorrectState", 400, "WrongState"),
    ("OperationNotPermitted", 400, "Refused"),
    ("InternalError", 500, "Doubtful"),
    ("Unavailable", 503, "Doubtful"),
];

/// A fault, and the kind and code that an AssignPrivateIpAddresses and an UnassignPrivateIpAddresses end in. The latter
/// has no result, so that the SDK itself would take any answer for a success.
fn table() -> Vec<(FaultKind, &'static str, &'static str)> {
    let late = FaultKind::ErrorAfter {
        code: "InternalError".to_owned(),
        status: 500,
    };
    let refused = |&(code, status, kind)| (error(code, status), kind, code);
    let mut table: Vec<_> = REFUSALS.iter().map(refused).collect();
    table.extend([
        (FaultKind::Throttle, "Throttled", "RequestLimitExceeded"),
        (
            FaultKind::AccessDenied,
            "AccessDenied",
            "UnauthorizedOperation",
        ),
        (late, "Doubtful", "InternalError"),
        (garbage(Garbage::Truncated), "Doubtful", "BadAnswer"),
        (garbage(Garbage::WrongRoot), "Doubtful", "BadAnswer"),
        (garbage(Garbage::Html), "Doubtful", "BadAnswer"),
        (garbage(Garbage::Empty), "Doubtful", "BadAnswer"),
        (FaultKind::LostReply, "Doubtful", "NoAnswer"),
    ]);
    table
}

#[test]
fn each_fault_has_its_kind() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let cloud = runtime.block_on(Cloud::start(CloudConfig::api_only()))?;
    let node = runtime.block_on(cloud.add_node(NodeSpec::new("m5.large")))?;
    let mut port = Port::to(&node.ec2_url, &node.imds_url)?;
    let eni = &node.primary_eni;
    let assign = json!({"call": "assign_private_ip_addresses", "eni": eni, "count": 1});
    for (fault, kind, code) in table() {
        // one to take away, so that only the fault is in the way
        let held = port.call(&assign)?;
        let unassign = json!({
            "call": "unassign_private_ip_addresses", "eni": eni, "addresses": held["ok"]});
        for (action, call) in [
            ("AssignPrivateIpAddresses", &assign),
            ("UnassignPrivateIpAddresses", &unassign),
        ] {
            cloud.fault(Fault::once(action, fault.clone()));
            let error = port.call(call)?["error"].clone();
            ensure!(
                error["kind"] == kind && error["code"] == code && error["action"] == action,
                "{action} under {fault:?}: {error}"
            );
            let message = error["message"].as_str().unwrap_or_default();
            ensure!(
                !message.is_empty() && !message.contains('\n'),
                "{action} under {fault:?}: {message:?}"
            );
        }
        give_back(&mut port, eni)?;
    }
    Ok(())
}

/// Takes all secondary addresses away.
fn give_back(port: &mut Port, eni: &str) -> anyhow::Result<()> {
    let show = json!({"call": "describe_network_interfaces", "ids": [eni]});
    let held = port.call(&show)?["ok"][0]["secondary_addresses"].clone();
    if held.as_array().is_some_and(Vec::is_empty) {
        return Ok(());
    }
    let unassign = json!({"call": "unassign_private_ip_addresses", "eni": eni, "addresses": held});
    let reply = port.call(&unassign)?;
    ensure!(reply == json!({"ok": null}), "{reply}");
    Ok(())
}

#[test]
fn nobody_there_and_no_answer_are_told_apart() -> anyhow::Result<()> {
    let nowhere = "http://127.0.0.1:1";
    let mut port = Port::to(nowhere, nowhere)?;
    let describe = json!({"call": "describe_network_interfaces", "ids": ["eni-1"]});
    let error = port.call(&describe)?["error"].clone();
    ensure!(
        error["kind"] == "Unreachable" && error["code"] == "NotConnected",
        "{error}"
    );
    let error = port.call(&json!({"call": "identity"}))?["error"].clone();
    ensure!(error["kind"] == "Unavailable", "{error}");

    let runtime = tokio::runtime::Runtime::new()?;
    let cloud = runtime.block_on(Cloud::start(CloudConfig::api_only()))?;
    let node = runtime.block_on(cloud.add_node(NodeSpec::new("m5.large")))?;
    let mut port = Port::to(&node.ec2_url, &node.imds_url)?;
    cloud.fault(Fault::once("*", FaultKind::Timeout));
    let error = port.call(&describe)?["error"].clone();
    ensure!(
        error["kind"] == "Doubtful" && error["code"] == "NoAnswer",
        "{error}"
    );
    let identity = port.call(&json!({"call": "identity"}))?["ok"].clone();
    ensure!(
        identity["instance_id"] == node.instance_id.as_str(),
        "{identity}"
    );
    Ok(())
}

#[test]
fn metadata_that_makes_no_sense_is_no_metadata() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let cloud = runtime.block_on(Cloud::start(CloudConfig::api_only()))?;
    let node = runtime.block_on(cloud.add_node(NodeSpec::new("m5.large")))?;
    for shape in [
        Garbage::Truncated,
        Garbage::WrongRoot,
        Garbage::Html,
        Garbage::Empty,
    ] {
        for call in ["identity", "interfaces"] {
            let mut port = Port::to(&node.ec2_url, &node.imds_url)?;
            cloud.fault(Fault::always(e2e::mock::IMDS, garbage(shape)));
            let reply = port.call(&json!({ "call": call }))?;
            ensure!(
                reply["error"]["action"] == "IMDS",
                "{call} under {shape:?}: {reply}"
            );
            cloud.clear_faults();
            let reply = port.call(&json!({ "call": call }))?;
            ensure!(reply["error"].is_null(), "{call} after {shape:?}: {reply}");
        }
    }
    Ok(())
}
