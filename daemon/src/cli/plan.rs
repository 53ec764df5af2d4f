//! The arguments of `berthd plan`, and the help that teaches it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Fields and examples, for `--help`.
pub(super) const PLAN_HELP: &str = "\
A group of nodes is type=NAME,count=N and, if you like:
  pods=N               pods a node that need an address [0]
  daemonset=N          DaemonSet pods a node that need one [0]
  host-network=N       pods a node on the host network, which count for max-pods only [0]
  zone=NAME, subnet=NAME  where its nodes lie, also several times [all subnets in turn]
  max-pods=N           kubelet's [what EKS recommends with prefixes]
  life=DURATION        pods live so long on average, then others take their place [for ever]
  name=NAME            for the answer
  enis=N,addresses-per-eni=N,prefixes=true|false  of a type that berth does not know

A subnet is its CIDR and, if you like:
  zone=NAME            its availability zone
  used=N               addresses that others have in it, without AWS's five [0]
  scattered=true|false whether those lie anywhere, or side by side from the start [true]
  name=NAME            for groups and the answer [the CIDR]

--file has the same fields, and those of the flags:
  {\"groups\": [{\"type\": \"m5.large\", \"count\": 10, \"pods\": 20, \"zone\": [\"us-west-2a\"]}],
   \"subnets\": [{\"cidr\": \"10.0.0.0/24\", \"zone\": \"us-west-2a\", \"used\": 12}],
   \"policies\": [\"berth\", \"aws-default\"], \"join-every\": \"10s\", \"settle\": \"30m\"}

A trace is two CSV files in the format of the Alibaba GPU cluster trace (v2023): the pods with the
columns cpu_milli, scheduled_time (seconds; empty: never ran) and deletion_time, the nodes with
cpu_milli. Its days are replayed in real time after a day that leads up to them.

Examples:
  berthd plan --group type=m6a.32xlarge,count=500,pods=1,host-network=3 --subnet 10.0.0.0/20
  berthd plan --group m5.large,count=3,pods=2,host-network=2 --subnet 10.0.0.0/27,used=3
  berthd plan --trace pods.csv --nodes nodes.csv --group m5.24xlarge,count=12 --subnet 10.0.0.0/22
  berthd plan --file plan.json --policy berth --policy aws-default --svg plan.svg
  berthd plan --file plan.json --json | jq '.policies[] | {policy, fits, says}'

Nothing is asked of AWS or Kubernetes, and no daemon is needed. docs/planning.md says what the
figures mean.";

/// Of `berthd plan`.
#[derive(Debug, Default, Args)]
pub struct PlanArgs {
    /// Nodes of one kind, type=NAME,count=N,...; several times for several kinds, which join in this order
    #[arg(long = "group", value_name = "FIELDS")]
    pub groups: Vec<String>,
    /// A subnet, CIDR,zone=NAME,used=N,...; several times for several
    #[arg(long = "subnet", value_name = "FIELDS")]
    pub subnets: Vec<String>,
    /// Read groups, subnets and the rest from a JSON file; flags are added to it, or go before it
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Replay the pods of a trace, instead of the groups' own; on the groups' nodes, or on as many as it needs
    #[arg(long, value_name = "FILE", requires = "nodes")]
    pub trace: Option<PathBuf>,
    /// The nodes of that trace
    #[arg(long, value_name = "FILE", requires = "trace")]
    pub nodes: Option<PathBuf>,
    /// What to compare: berth, aws-default, aws-ip2-min12, aws-ip10, aws-prefix1, cilium8, gke-cidr, or aws-node with
    /// targets of your own, aws-ip5-min20 say (default: all)
    #[arg(long = "policy", value_name = "NAME")]
    pub policies: Vec<String>,
    /// Time between two nodes that join; 0s for all at once (default: 10s)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub join_every: Option<Duration>,
    /// How long the cluster is watched after the last node has joined (default: 30m)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub settle: Option<Duration>,
    /// Share of EC2's buckets that other clients of the account use up, 0 to 1 (default: 0)
    #[arg(long, value_name = "SHARE")]
    pub others_calls: Option<f64>,
    /// Decides what is left to chance: the same seed gives the same plan (default: 1)
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
    /// Also draw what is held over time
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}
