//! The runtime runner against plugins that others wrote: Debian's `ptp`, `host-local` and `portmap`.
//!
//! If the runner passed a chain something that libcni would not, these plugins would refuse it or misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use e2e::netns::snapshot::Snapshot;
use e2e::netns::{Netns, require_netns};
use e2e::probe::{Patience, ping, tcp};
use e2e::runtime::Runtime;
use e2e::runtime::attachment::{Attachment, PortMapping, random_container_id};
use e2e::runtime::conflist::Conflist;
use e2e::runtime::outcome::PluginTime;
use serde_json::{Value, json};

const PLUGINS: &str = "/usr/lib/cni";
const NODE: Ipv4Addr = Ipv4Addr::new(10, 70, 0, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 70, 0, 2);
const POD_PORT: u16 = 8080;
const HOST_PORT: u16 = 30080;

/// A node and a machine outside of it, one link between them.
struct Net {
    node: Netns,
    outside: Netns,
    dir: tempfile::TempDir,
}

impl Net {
    fn new(test: &str) -> anyhow::Result<Self> {
        let node = Netns::unique(&format!("{test}-node"))?;
        let outside = Netns::unique(&format!("{test}-out"))?;
        node.ip(&[
            "link",
            "add",
            "up0",
            "type",
            "veth",
            "peer",
            "name",
            "up0",
            "netns",
            outside.name(),
        ])?;
        node.ip(&["addr", "add", &format!("{NODE}/24"), "dev", "up0"])?;
        outside.ip(&["addr", "add", &format!("{OUTSIDE}/24"), "dev", "up0"])?;
        node.ip(&["link", "set", "up0", "up"])?;
        outside.ip(&["link", "set", "up0", "up"])?;
        outside.ip(&["route", "add", "default", "via", &NODE.to_string()])?;
        node.sysctl("net.ipv4.ip_forward", "1")?;
        Ok(Self {
            node,
            outside,
            dir: tempfile::tempdir()?,
        })
    }

    fn runtime(&self, plugins: Value) -> anyhow::Result<Runtime> {
        let list = json!({"name": "debian", "cniVersion": "1.0.0", "plugins": plugins});
        Ok(Runtime::new(
            Conflist::from_json(list)?,
            vec![PathBuf::from(PLUGINS)],
            self.dir.path(),
        ))
    }

    fn ptp(&self) -> Value {
        json!({"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.71.0.0/24", "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": self.dir.path().join("ipam")}})
    }

    fn reserved(&self) -> usize {
        let files = std::fs::read_dir(self.dir.path().join("ipam/debian")).unwrap();
        files
            .filter(|file| {
                file.as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with("10.71.")
            })
            .count()
    }
}

fn installed() -> anyhow::Result<bool> {
    if Path::new(PLUGINS).join("portmap").is_file() {
        return require_netns();
    }
    anyhow::ensure!(
        std::env::var_os("CI").is_none(),
        "containernetworking-plugins is required when CI is set"
    );
    eprintln!("skipped: {PLUGINS} is empty (apt-get install containernetworking-plugins)");
    Ok(false)
}

/// The cycle of one pod with a host port: ADD, used by the node and from outside, DEL.
fn one_pod(net: &Net, runtime: &Runtime) -> anyhow::Result<()> {
    let pod = Netns::unique("rtd-pod")?;
    let attachment = Attachment::of_pod(
        "default",
        "pod",
        random_container_id()?,
        pod.path().to_owned(),
    );
    let attachment = attachment.with_ports(&[PortMapping {
        host: HOST_PORT,
        container: POD_PORT,
    }]);
    let cached = runtime.cache().path(runtime.conflist(), &attachment);
    let outside = SocketAddrV4::new(NODE, HOST_PORT);

    let added = runtime.add(&net.node, &attachment)?;
    assert_eq!(plugins(&added.times), ["ptp", "portmap"]);
    assert!(cached.is_file());
    assert_eq!(net.reserved(), 1);
    ping::ping(
        &net.node,
        added.result.pod_address().expect("an address"),
        Patience::USUAL,
    )?;
    let server = tcp::Server::start(&pod, POD_PORT)?;
    let seen = tcp::ask(&net.outside, outside, Patience::USUAL)?;
    assert_eq!(
        *seen.ip(),
        OUTSIDE,
        "a host port keeps the client's address"
    );
    drop(server);

    let deleted = runtime.del(&net.node, &attachment)?;
    assert_eq!(plugins(&deleted.times), ["portmap", "ptp"]);
    assert!(!cached.exists());
    assert_eq!(net.reserved(), 0);
    tcp::ask(&net.outside, outside, Patience::ONCE).expect_err("the port is closed");
    Ok(())
}

fn plugins(times: &[PluginTime]) -> Vec<&str> {
    times.iter().map(|time| time.plugin.as_str()).collect()
}

#[test]
fn a_pod_is_reached_through_its_host_port_and_leaves_nothing() -> anyhow::Result<()> {
    if !installed()? {
        return Ok(());
    }
    let net = Net::new("rtd-chain")?;
    let portmap = json!({"type": "portmap", "snat": true, "capabilities": {"portMappings": true}});
    let runtime = net.runtime(json!([net.ptp(), portmap]))?;
    let untouched = Snapshot::take(&net.node)?;
    one_pod(&net, &runtime)?;
    // portmap's first ADD on a node makes chains that stay for good: the second pod finds what the first one left
    let before = Snapshot::take(&net.node)?;
    assert_ne!(untouched.changes(&before), []);
    one_pod(&net, &runtime)?;
    let changes = before.changes(&Snapshot::take(&net.node)?);
    assert!(
        changes.is_empty(),
        "{}",
        changes
            .iter()
            .map(|change| format!("{change}\n"))
            .collect::<String>()
    );
    Ok(())
}

#[test]
fn a_chain_that_failed_is_cleaned_by_del_without_a_cache() -> anyhow::Result<()> {
    if !installed()? {
        return Ok(());
    }
    let net = Net::new("rtd-fail")?;
    // vrf needs a name: it fails after ptp has made the link and host-local has reserved the address
    let runtime = net.runtime(json!([net.ptp(), {"type": "vrf"}]))?;
    let before = Snapshot::take(&net.node)?;
    let pod = Netns::unique("rtd-pod")?;
    let attachment = Attachment::of_pod(
        "default",
        "pod",
        random_container_id()?,
        pod.path().to_owned(),
    );
    let failure = runtime
        .add(&net.node, &attachment)
        .expect_err("vrf without a name");
    assert_eq!(failure.plugin, "vrf");
    assert!(failure.reported().is_some(), "{failure}");
    assert_eq!(net.reserved(), 1);
    assert!(
        !runtime
            .cache()
            .path(runtime.conflist(), &attachment)
            .exists()
    );

    let ptp_only = net.runtime(json!([net.ptp()]))?;
    ptp_only.del(&net.node, &attachment)?;
    ptp_only.del(&net.node, &attachment)?;
    assert_eq!(net.reserved(), 0);
    assert_eq!(before.changes(&Snapshot::take(&net.node)?), []);
    Ok(())
}

#[test]
fn an_address_survives_until_its_own_del() -> anyhow::Result<()> {
    if !installed()? {
        return Ok(());
    }
    let net = Net::new("rtd-two")?;
    let runtime = net.runtime(json!([net.ptp()]))?;
    let pods = [Netns::unique("rtd-pod")?, Netns::unique("rtd-pod")?];
    let add = |pod: &Netns| -> anyhow::Result<_> {
        let attachment = Attachment::of_pod(
            "default",
            "same-name",
            random_container_id()?,
            pod.path().to_owned(),
        );
        let address = runtime
            .add(&net.node, &attachment)?
            .result
            .pod_address()
            .expect("an address");
        Ok((attachment, address))
    };
    let (old, _) = add(&pods[0])?;
    let (young, address) = add(&pods[1])?;
    runtime.del(&net.node, &old)?;
    ping::ping(&net.node, address, Patience::USUAL)?;
    runtime.del(&net.node, &young)?;
    ping::ping(&net.node, address, Patience::ONCE).expect_err("nobody has the address any more");
    Ok(())
}
