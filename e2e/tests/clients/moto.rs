//! The adapter against moto and against the mock, call by call: the same replies, but for what moto is known to do wrong.

use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::port::Port;
use crate::process::{Mock, Server, Watched};
use crate::symbols::Symbols;
use crate::venv;

/// One cloud, with the adapter on it.
struct World {
    port: Port,
    subnet: String,
    group: String,
    instance: String,
    symbols: Symbols,
    /// What was called and what came of it.
    story: Vec<(String, Value)>,
}

impl World {
    fn new(port: Port, ids: [&str; 3]) -> Self {
        let [subnet, group, instance] = ids.map(str::to_owned);
        Self {
            port,
            subnet,
            group,
            instance,
            symbols: Symbols::default(),
            story: Vec::new(),
        }
    }

    /// Makes a call under a name, remembers its reply, and answers it as it came.
    fn step(&mut self, name: &str, request: Value) -> anyhow::Result<Value> {
        let reply = self.port.call(&request)?;
        let told = self.symbols.of(&reply);
        self.story.push((name.to_owned(), told));
        Ok(reply)
    }

    /// The ENIs with these ids.
    fn show(&mut self, name: &str, eni: &Value) -> anyhow::Result<Value> {
        let request = json!({"call": "describe_network_interfaces", "ids": [eni]});
        self.step(name, request)
    }

    /// Waits until an ENI is on no instance; the mock takes its time for that, as EC2 does.
    fn wait_available(&mut self, eni: &Value) -> anyhow::Result<()> {
        let request = json!({"call": "describe_network_interfaces", "ids": [eni]});
        for _ in 0..600 {
            if self.port.call(&request)?["ok"][0]["status"] == "Available" {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        anyhow::bail!("{eni} is never available")
    }

    fn create(&self, subnet: &str, token: &str) -> Value {
        json!({
            "call": "create_network_interface", "subnet_id": subnet, "security_groups": [self.group],
            "description": "aws-K8S-i-1", "tags": {"berth": "yes", "empty": ""},
            "secondary_addresses": 2, "client_token": token,
        })
    }

    /// Everything that the adapter can do, in the life of one ENI.
    fn live(&mut self) -> anyhow::Result<()> {
        for kind in ["m5.large", "m3.2xlarge", "m6a.32xlarge"] {
            let request = json!({"call": "describe_instance_type", "instance_type": kind});
            self.step(kind, request)?;
        }
        self.step("no such subnet", self.create("subnet-0", "t-0"))?;
        let made = self.step("create", self.create(&self.subnet, "t-1"))?;
        let eni = made["ok"]["id"].clone();
        self.show("show created", &eni)?;
        let tagged =
            json!({"call": "describe_network_interfaces", "available_with_tag": ["berth", "yes"]});
        self.step("leftovers", tagged)?;
        let other =
            json!({"call": "describe_network_interfaces", "available_with_tag": ["berth", "no"]});
        self.step("no leftovers", other)?;
        self.grow_and_shrink(&eni, &made["ok"]["secondary_addresses"])?;
        self.delegate(&eni)?;
        self.come_and_go(&eni)?;
        let delete = json!({"call": "delete_network_interface", "eni": eni});
        self.step("delete", delete.clone())?;
        self.show("show deleted", &eni)?;
        self.step("delete again", delete)?;
        let gone = json!({"call": "attach_network_interface", "eni": eni, "instance": self.instance, "device_index": 2});
        self.step("attach deleted", gone)?;
        Ok(())
    }

    fn grow_and_shrink(&mut self, eni: &Value, addresses: &Value) -> anyhow::Result<()> {
        let unassign =
            json!({"call": "unassign_private_ip_addresses", "eni": eni, "addresses": addresses});
        self.step("unassign", unassign)?;
        self.show("show without", eni)?;
        let assign = json!({"call": "assign_private_ip_addresses", "eni": eni, "count": 3});
        self.step("assign", assign)?;
        self.show("show with three", eni)?;
        let nowhere = json!({"call": "assign_private_ip_addresses", "eni": "eni-0", "count": 1});
        self.step("assign to none", nowhere)?;
        Ok(())
    }

    fn delegate(&mut self, eni: &Value) -> anyhow::Result<()> {
        let assign = json!({"call": "assign_ipv4_prefixes", "eni": eni, "count": 2});
        let given = self.step("assign prefixes", assign)?["ok"].clone();
        self.show("show with prefixes", eni)?;
        // where none were given, one that is nobody's
        let prefixes = if given.is_null() {
            json!(["198.51.100.16/28"])
        } else {
            given
        };
        let unassign = json!({"call": "unassign_private_ip_addresses", "eni": eni,
            "addresses": [], "prefixes": prefixes});
        self.step("unassign prefixes", unassign)?;
        self.show("show without prefixes", eni)?;
        let nowhere = json!({"call": "assign_ipv4_prefixes", "eni": "eni-0", "count": 1});
        self.step("assign prefixes to none", nowhere)?;
        Ok(())
    }

    fn come_and_go(&mut self, eni: &Value) -> anyhow::Result<()> {
        let attach = json!({"call": "attach_network_interface", "eni": eni, "instance": self.instance, "device_index": 1});
        let attachment = self.step("attach", attach)?["ok"].clone();
        let on = json!({"call": "describe_network_interfaces", "attached_to": self.instance});
        let mut shown = self.port.call(&on)?;
        let enis = shown["ok"].as_array_mut().context("no list")?;
        enis.sort_by_key(|eni| eni["attachment"]["device_index"].as_u64());
        let ids: Value = enis.iter().map(|eni| eni["id"].clone()).collect();
        let told = self.symbols.of(&ids);
        self.story.push(("show on the instance".to_owned(), told));
        self.show("show attached", eni)?;
        let protect =
            json!({"call": "set_delete_on_termination", "eni": eni, "attachment": attachment});
        self.step("protect", protect)?;
        self.show("show protected", eni)?;
        let detach = json!({"call": "detach_network_interface", "attachment": attachment});
        self.step("detach", detach)?;
        self.wait_available(eni)?;
        self.show("show detached", eni)?;
        let nothing = json!({"call": "detach_network_interface", "attachment": "eni-attach-0"});
        self.step("detach none", nothing)?;
        Ok(())
    }
}

fn moto(python: &std::path::Path) -> anyhow::Result<(Server, World)> {
    let mut command = Command::new(python.with_file_name("moto_server"));
    command.args(["-H", "127.0.0.1", "-p", "0"]);
    let mut url = None;
    let server = Server::start(venv::credentials(&mut command), Watched::Stderr, |line| {
        url = line
            .split_once("Running on ")
            .map(|(_, url)| url.trim().to_owned());
        url.is_some()
    })?;
    let url = url.context("no URL")?;
    let mut world = Command::new(python);
    world.arg(venv::script("moto_world.py")).arg(&url);
    let made = e2e::netns::output(venv::credentials(&mut world))?;
    let ids: Value = serde_json::from_str(&made)?;
    let id = |name: &str| ids[name].as_str().context("an id is missing");
    let port = Port::to(&url, &url)?;
    Ok((
        server,
        World::new(port, [id("subnet")?, id("group")?, id("instance")?]),
    ))
}

fn mock() -> anyhow::Result<(Mock, World)> {
    let mock = Mock::start(&[])?;
    let mut port = Port::to(&mock.ec2, &mock.imds)?;
    let primary = port.call(&json!({"call": "interfaces"}))?["ok"][0].clone();
    let text = |value: &Value| value.as_str().context("no id").map(str::to_owned);
    let subnet = text(&primary["subnet_id"])?;
    let group = text(&primary["security_groups"][0])?;
    let world = World::new(port, [&subnet, &group, &mock.instance]);
    Ok((mock, world))
}

#[test]
fn the_adapter_reads_moto_as_it_reads_the_mock() -> anyhow::Result<()> {
    let Some(python) = venv::python()? else {
        return Ok(());
    };
    let (_moto, mut theirs) = moto(&python)?;
    let (_mock, mut ours) = mock()?;
    theirs.live()?;
    ours.live()?;
    ensure!(theirs.story.len() == ours.story.len());
    for ((name, moto), (_, mock)) in theirs.story.iter().zip(&ours.story) {
        let expected = wrong_in_moto(name, mock).unwrap_or_else(|| mock.clone());
        ensure!(*moto == expected, "{name}\n  moto {moto}\n  mock {mock}");
    }
    Ok(())
}

/// What moto 5.2.5 makes of a step, where that is not what EC2 does.
fn wrong_in_moto(name: &str, right: &Value) -> Option<Value> {
    match name {
        // It answers all addresses of the ENI. The adapter must not take old ones for new ones: only a Describe can tell.
        "assign" => Some(json!({"error": {
            "action": "AssignPrivateIpAddresses", "code": "BadAnswer", "kind": "Doubtful"}})),
        // It ignores prefixes: it answers the single addresses, says that all went well, and shows none.
        "assign prefixes" => Some(json!({"error": {
            "action": "AssignPrivateIpAddresses", "code": "BadAnswer", "kind": "Doubtful"}})),
        "show with prefixes" => {
            let mut wrong = right.clone();
            wrong["ok"][0]["prefixes"] = json!([]);
            Some(wrong)
        }
        // It ignores delete-on-termination.
        "show protected" => {
            let mut wrong = right.clone();
            wrong["ok"][0]["attachment"]["delete_on_termination"] = false.into();
            Some(wrong)
        }
        _ => None,
    }
}
