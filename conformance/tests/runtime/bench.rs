//! Plugins that write down what they are told, and a runtime for lists of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use conformance::netns::Netns;
use conformance::runtime::Runtime;
use conformance::runtime::attachment::Attachment;
use conformance::runtime::conflist::{Conflist, Version};
use serde_json::{Value, json};

/// Writes its environment and stdin beside itself, then does what the file `<name>.<verb>` says.
const SCRIPT: &str = r#"#!/bin/sh
dir=$(dirname "$0"); name=$(basename "$0")
echo "$CNI_COMMAND $name" >> "$dir/order"
cat > "$dir/$name.$CNI_COMMAND.stdin"
env | grep ^CNI_ | sort > "$dir/$name.$CNI_COMMAND.env"
if [ -f "$dir/$name.$CNI_COMMAND" ]; then . "$dir/$name.$CNI_COMMAND"; fi
"#;

pub struct Bench {
    pub host: Netns,
    pub dir: tempfile::TempDir,
}

impl Bench {
    pub fn new(plugins: &[&str]) -> Self {
        let bench = Self {
            host: Netns::unique("rtp").unwrap(),
            dir: tempfile::tempdir().unwrap(),
        };
        for plugin in plugins {
            fs::write(bench.file(plugin), SCRIPT).unwrap();
            fs::set_permissions(bench.file(plugin), fs::Permissions::from_mode(0o755)).unwrap();
            bench.on(
                plugin,
                "ADD",
                &format!("echo '{}'", json!({"dns": {"domain": plugin}})),
            );
        }
        bench
    }

    pub fn on(&self, plugin: &str, verb: &str, script: &str) {
        fs::write(self.file(&format!("{plugin}.{verb}")), script).unwrap();
    }

    pub fn runtime(&self, version: Version, plugins: Value) -> Runtime {
        self.runtime_of(plugins, &json!({"cniVersion": version.as_str()}))
    }

    /// A runtime of the newest version, or that which `members` of the list say.
    pub fn runtime_of(&self, plugins: Value, members: &Value) -> Runtime {
        let mut list = json!({"name": "net", "cniVersion": "1.1.0", "plugins": plugins});
        for (key, value) in members.as_object().unwrap() {
            list[key] = value.clone();
        }
        let conflist = Conflist::from_json(list).unwrap();
        let nowhere = PathBuf::from("/nonexistent");
        let path = vec![nowhere, self.dir.path().to_owned()];
        Runtime::new(conflist, path, self.dir.path())
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    pub fn stdin(&self, plugin: &str, verb: &str) -> Value {
        serde_json::from_str(&self.read(&format!("{plugin}.{verb}.stdin"))).unwrap()
    }
}

pub fn attachment() -> Attachment {
    Attachment::of_pod(
        "shop",
        "cart-0",
        "c0ffee".to_owned(),
        PathBuf::from("/run/netns/none"),
    )
}
