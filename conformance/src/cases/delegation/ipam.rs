//! The suite's IPAM plugin: a script in a directory of its own, with what it answers and how it was called beside it.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};

use crate::call::Call;
use crate::case::{Finding, skip, wrong};
use crate::netns::install;
use crate::world::World;

const NAME: &str = "conformance-ipam";

/// What it gives (TEST-NET-3, RFC 5737).
pub(super) const ADDRESSES: [&str; 1] = ["203.0.113.10/24"];
/// The network's other end.
pub(super) const GATEWAY: &str = "203.0.113.1";
/// A route that it gives.
pub(super) const ROUTE: &str = "198.18.0.0/16";
/// A name server that it gives.
pub(super) const NAMESERVER: &str = "192.0.2.53";

/// `$0` is found by its path, so the files lie beside it.
const SCRIPT: &str = r#"#!/bin/sh
dir=${0%/*}
call=$dir/call-$CNI_COMMAND-$$
/usr/bin/env > "$call.env"
/bin/cat > "$call.json"
if [ -f "$dir/error-$CNI_COMMAND" ]; then /bin/cat "$dir/error-$CNI_COMMAND"; exit 1; fi
if [ -f "$dir/answer-$CNI_COMMAND" ]; then /bin/cat "$dir/answer-$CNI_COMMAND"; fi
exit 0
"#;

/// The script and its directory.
pub(super) struct Ipam {
    dir: PathBuf,
}

/// One call of it.
pub(super) struct Seen {
    environment: String,
    /// What was on stdin.
    pub(super) config: Value,
}

impl Ipam {
    /// Puts it into a new directory; skips for plugins that call no IPAM plugin.
    pub(super) fn install(world: &World<'_>) -> Result<Self, Finding> {
        let configured = world.subject().entry.get("ipam").map(|ipam| &ipam["type"]);
        if !configured.is_some_and(Value::is_string) {
            return skip("its configuration names no IPAM plugin");
        }
        let ipam = Self {
            dir: world.dir().join(format!("ipam-{}", world.host().name())),
        };
        fs::create_dir_all(&ipam.dir).context("the IPAM plugin's directory")?;
        ipam.forget()?;
        let script = ipam.dir.join("script");
        fs::write(&script, SCRIPT).context("the IPAM plugin")?;
        install(&script, &ipam.program()).context("the IPAM plugin")?;
        ipam.answers(
            "ADD",
            &json!({
                "cniVersion": world.version().as_str(),
                "ips": [{"version": "4", "address": ADDRESSES[0], "gateway": GATEWAY}],
                "routes": [{"dst": ROUTE, "gw": GATEWAY}],
                "dns": {"nameservers": [NAMESERVER]},
            }),
        )?;
        Ok(ipam)
    }

    /// Its path.
    pub(super) fn program(&self) -> PathBuf {
        self.dir.join(NAME)
    }

    /// The call of the plugin under test with this one as its IPAM plugin, last in CNI_PATH.
    pub(super) fn call(&self, world: &World<'_>, verb: &str) -> Result<Call, Finding> {
        let call = world.call(verb)?;
        let mut part = call.config()["ipam"].clone();
        part["type"] = json!(NAME);
        let path = format!(
            "{}:{}",
            call.variable("CNI_PATH").to_string_lossy(),
            self.dir.display()
        );
        Ok(call.env("CNI_PATH", path).set("ipam", part))
    }

    /// What it prints for a verb from now on.
    pub(super) fn answers(&self, verb: &str, answer: &Value) -> anyhow::Result<()> {
        fs::write(self.dir.join(format!("answer-{verb}")), answer.to_string())
            .context("the IPAM plugin's answer")
    }

    /// It fails at a verb from now on.
    pub(super) fn fails(&self, verb: &str, code: u32, msg: &str) -> anyhow::Result<()> {
        let error = json!({"cniVersion": "1.0.0", "code": code, "msg": msg});
        fs::write(self.dir.join(format!("error-{verb}")), error.to_string())
            .context("the IPAM plugin's error")
    }

    /// It does not fail any more.
    pub(super) fn recovers(&self, verb: &str) -> anyhow::Result<()> {
        fs::remove_file(self.dir.join(format!("error-{verb}"))).context("the IPAM plugin's error")
    }

    /// Forgets its calls.
    pub(super) fn forget(&self) -> anyhow::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("call-") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Its calls with this verb.
    pub(super) fn calls(&self, verb: &str) -> anyhow::Result<Vec<Seen>> {
        let mut calls = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name.starts_with(&format!("call-{verb}-")) && name.ends_with(".env") {
                let environment = fs::read_to_string(&path)?;
                let config = fs::read(path.with_extension("json"))?;
                let config = serde_json::from_slice(&config).unwrap_or_default();
                calls.push(Seen {
                    environment,
                    config,
                });
            }
        }
        Ok(calls)
    }

    /// Its call with this verb, of which there must be one.
    pub(super) fn only(&self, verb: &str) -> Result<Seen, Finding> {
        let mut calls = self.calls(verb)?;
        match (calls.pop(), calls.len()) {
            (Some(seen), 0) => Ok(seen),
            (None, _) => wrong(format!("the IPAM plugin was not asked: {verb}")),
            (_, more) => wrong(format!(
                "the IPAM plugin was asked {} times: {verb}",
                more + 1
            )),
        }
    }
}

impl Seen {
    /// A variable as it was.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}=");
        self.environment
            .lines()
            .find_map(|line| line.strip_prefix(prefix.as_str()))
    }
}
