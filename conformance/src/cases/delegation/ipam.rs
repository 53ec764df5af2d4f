//! The suite's IPAM plugin: a script in a directory of its own, with what it answers and how it was called beside it.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};

use crate::call::Call;
use crate::case::{Finding, Verdict, expect, skip, wrong};
use crate::netns::install;
use crate::world::World;

const NAME: &str = "conformance-ipam";

/// What it gives, with the network's other end (TEST-NET-3, RFC 5737).
pub(super) const ADDRESS: (&str, &str) = ("203.0.113.10/24", "203.0.113.1");
/// What it gives besides if it is asked for two.
pub(super) const SECOND: (&str, &str) = ("2001:db8:3::10/64", "2001:db8:3::1");
/// A route that it gives.
pub(super) const ROUTE: &str = "198.18.0.0/16";
/// A name server that it gives.
pub(super) const NAMESERVER: &str = "192.0.2.53";
/// What it says on stderr.
pub(super) const REMARK: &str = "conformance-ipam was here";

/// An entry of `ips` as IPAM plugins have it.
pub(super) fn ip((address, gateway): (&str, &str)) -> Value {
    let version = if address.contains(':') { "6" } else { "4" };
    json!({"version": version, "address": address, "gateway": gateway})
}

/// What libcni puts into the environment of a runtime that is traced.
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The environment that it is to get as the plugin did.
const HANDED_ON: [&str; 7] = [
    "CNI_COMMAND",
    "CNI_CONTAINERID",
    "CNI_NETNS",
    "CNI_IFNAME",
    "CNI_ARGS",
    "CNI_PATH",
    "TRACEPARENT",
];

/// `$0` is found by its path, so the files lie beside it.
const SCRIPT: &str = r#"#!/bin/sh
dir=${0%/*}
call=$dir/call-$CNI_COMMAND-$$
echo "conformance-ipam was here" >&2
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
        ipam.gives(world, &[ADDRESS])?;
        Ok(ipam)
    }

    /// Its path.
    pub(super) fn program(&self) -> PathBuf {
        self.dir.join(NAME)
    }

    /// The call of the plugin under test with this one as its IPAM plugin, in the midst of CNI_PATH, and with more in
    /// environment and configuration than either needs.
    pub(super) fn call(&self, world: &World<'_>, verb: &str) -> Result<Call, Finding> {
        let call = world.call(verb)?;
        let mut part = call.config()["ipam"].clone();
        part["type"] = json!(NAME);
        let path = format!(
            "{}:{}:{}",
            call.variable("CNI_PATH").to_string_lossy(),
            self.dir.display(),
            world.nowhere().display(),
        );
        Ok(call
            .env("CNI_PATH", path)
            .env("TRACEPARENT", TRACE)
            .set("ipam", part)
            .set("runtimeConfig", json!({"ips": [ADDRESS.0]}))
            .set("cni.dev/conformance", json!({"kept": [1]})))
    }

    /// It gives these addresses from now on, with a route and a name server.
    pub(super) fn gives(
        &self,
        world: &World<'_>,
        addresses: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let ips: Vec<Value> = addresses.iter().copied().map(ip).collect();
        let routes = json!([{"dst": ROUTE, "gw": ADDRESS.1}]);
        self.answers(
            "ADD",
            &json!({
                "cniVersion": world.version().as_str(),
                "ips": ips,
                "routes": routes,
                "dns": {"nameservers": [NAMESERVER]},
            }),
        )
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

    /// Its only call with the verb of `call`, the plugin's own: with the same environment and the whole configuration.
    pub(super) fn shared(&self, call: &Call) -> Verdict {
        let verb = call.variable("CNI_COMMAND").to_string_lossy().into_owned();
        let seen = self.only(&verb)?;
        for name in HANDED_ON {
            let given = call.variable(name).to_string_lossy().into_owned();
            let got = seen.variable(name);
            expect(got == Some(given.as_str()), || {
                format!("{verb}: the IPAM plugin got {name}={got:?}, not {given:?}")
            })?;
        }
        let mut given = call.config();
        let mut got = seen.config;
        for config in [&mut given, &mut got] {
            // libcni's own, for the outer plugin
            config
                .as_object_mut()
                .map(|config| config.remove("capabilities"));
        }
        expect(given == got, || {
            format!("{verb}: the IPAM plugin got {got}, not {given}")
        })
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
