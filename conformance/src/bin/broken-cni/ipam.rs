//! Where addresses come from: this plugin's own files, or an IPAM plugin that it calls.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::Failure;
use crate::rules::broken;
use crate::state::State;

/// What an attachment is given.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// `ips` of a result, without `interface`.
    pub ips: Vec<Value>,
    /// `routes` of a result.
    pub routes: Vec<Value>,
    /// `dns` of a result.
    pub dns: Option<Value>,
}

impl Given {
    /// The addresses with their lengths.
    pub fn addresses(&self) -> Vec<String> {
        self.ips
            .iter()
            .filter_map(|ip| Some(ip["address"].as_str()?.to_owned()))
            .collect()
    }
}

/// Addresses for an ADD.
pub fn give(call: &Call, state: &State) -> Result<Given, Failure> {
    if call.conf.ipam().is_some() {
        let asked = ask(call, "ADD");
        if broken("ipam-add-error-lost") && asked.is_err() {
            return Ok(Given::default());
        }
        if asked.is_err() && !broken("ipam-failed-undeleted") {
            // the first failure is the one to tell
            let _ = ask(call, "DEL");
        }
        let result = asked?;
        let list = |key: &str| result[key].as_array().cloned().unwrap_or_default();
        let dns = result
            .get("dns")
            .filter(|dns| dns.as_object().is_some_and(|dns| !dns.is_empty()));
        let routes = list("routes").into_iter().map(|mut route| {
            if route["gw"].is_null() {
                route["gw"] = result["ips"][0]["gateway"].clone();
            }
            route
        });
        let mut ips = list("ips");
        if broken("ipam-first-only") {
            ips.truncate(1);
        }
        return Ok(Given {
            ips,
            routes: routes.collect(),
            dns: dns.cloned(),
        });
    }
    let subnet = call.conf.subnet();
    let address = state.allocate(subnet)?;
    if broken("no-lock") {
        crate::daemon::pause(std::time::Duration::from_millis(50));
    }
    let gateway = std::net::Ipv4Addr::from(u32::from(subnet) + 1).to_string();
    Ok(Given {
        ips: vec![json!({"address": address, "gateway": gateway})],
        routes: vec![json!({"dst": "0.0.0.0/0", "gw": gateway})],
        dns: None,
    })
}

/// Passes a verb without a result on to the IPAM plugin, if there is one.
pub fn forward(call: &Call, verb: &str) -> Result<(), Failure> {
    if call.conf.ipam().is_none() {
        return Ok(());
    }
    ask(call, verb).map(drop)
}

fn ask(call: &Call, verb: &str) -> Result<Value, Failure> {
    let name = call.conf.ipam().unwrap_or_default();
    let program = find(name, &call.environment.path)?;
    let mut command = Command::new(program);
    command
        .env("CNI_COMMAND", verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if broken("ipam-env-cut") {
        command.env_remove("CNI_ARGS");
    }
    if broken("ipam-trace-cut") {
        command.env_remove("TRACEPARENT");
    }
    if broken("ipam-stderr-cut") {
        command.stderr(Stdio::null());
    }
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        let mut document = call.conf.document().clone();
        if broken("ipam-conf-cut") || (verb == "DEL" && broken("ipam-del-conf-cut")) {
            document.retain(|key, _| ["cniVersion", "name", "ipam"].contains(&key.as_str()));
        }
        // a plugin that does not read it says so by its status
        let _ = stdin.write_all(Value::Object(document).to_string().as_bytes());
    }
    let output = child.wait_with_output()?;
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if output.status.success() {
        return Ok(printed);
    }
    let text = |key: &str| printed[key].as_str().unwrap_or_default().to_owned();
    let failure = Failure::new(printed["code"].as_i64().unwrap_or(999), text("msg"));
    Err(failure.details(text("details")))
}

fn find(name: &str, path: &str) -> Result<PathBuf, Failure> {
    if name.contains('/') {
        if broken("ipam-first-dir-slash") {
            return Ok(PathBuf::from(name));
        }
        return Err(Failure::new(7, format!("invalid plugin name {name}")));
    }
    let count = path.split(':').count();
    let searched = match () {
        () if broken("path-first-only") => 0..1,
        () if broken("path-last-only") => count - 1..count,
        () => 0..count,
    };
    let mut candidates = path
        .split(':')
        .skip(searched.start)
        .take(searched.len())
        .map(|dir| Path::new(dir).join(name));
    let found = candidates.find(|candidate| candidate.is_file());
    found.ok_or_else(|| Failure::new(4, format!("no plugin {name} in CNI_PATH {path}")))
}
