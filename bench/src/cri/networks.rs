//! The networks that sandboxes are run with, and what is installed for them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use containerd::bed::{Bed, Network, Spec, Worker};
use containerd::cri::messages::{
    LinuxSandboxSecurityContext, NODE, NamespaceOption, PodSandboxConfig,
};
use containerd::daemon::CNI_BIN;
use containerd::sandbox::pod;
use e2e::mock::{CloudConfig, Latency};
use e2e::node::programs::{BERTH_CNI, DEBIAN_PLUGINS, find};
use serde_json::{Value, json};

use super::timed::Timed;

/// The plugin that does nothing (`bench/floor/src/null.rs`).
const NULL: &str = "null-plugin";

/// In front of the names of all that this section makes.
pub(super) const LABEL: &str = "bench-cri";

/// How a sandbox gets its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variant {
    /// For the table.
    pub(super) name: &'static str,
    /// containerd's handler for it; the empty one is the default, which is berth's.
    handler: &'static str,
    /// The node's own network: no namespace, no plugin.
    host: bool,
}

const fn of(name: &'static str, handler: &'static str) -> Variant {
    Variant {
        name,
        handler,
        host: false,
    }
}

/// All of them, in the order in which a round goes through them. The chains end alike, in portmap and bandwidth.
pub(super) const VARIANTS: [Variant; 5] = [
    Variant {
        host: true,
        ..of("no CNI", "")
    },
    of("null plugin", "null"),
    of("ptp chain", "ptp"),
    of("ptp chain, ipMasq", "masq"),
    of("berth's chain", ""),
];

impl Variant {
    /// A sandbox of this kind.
    pub(super) fn sandbox(self, worker: Worker<'_>, name: &str) -> PodSandboxConfig {
        let mut config = pod(worker, name);
        if self.host {
            // a pod in the node's network has the node's hostname
            config.hostname.clear();
            let option = NamespaceOption { network: NODE };
            let context = LinuxSandboxSecurityContext {
                namespace_options: Some(option),
            };
            if let Some(linux) = &mut config.linux {
                linux.security_context = Some(context);
            }
        }
        config
    }

    /// RunPodSandbox.
    pub(super) fn run(
        self,
        worker: Worker<'_>,
        config: PodSandboxConfig,
    ) -> anyhow::Result<String> {
        worker.cri().run_by(self.handler, config)
    }
}

/// One node with a containerd that knows all variants, every plugin timed but host-local, which is a part of ptp's time.
pub(super) fn start() -> anyhow::Result<(Bed, Timed)> {
    let networks = [
        network("null", vec![json!({"type": NULL})]),
        network("ptp", chain(ptp("10.91.0.0/16", false))),
        network("masq", chain(ptp("10.92.0.0/16", true))),
    ];
    let bed = Bed::of(Spec {
        label: LABEL,
        config: CloudConfig {
            name: "sandboxes".to_owned(),
            latency: Latency::none(),
            ..CloudConfig::fast()
        },
        instance_type: "m5.xlarge",
        count: 1,
        // an ADD from stock is measured here: addresses are there, and come back soon
        settings: &[("IP_COOLDOWN_PERIOD", "1"), ("WARM_IP_TARGET", "10")],
        networks: &networks,
    })?;
    let bed = bed.context("no containerd to be measured with")?;
    let worker = bed.worker(0);
    let debian = |name: &str| Path::new(DEBIAN_PLUGINS).join(name);
    let plugins: Vec<PathBuf> = ["loopback", "ptp", "portmap", "bandwidth"]
        .map(debian)
        .into_iter()
        .chain([find(BERTH_CNI)?, find(NULL)?])
        .collect();
    let timed = Timed::install(worker.member.node.dir().join("timed"), &plugins)?;
    let there = worker.machine()?.path(CNI_BIN);
    timed.link_from(&there)?;
    std::fs::copy(debian("host-local"), there.join("host-local"))?;
    Ok((bed, timed))
}

fn network(handler: &'static str, plugins: Vec<Value>) -> Network {
    let name = format!("bench-{handler}");
    let list = json!({"name": name, "cniVersion": "1.0.0", "plugins": plugins});
    Network { handler, list }
}

fn ptp(subnet: &str, masquerade: bool) -> Value {
    let ipam = json!({"type": "host-local", "ranges": [[{"subnet": subnet}]],
        "routes": [{"dst": "0.0.0.0/0"}]});
    json!({"type": "ptp", "ipMasq": masquerade, "ipam": ipam})
}

fn chain(first: Value) -> Vec<Value> {
    vec![
        first,
        json!({"type": "portmap", "snat": true, "capabilities": {"portMappings": true}}),
        json!({"type": "bandwidth", "capabilities": {"bandwidth": true}}),
    ]
}
