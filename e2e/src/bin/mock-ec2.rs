//! A mock EC2 as a program: for use by hand, and by daemons that know nothing of this repository.
//!
//! It launches one instance per `--node` into the network namespace given for it, says where everything answers, and
//! stays until it is told to end. What it does is `e2e::mock`; this file only reads options and prints.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use e2e::mock::{Cloud, CloudConfig, Latency, Node, NodeSpec, RateLimits, SubnetSpec};
use ipnet::Ipv4Net;
use tokio::signal::unix::{SignalKind, signal};

/// A mock EC2 and VPC on this machine.
///
/// Each --node is a network namespace that becomes an instance: it gets a configured eth0, the EC2 API at
/// http://169.254.169.253 and IMDSv2 at http://169.254.169.254. AttachNetworkInterface makes a NIC appear in it, and
/// an assigned address is reachable through that NIC. Needs root; --no-fabric serves the API alone, without packets.
///
/// Point a client at it with AWS_ENDPOINT_URL_EC2, AWS_EC2_METADATA_SERVICE_ENDPOINT and any credentials.
///
/// Faults, journal and the truth are at the URL that is printed as `admin`:
///
/// curl --json '{"action":"AssignPrivateIpAddresses","kind":"throttle","times":2}' URL/faults
///
/// curl URL/counts
#[derive(Debug, Parser)]
#[command(name = "mock-ec2", version)]
struct Options {
    /// An instance: its type and its namespace, TYPE=PATH or TYPE=pid:PID, for example m5.large=/run/netns/n1.
    /// TYPE alone is an instance without a namespace, with its endpoints on ports of this machine.
    #[arg(long = "node", value_name = "TYPE[=NETNS]")]
    nodes: Vec<String>,
    /// CIDR of the VPC; repeat it for more, the first is the primary one.
    #[arg(long, value_name = "CIDR", default_value = "10.0.0.0/16")]
    vpc: Vec<Ipv4Net>,
    /// Subnet, /16 to /28 within the VPC; repeat it for more, nodes go into the first.
    #[arg(long, value_name = "CIDR", default_value = "10.0.1.0/24")]
    subnet: Vec<Ipv4Net>,
    /// The same mean latency for every call, in milliseconds; without it each action has its own, as measured on EC2.
    #[arg(long, value_name = "MS")]
    latency: Option<u64>,
    /// From AttachNetworkInterface's answer until the NIC is there, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1500)]
    attach_delay: u64,
    /// How far instance metadata lies behind, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    imds_lag: u64,
    /// How far the Describe calls lie behind, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    describe_lag: u64,
    /// Never throttle; without it each action has the default token bucket of an account.
    #[arg(long)]
    no_throttling: bool,
    /// Only the API, no packets; needs no root, and nodes have no namespaces.
    #[arg(long)]
    no_fabric: bool,
    /// Chooses ids, addresses and jitter.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Options {
    fn config(&self) -> CloudConfig {
        let defaults = CloudConfig::default();
        let zone = defaults
            .subnets
            .first()
            .map_or_else(String::new, |s| s.zone.clone());
        let subnets = self.subnet.iter().map(|cidr| SubnetSpec {
            cidr: *cidr,
            zone: zone.clone(),
        });
        CloudConfig {
            name: "mock-ec2".to_owned(),
            vpc_cidrs: self.vpc.clone(),
            subnets: subnets.collect(),
            seed: self.seed,
            fabric: !self.no_fabric,
            latency: match self.latency {
                Some(ms) => Latency::flat(Duration::from_millis(ms)),
                None => Latency::default(),
            },
            attach_delay: Duration::from_millis(self.attach_delay),
            imds_lag: Duration::from_millis(self.imds_lag),
            describe_lag: Duration::from_millis(self.describe_lag),
            rate_limits: if self.no_throttling {
                RateLimits::default()
            } else {
                RateLimits::aws()
            },
            ..defaults
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let options = Options::parse();
    let specs: Vec<NodeSpec> = options
        .nodes
        .iter()
        .map(|text| node_spec(text))
        .collect::<Result<_, _>>()?;
    // Before anything is made: a signal that comes early must find its handler.
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;

    let cloud = Cloud::start(options.config()).await?;
    say(&format!("ec2 {}", cloud.ec2_url()))?;
    say(&format!("admin {}", cloud.admin_url()))?;
    if let Some(internet) = cloud.internet() {
        say(&format!(
            "internet {} {}",
            internet.display(),
            e2e::mock::INTERNET_HOST
        ))?;
    }
    for spec in specs {
        let shown = format!("{spec:?}");
        let node = cloud
            .add_node(spec)
            .await
            .with_context(|| format!("launch {shown}"))?;
        say(&line(&node))?;
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    cloud.shutdown().await?;
    Ok(())
}

/// `TYPE`, `TYPE=PATH` or `TYPE=pid:PID`.
fn node_spec(text: &str) -> anyhow::Result<NodeSpec> {
    let Some((kind, place)) = text.split_once('=') else {
        return Ok(NodeSpec::new(text));
    };
    match place.strip_prefix("pid:") {
        Some(pid) => {
            let pid = pid
                .parse()
                .with_context(|| format!("--node {text}: no process id"))?;
            Ok(NodeSpec::new(kind).in_netns_of(pid))
        }
        None if place.is_empty() => bail!("--node {text}: the namespace is missing after ="),
        None => Ok(NodeSpec::new(kind).in_netns(PathBuf::from(place))),
    }
}

fn line(node: &Node) -> String {
    let place = node
        .netns
        .as_ref()
        .map_or_else(|| "-".to_owned(), |p| p.display().to_string());
    format!(
        "node {} {} {} {} ec2={} imds={}",
        node.instance_id, node.instance_type, place, node.address, node.ec2_url, node.imds_url
    )
}

/// One line of standard output, at once: who started us waits for it.
fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("write to standard output")
}
