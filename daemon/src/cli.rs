//! The command line of `berthd`, and the help that teaches it. What the commands do is elsewhere.

mod plan;

use std::path::PathBuf;

use berth_cni::contract::SOCKET_PATH;
use clap::{Args, Parser, Subcommand};

use crate::conflist::{BIN_DIR, CONF_DIR};
use crate::settings::{self, CHECKPOINT};
use plan::PLAN_HELP;
pub use plan::PlanArgs;

/// The variables, for `--help`. `docs/configuration.md` has them all, with what they mean.
const VARIABLES: &str = "\
Variables (aws-node's where the name is aws-node's; docs/configuration.md has all of them):
  AWS_VPC_K8S_CNI_BACKING_STORE        checkpoint [/var/run/aws-node/ipam.json]
  AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS   CIDRs that see the pods' own addresses
  AWS_VPC_K8S_CNI_EXTERNALSNAT         true: no source NAT on the node [false]
  AWS_VPC_K8S_CNI_RANDOMIZESNAT        prng, hashrandom or none [prng]
  AWS_VPC_K8S_CNI_VETHPREFIX           prefix of the host's veths [eni]
  AWS_VPC_ENI_MTU, POD_MTU             bytes [9001, as AWS_VPC_ENI_MTU]
  AWS_VPC_CNI_NODE_PORT_SUPPORT        false: no marks for NodePort and hostPort [true]
  AWS_VPC_K8S_CNI_CONNMARK             mark of what leaves by the primary ENI [0x80]
  AWS_EXTERNAL_SERVICE_CIDRS           CIDRs that pods reach by the primary ENI
  ADDITIONAL_ENI_TAGS                  JSON map of tags for new ENIs
  CLUSTER_ENDPOINT                     the API server, if not as the service account finds it
  CLUSTER_NAME                         for the tags of new ENIs
  DISABLE_INTROSPECTION                true: no /v1/enis [false]
  DISABLE_METRICS                      true: no /metrics; probes stay [false]
  INTROSPECTION_BIND_ADDRESS           /v1/enis [127.0.0.1:61679]
  DISABLE_LEAKED_ENI_CLEANUP           true: leave ENIs lying that were made for this node [false]
  HTTP_TIMEOUT                         seconds a call to EC2 may take [10]
  HTTPS_PROXY, NO_PROXY                proxy to EC2 and STS, and the hosts called without it
  DISABLE_POD_V6                       true: no IPv6 in pods, by the plugin tuning [false]
  ENABLE_BANDWIDTH_PLUGIN              true: the bandwidth plugin is in the conflist [false]
  HOST_CNI_BIN_PATH                    plugin directory [/host/opt/cni/bin]
  HOST_CNI_CONFDIR_PATH                directory of the conflist [/host/etc/cni/net.d]
  IP_COOLDOWN_PERIOD                   seconds a freed address rests [30]
  MANAGE_UNTAGGED_ENI                  true: take attached ENIs that nobody has tagged [false]
  KUBECONFIG                           the API server and credentials, instead of a service account
  MAX_ENI                              fewer ENIs than the instance type has
  MY_NODE_NAME                         name of this node in Kubernetes, to see its pods before they ask
  ENABLE_PREFIX_DELEGATION             true: /28 prefixes only; false: none [where they help]
  WARM_IP_TARGET, MINIMUM_IP_TARGET, WARM_ENI_TARGET, WARM_PREFIX_TARGET
                                       as aws-node has them, instead of berth's own reserve
  BERTH_ADD_WAIT_SECONDS               how long an ADD waits for an address [20]
  BERTH_CNI_RESULTS                    the runtimes' result cache [/var/lib/cni/results]
  BERTH_CNI_VERSION                    of the conflist; 1.1.0 for STATUS and GC [1.0.0]
  BERTH_LOG                            log filter, such as info,berthd=debug [info]
  BERTH_METRICS_BIND_ADDRESS           /metrics, /livez, /readyz; without address the node's [:61678]
  BERTH_MARK_MASK                      packet mark bits of the ENIs [0x7e]
  BERTH_PORTMAP                        true: portmap serves hostPorts [true]
  BERTH_PROC_ROOT                      where sysctls are written [/proc]
  BERTH_SOCKET                         where berthd listens [/run/berth/berthd.sock]
  BERTH_TOMBSTONES                     DELs that met no daemon [/run/berth/tombstones]
  BERTH_WRITE_CONFLIST                 false: something else writes the conflist [true]

The size of the warm pool needs no setting: berth holds what the pods on the node need and a
small reserve. aws-node's warm targets replace it by fixed levels, where they are set.";

/// Examples, for `--help`.
const EXAMPLES: &str = "\
Examples:
  berthd install                          put berth-cni where the runtime looks for it
  berthd run                              serve this node
  BERTH_LOG=info,berthd=debug berthd run  the same, with more to read
  berthd status                           who has which address, who waits and why
  berthd status --json | jq .addresses    the same for tools
  berthd explain                          why each address is held, and when it goes
  berthd explain web/shop-0               what this pod waits for, and what comes next
  berthd plan --help                      how to plan subnets before there are any nodes";

/// `berthd`, the node daemon of berth.
#[derive(Debug, Parser)]
#[command(
    name = "berthd",
    version,
    about = "Gives the pods of one EKS node their addresses",
    long_about = "\
Gives the pods of one EKS node their addresses.

The CNI plugin berth-cni asks it over a unix socket; it attaches ENIs, assigns secondary addresses, wires each pod's \
veth, routes and rules, and gives back to EC2 what no pod needs. It takes the place of aws-node (Amazon VPC CNI), whose \
checkpoint it reads and writes.",
    after_help = "See `berthd --help` for the variables it reads.",
    after_long_help = after_long_help(),
    max_term_width = 100,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve this node until SIGTERM
    ///
    /// Needs CAP_NET_ADMIN and CAP_SYS_ADMIN in the host's network namespace, EC2's instance metadata, and the
    /// permissions of the policy AmazonEKS_CNI_Policy. Refuses to start beside aws-node, and beside another berthd that
    /// has not ended within 12 s. Reads its settings from the environment, see `berthd --help`. Pods keep their network
    /// while it does not run.
    Run,
    /// Show the state of this node's daemon
    ///
    /// ENIs and addresses, the pods that have them, ADDs that wait and why, calls to EC2. Needs root.
    Status(StatusArgs),
    /// Say why this node holds what it holds, and what comes next
    ///
    /// For each ENI, prefix and address why it is there and when it may go; for each pod without an address what it waits
    /// for and what happens next, when; the reserve's levels and why. What it foretells is what the daemon's own plans will do
    /// if no pod comes or goes and EC2 obeys. Needs root.
    Explain(ExplainArgs),
    /// Put the plugin berth-cni into the runtime's plugin directory
    ///
    /// By temporary name and rename, so that a plugin that runs is not disturbed; does nothing if it is there already.
    /// Refuses while aws-node runs on this node, and replaces no file that is not berth's. The network configuration list,
    /// by which the runtime begins to use it, is written by `berthd run` once it can serve pods. Reads the same variables
    /// as `run`, and refuses what `run` would refuse.
    Install(InstallArgs),
    /// Remove the network configuration list and the plugin
    ///
    /// Refuses while berthd runs on this node. Removes berth's own two files only, and says what stays: all that running
    /// pods live on.
    Uninstall(UninstallArgs),
    /// Say which subnets some nodes and pods need
    ///
    /// Plays the life of a cluster on the code that runs on a node, and on models of other networks' pools: groups of nodes
    /// that join one after another, and their pods. Tells for each policy the addresses held, when which subnet runs dry,
    /// the pods that starve, the calls to EC2 against the account's buckets, and max-pods of each instance type.
    #[command(after_long_help = PLAN_HELP, arg_required_else_help = true)]
    Plan(PlanArgs),
}

/// Of `berthd status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print the whole document as JSON
    #[arg(long)]
    pub json: bool,
    /// Where the daemon listens
    #[arg(long, env = "BERTH_SOCKET", default_value = SOCKET_PATH, value_name = "PATH")]
    pub socket: PathBuf,
}

/// Of `berthd explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Only what concerns this pod (name, or namespace/name), address, prefix or ENI
    #[arg(value_name = "POD|ADDRESS|PREFIX|ENI")]
    pub what: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    /// Where the daemon listens
    #[arg(long, env = "BERTH_SOCKET", default_value = SOCKET_PATH, value_name = "PATH")]
    pub socket: PathBuf,
}

/// Of `berthd install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The plugin to install, if not berth-cni beside berthd itself
    #[arg(long, value_name = "PATH")]
    pub plugin: Option<PathBuf>,
}

/// Of `berthd uninstall`.
#[derive(Debug, Args)]
pub struct UninstallArgs {
    /// The runtime's plugin directory
    #[arg(long, env = "HOST_CNI_BIN_PATH", default_value = BIN_DIR, value_name = "PATH")]
    pub bin_dir: PathBuf,
    /// The runtime's configuration directory
    #[arg(long, env = "HOST_CNI_CONFDIR_PATH", default_value = CONF_DIR, value_name = "PATH")]
    pub conf_dir: PathBuf,
    /// Where the daemon would listen
    #[arg(long, env = "BERTH_SOCKET", default_value = SOCKET_PATH, value_name = "PATH")]
    pub socket: PathBuf,
    /// The daemon's checkpoint
    #[arg(long, env = "AWS_VPC_K8S_CNI_BACKING_STORE", default_value = CHECKPOINT, value_name = "PATH")]
    pub checkpoint: PathBuf,
}

fn after_long_help() -> String {
    let of_sdk = list("For the AWS SDK", settings::of_sdk());
    let refused = list(
        "aws-node's that stop the start, with certain values",
        settings::refused(),
    );
    let ignored = list("aws-node's without effect", settings::ignored());
    format!("{EXAMPLES}\n\n{VARIABLES}\n\n{of_sdk}\n\n{refused}\n\n{ignored}")
}

fn list(title: &str, names: impl Iterator<Item = &'static str>) -> String {
    format!("{title}: {}.", names.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::collections::HashMap;

    use clap::CommandFactory;

    use super::*;
    use crate::settings::Settings;

    #[test]
    fn the_help_names_every_variable_and_its_default() {
        Cli::command().debug_assert();
        // 0: not wrapped to the terminal of whoever runs the test.
        let help = Cli::command().term_width(0).render_long_help().to_string();
        assert!(
            help.contains(EXAMPLES) && help.contains(VARIABLES),
            "{help}"
        );
        let settings = Settings::read(&HashMap::<String, String>::new()).unwrap();
        for setting in settings.report() {
            let (name, value) = (&setting.name, &setting.value);
            let line = VARIABLES.lines().find(|line| line.contains(name));
            let line = line.unwrap_or_else(|| panic!("{name} is missing"));
            // Nothing, `{}` and the instance type's limit say more in words.
            let has_value = !value.is_empty() && name != "ADDITIONAL_ENI_TAGS" && name != "MAX_ENI";
            assert!(
                !has_value || line.contains(&format!("[{value}")),
                "{line}: {value}"
            );
        }
    }

    #[test]
    fn commands_are_understood() {
        let cli = Cli::try_parse_from(["berthd", "status", "--json", "--socket", "/a"]).unwrap();
        let Command::Status(args) = cli.command else {
            panic!()
        };
        assert!(args.json && args.socket.as_os_str() == "/a");
        assert!(matches!(
            Cli::try_parse_from(["berthd", "run"]).unwrap().command,
            Command::Run
        ));
        assert!(Cli::try_parse_from(["berthd", "dance"]).is_err());
    }
}
