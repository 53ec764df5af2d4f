//! A node with its daemon, a cloud, and an API server that listens inside the node.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::apiserver::{ApiServer, PodSpec};
use e2e::cluster::{Cluster, DAEMON_PATIENCE, Member};
use e2e::mock::{CloudConfig, Latency};
use e2e::node::{POD_NAMESPACE, http};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::fixture::{M5_LARGE, eventually, launch, status_json};

/// The node's name in the API.
pub const NODE: &str = "n1.example.internal";
/// Where the API server answers inside the node.
const PLACE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 6443);
/// Of an m5.large.
const PODS: u32 = 29;
/// What a call to EC2 takes: a pod that has to wait for one is told from a pod that does not.
const EC2_TAKES: Duration = Duration::from_millis(400);
/// A bookmark comes so often, and a watch is heard to be alive.
pub const BOOKMARKS: Duration = Duration::from_millis(500);
/// A watch that lasts for 5 s is a success, after which waits are short again.
const LASTING: Duration = Duration::from_secs(6);
/// What the API server says is seen by then, its longest back-off of these tests included.
pub const SEEN: Duration = Duration::from_secs(45);

/// All of it. Dropping it stops the daemon first.
pub struct Site {
    pub cluster: Cluster,
    pub api: ApiServer,
    /// What serves the API server; none while it is away.
    serving: Option<Runtime>,
}

impl Site {
    /// With a daemon that runs and sees, and nothing bound; none where namespaces are not to be had.
    pub fn start(name: &str) -> anyhow::Result<Option<Self>> {
        let Some(mut site) = Self::without_daemon(name)? else {
            return Ok(None);
        };
        site.come()?;
        site.start_daemon()?;
        site.expects(0)?;
        Ok(Some(site))
    }

    /// Without a daemon, the API server away.
    pub fn without_daemon(name: &str) -> anyhow::Result<Option<Self>> {
        let config = CloudConfig {
            name: name.to_owned(),
            latency: Latency::flat(EC2_TAKES),
            ..CloudConfig::fast()
        };
        let Some(mut cluster) = launch(config, M5_LARGE, 1, &[("MY_NODE_NAME", NODE)])? else {
            return Ok(None);
        };
        let node = &mut cluster.members[0].node;
        let kubeconfig = node.dir().join("kubeconfig");
        fs::write(&kubeconfig, self::kubeconfig())?;
        node.set("KUBECONFIG", &kubeconfig.display().to_string());
        let api = ApiServer::new(None, BOOKMARKS);
        api.add_node(NODE, PODS);
        Ok(Some(Self {
            cluster,
            api,
            serving: None,
        }))
    }

    pub fn start_daemon(&self) -> anyhow::Result<()> {
        self.member().node.start_daemon(DAEMON_PATIENCE)?;
        let settled = self.member().settled(self.cluster.cloud(), DAEMON_PATIENCE);
        settled.map(drop)
    }

    /// The API server comes, with all that it knew.
    pub fn come(&mut self) -> anyhow::Result<()> {
        let runtime = Runtime::new()?;
        let entered = runtime.enter();
        let netns = self.member().node.netns();
        self.api.listen(Some(netns), SocketAddr::from(PLACE))?;
        drop(entered);
        self.serving = Some(runtime);
        Ok(())
    }

    /// The API server goes, with all its connections.
    pub fn go(&mut self) {
        if let Some(runtime) = self.serving.take() {
            runtime.shutdown_background();
        }
    }

    pub fn member(&self) -> &Member {
        &self.cluster.members[0]
    }

    /// Binds pods `<prefix>-0`, `<prefix>-1`, ...
    pub fn bind(&self, prefix: &str, count: usize) {
        (0..count).for_each(|n| self.api.bind(&pod(&format!("{prefix}-{n}"))));
    }

    /// How many pods the daemon expects.
    pub fn expected(&self) -> anyhow::Result<Value> {
        Ok(status_json(&self.member().node)?["expected"].clone())
    }

    /// It comes to expect so many.
    pub fn expects(&self, pods: u32) -> anyhow::Result<()> {
        eventually(&format!("{pods} pods expected"), SEEN, || {
            let expected = self.expected()?;
            ensure!(expected == pods, "{expected} are expected");
            Ok(())
        })
    }

    /// It comes to expect so many and to hold an address for each.
    pub fn prepares(&self, pods: u32) -> anyhow::Result<()> {
        self.expects(pods)?;
        eventually("their addresses", SEEN, || {
            let free = self.member().node.status()?.addresses.free;
            ensure!(free >= pods, "{free} are free");
            Ok(())
        })
    }

    /// Why the daemon does not see pods; none if it does.
    pub fn blindness(&self) -> anyhow::Result<Option<Value>> {
        let status = status_json(&self.member().node)?;
        let degraded = status["degraded"].as_array().context("no list")?.clone();
        let mut degraded = degraded.into_iter();
        Ok(degraded.find(|entry| entry["feature"] == "bound-pods"))
    }

    /// The status comes to say why pods are not seen, in these words, and so does the metric.
    pub fn blinded(&self, words: &str) -> anyhow::Result<Value> {
        let told = eventually(words, SEEN, || {
            let told = self.blindness()?.context("not degraded")?;
            ensure!(told["message"].to_string().contains(words), "{told}");
            Ok(told)
        })?;
        ensure!(self.sample("berth_degraded{feature=\"bound-pods\"}")? == 1.0);
        Ok(told)
    }

    /// It comes to see again.
    pub fn sees(&self) -> anyhow::Result<()> {
        eventually("it sees again", SEEN, || {
            let told = self.blindness()?;
            ensure!(told.is_none(), "{told:?}");
            Ok(())
        })
    }

    /// A watch goes on for long enough that what failed before counts no more.
    pub fn lasts(&self) {
        thread::sleep(LASTING);
    }

    /// A sample of the daemon's metrics.
    pub fn sample(&self, series: &str) -> anyhow::Result<f64> {
        let member = self.member();
        http::sample(
            &http::scrape(member.node.netns(), member.address())?,
            series,
        )
    }

    /// How many ADDs found an address at once, and how many there were.
    pub fn waits(&self) -> anyhow::Result<(f64, f64)> {
        let at_once = self.sample("berth_add_wait_seconds_count{reason=\"none\"}")?;
        let added = "berth_cni_request_duration_seconds_count{result=\"ok\",verb=\"add\"}";
        Ok((at_once, self.sample(added)?))
    }
}

/// A pod as the tests' runtime will call it.
pub fn pod(name: &str) -> PodSpec {
    PodSpec::new(POD_NAMESPACE, name, NODE)
}

fn kubeconfig() -> String {
    let (address, port) = PLACE;
    format!(
        "apiVersion: v1
kind: Config
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
clusters: [{{name: test, cluster: {{server: 'http://{address}:{port}'}}}}]
users: [{{name: test, user: {{}}}}]
"
    )
}
