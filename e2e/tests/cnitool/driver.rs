//! Two runtimes behind one face: what each is asked, and what came of it in words.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, bail};
use e2e::netns::Netns;
use e2e::node::programs::cni_path;
use e2e::node::{Node, POD_NAMESPACE};
use e2e::runtime::Runtime;
use e2e::runtime::attachment::{Attachment, PortMapping};
use e2e::runtime::conflist::Conflist;
use e2e::runtime::failure::ChainFailure;
use serde_json::Value;

/// A port of the node that leads to the pod.
const PORT: PortMapping = PortMapping {
    host: 31080,
    container: 80,
};

/// What a runtime said; the error in its own words.
pub type Said<T> = Result<T, String>;

/// A runtime with one list, for one pod at a time. The inner errors are the runtime's, the outer ones the test's.
pub trait Driver {
    fn add(&self, pod: &Netns) -> anyhow::Result<Said<Value>>;
    fn check(&self, pod: &Netns) -> anyhow::Result<Said<()>>;
    fn del(&self, pod: &Netns) -> anyhow::Result<Said<()>>;
    /// Nothing is valid.
    fn gc(&self, pod: &Netns) -> anyhow::Result<Said<()>>;
    fn status(&self, pod: &Netns) -> anyhow::Result<Said<()>>;
}

/// Builds cnitool; none where there is no Go.
pub fn build() -> anyhow::Result<Option<PathBuf>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/cnitool");
    let built = Command::new(script)
        .output()
        .context("start scripts/cnitool")?;
    let words = String::from_utf8_lossy(&built.stderr);
    match built.status.code() {
        Some(0) => Ok(Some(String::from_utf8(built.stdout)?.trim().into())),
        Some(3) => {
            eprintln!("skipped: {}", words.trim());
            Ok(None)
        }
        _ if std::env::var_os("CI").is_none() => {
            eprintln!("skipped, cnitool cannot be built: {}", words.trim());
            Ok(None)
        }
        _ => bail!("cnitool cannot be built: {}", words.trim()),
    }
}

/// Our own runtime.
pub struct Emulator<'a> {
    node: &'a Node,
    runtime: Runtime,
}

impl<'a> Emulator<'a> {
    pub fn new(node: &'a Node, conf: Value) -> anyhow::Result<Self> {
        let cache = node.dir().join("cni-emulator");
        let runtime = Runtime::new(Conflist::from_json(conf)?, cni_path(), &cache);
        Ok(Self { node, runtime })
    }

    fn attachment(&self, pod: &Netns) -> Attachment {
        let id = format!("emulator-{}", pod.name());
        Attachment::of_pod(POD_NAMESPACE, "web", id, pod.path().to_owned()).with_ports(&[PORT])
    }
}

fn said<T>(result: Result<T, ChainFailure>) -> Said<()> {
    result.map(drop).map_err(|failure| failure.to_string())
}

impl Driver for Emulator<'_> {
    fn add(&self, pod: &Netns) -> anyhow::Result<Said<Value>> {
        let added = self.runtime.add(self.node.netns(), &self.attachment(pod));
        let result = added.map(|added| added.result.json().clone());
        Ok(result.map_err(|failure| failure.to_string()))
    }

    fn check(&self, pod: &Netns) -> anyhow::Result<Said<()>> {
        Ok(said(
            self.runtime.check(self.node.netns(), &self.attachment(pod)),
        ))
    }

    fn del(&self, pod: &Netns) -> anyhow::Result<Said<()>> {
        Ok(said(
            self.runtime.del(self.node.netns(), &self.attachment(pod)),
        ))
    }

    fn gc(&self, _pod: &Netns) -> anyhow::Result<Said<()>> {
        let collected = self.runtime.gc(self.node.netns(), &[]);
        let words =
            |failures: Vec<ChainFailure>| failures.iter().map(ToString::to_string).collect();
        Ok(collected.map_err(words))
    }

    fn status(&self, _pod: &Netns) -> anyhow::Result<Said<()>> {
        Ok(said(self.runtime.status(self.node.netns())))
    }
}

/// The CNI project's.
pub struct Cnitool<'a> {
    node: &'a Node,
    tool: &'a Path,
    lists: PathBuf,
    cache: PathBuf,
}

/// Gives the program after it /var/lib/cni in the directory that is its first argument: libcni keeps results there, and
/// asks nobody where. The mounts are gone with the program.
const PRIVATE_CACHE: &str = "mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/cni && \
    mount --bind \"$0\" /var/lib/cni && exec \"$@\"";

impl<'a> Cnitool<'a> {
    pub fn new(node: &'a Node, tool: &'a Path, conf: &Value) -> anyhow::Result<Self> {
        let (lists, cache) = (node.dir().join("cnitool.d"), node.dir().join("cni-cnitool"));
        fs::create_dir_all(&lists)?;
        fs::create_dir_all(&cache)?;
        fs::write(lists.join("05-berth.conflist"), conf.to_string())?;
        Ok(Self {
            node,
            tool,
            lists,
            cache,
        })
    }

    fn run(&self, verb: &str, pod: &Netns) -> anyhow::Result<Output> {
        let path = std::env::join_paths(cni_path())?;
        let ports = serde_json::json!({"portMappings": [
            {"hostPort": PORT.host, "containerPort": PORT.container, "protocol": "tcp"}]});
        let args = format!("IgnoreUnknown=1;K8S_POD_NAMESPACE={POD_NAMESPACE};K8S_POD_NAME=web");
        let mut command = self.node.netns().command("unshare");
        command
            .args(["--mount", "sh", "-c", PRIVATE_CACHE])
            .arg(&self.cache)
            .arg(self.tool)
            .args([verb, e2e::node::NETWORK])
            .arg(pod.path())
            .env("CNI_PATH", path)
            .env("NETCONFPATH", &self.lists)
            .env("CNI_ARGS", args)
            .env("CAP_ARGS", ports.to_string());
        command.output().context("start cnitool")
    }

    fn said(&self, verb: &str, pod: &Netns) -> anyhow::Result<Said<Vec<u8>>> {
        let output = self.run(verb, pod)?;
        if output.status.success() {
            return Ok(Ok(output.stdout));
        }
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Ok(Err(words))
    }

    fn silent(&self, verb: &str, pod: &Netns) -> anyhow::Result<Said<()>> {
        Ok(self.said(verb, pod)?.map(drop))
    }
}

impl Driver for Cnitool<'_> {
    fn add(&self, pod: &Netns) -> anyhow::Result<Said<Value>> {
        let printed = self.said("add", pod)?;
        let read =
            |bytes: Vec<u8>| serde_json::from_slice(&bytes).context("cnitool prints a result");
        match printed {
            Ok(bytes) => Ok(Ok(read(bytes)?)),
            Err(words) => Ok(Err(words)),
        }
    }

    fn check(&self, pod: &Netns) -> anyhow::Result<Said<()>> {
        self.silent("check", pod)
    }

    fn del(&self, pod: &Netns) -> anyhow::Result<Said<()>> {
        self.silent("del", pod)
    }

    fn gc(&self, pod: &Netns) -> anyhow::Result<Said<()>> {
        self.silent("gc", pod)
    }

    fn status(&self, pod: &Netns) -> anyhow::Result<Said<()>> {
        self.silent("status", pod)
    }
}
