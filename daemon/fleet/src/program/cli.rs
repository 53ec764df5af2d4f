//! The command line of `fleet`, and the help that teaches it.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use clap::Parser;
use fleet::policy::{AwsTargets, Policy};
use fleet::workloads::Workload;

const EXAMPLES: &str = "\
Examples:
  fleet                                            all workloads under all policies
  fleet --list                                     their names, and what they are
  fleet --workload tight --workload frag --policy berth --seeds 5
  fleet --workload dense --trace pods.csv --nodes nodes.csv
  fleet --scenario mine.json --policy berth --policy aws-default

A trace is two CSV files in the format of the Alibaba GPU cluster trace (v2023): the pods with the
columns cpu_milli, scheduled_time (seconds; empty: never ran) and deletion_time, the nodes with
cpu_milli. Without one, raw, x60, fold and dense replay a made-up trace; the results say so.
docs/fleet.md has the workloads, the files of --scenario, and the fields of fleet.json.";

/// Simulates clusters whose nodes run berth's pool, or another network's, against a modelled EC2: how many addresses they
/// hold, how long pods wait for one, how often EC2 is called. The same seed gives the same figures on every machine.
#[derive(Clone, Debug, Parser)]
#[command(name = "fleet", version, after_help = EXAMPLES)]
pub struct Cli {
    /// A workload by its name; can be repeated [default: all, or none with --scenario]
    #[arg(long, value_name = "NAME")]
    workload: Vec<Workload>,
    /// A policy by its name; can be repeated [default: all]
    #[arg(long, value_name = "NAME", value_parser = policy)]
    policy: Vec<Policy>,
    /// A workload of your own, as JSON; can be repeated
    #[arg(long, value_name = "FILE")]
    pub scenario: Vec<PathBuf>,
    /// What decides everything that is left to chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Runs this many seeds, from --seed on, and shows how far they lie apart
    #[arg(long, value_name = "N", default_value_t = ONE)]
    seeds: NonZeroU32,
    /// Share of the account's EC2 calls that others take, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub others_calls: f64,
    /// The pods of the trace that raw, x60, fold and dense replay
    #[arg(long, value_name = "FILE", requires = "nodes")]
    pub trace: Option<PathBuf>,
    /// The nodes of that trace
    #[arg(long, value_name = "FILE", requires = "trace")]
    pub nodes: Option<PathBuf>,
    /// Where the pictures go
    #[arg(long, value_name = "DIR", default_value = "target/fleet")]
    pub out: PathBuf,
    /// Where the figures go
    #[arg(long, value_name = "FILE", default_value = "target/fleet.json")]
    pub json: PathBuf,
    /// How many runs at a time [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Names workloads and policies
    #[arg(long)]
    pub list: bool,
}

const ONE: NonZeroU32 = NonZeroU32::MIN;

impl Cli {
    /// In the order of tables.
    pub fn workloads(&self) -> Vec<Workload> {
        let all = self.workload.is_empty() && self.scenario.is_empty();
        let asked = |workload: &Workload| all || self.workload.contains(workload);
        Workload::ALL.into_iter().filter(asked).collect()
    }

    /// In the order of tables, then those with targets of one's own.
    pub fn policies(&self) -> Vec<Policy> {
        let asked = |policy: &Policy| self.policy.is_empty() || self.policy.contains(policy);
        let mut policies: Vec<Policy> = Policy::ALL.into_iter().filter(asked).collect();
        for policy in &self.policy {
            if !policies.contains(policy) {
                policies.push(*policy);
            }
        }
        policies
    }

    /// From [`Cli::seed`] on.
    pub fn seeds(&self) -> u64 {
        self.seeds.get().into()
    }

    /// How many runs at a time.
    pub fn threads(&self) -> NonZeroUsize {
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.threads.unwrap_or_else(cores)
    }
}

fn policy(name: &str) -> Result<Policy, String> {
    Policy::named(name).ok_or_else(|| {
        let names = Policy::ALL.map(Policy::name).join(", ");
        let own = AwsTargets::FORMS;
        format!("no policy is called that; there are {names}, and with targets of your own {own}")
    })
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..1.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0 to below 1".to_owned()),
    }
}

/// What `--list` prints.
pub fn list() -> String {
    let workloads = Workload::ALL.map(|workload| format!("  {workload:<9} {}\n", workload.about()));
    let policies = Policy::ALL.map(|policy| format!("  {policy}\n"));
    format!(
        "Workloads:\n{}Policies:\n{}  and aws-node with targets of your own: {}\n",
        workloads.concat(),
        policies.concat(),
        AwsTargets::FORMS
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Cli, String> {
        let arguments = ["fleet"].iter().chain(arguments);
        Cli::try_parse_from(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_names_everything_is_run_and_a_scenario_of_ones_own_alone() {
        let all = parse(&[]).expect("no arguments");
        assert_eq!((all.workloads().len(), all.policies().len()), (16, 7));
        let own = parse(&["--scenario", "mine.json"]).expect("a scenario");
        assert_eq!(own.workloads(), []);
        let both = parse(&["--scenario", "mine.json", "--workload", "frag"]).expect("both");
        assert_eq!(both.workloads(), [Workload::Frag]);
    }

    #[test]
    fn own_targets_come_after_what_is_compared() {
        let asked = ["--policy", "aws-ip5-min20", "--policy", "aws-default"];
        let policies = parse(&asked).expect("policies").policies();
        assert_eq!(
            policies.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["aws-default", "aws-ip5-min20"]
        );
    }

    #[test]
    fn mistakes_are_explained() {
        let refused = |arguments: &[&str]| parse(arguments).expect_err("should be refused");
        assert!(refused(&["--workload", "denser"]).contains("`fleet --list` names them"));
        assert!(refused(&["--policy", "aws"]).contains("aws-default, aws-ip2-min12"));
        assert!(refused(&["--trace", "pods.csv"]).contains("--nodes"));
        assert!(refused(&["--seeds", "0"]).contains("0"));
        assert!(refused(&["--others-calls", "1"]).contains("below 1"));
    }
}
