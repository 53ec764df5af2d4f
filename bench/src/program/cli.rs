//! What can be asked of `berth-bench`.

use std::path::PathBuf;

use clap::Parser;

/// Measures berth against the kernel's floor and against other plugins, in one run on this machine. Needs root; whatever
/// it makes is in namespaces of its own and goes with it.
#[derive(Clone, Debug, Parser)]
#[command(name = "berth-bench", version)]
pub struct Cli {
    /// Only these sections.
    #[arg(long, num_args = 1.., value_name = "SECTION")]
    pub only: Vec<String>,
    /// Says which sections there are, and measures nothing.
    #[arg(long)]
    pub list: bool,
    /// Few repetitions and sizes: shows in seconds that everything works; no figures to quote.
    #[arg(long)]
    pub quick: bool,
    /// Another plugin or chain, for section `add`; its programs are looked for in CNI_PATH and /usr/lib/cni.
    #[arg(long, value_name = "NAME=CONFLIST")]
    pub peer: Vec<String>,
    /// Where the results go as JSON; pictures go into a directory of that name without its extension.
    #[arg(long, default_value = "target/bench.json", value_name = "FILE")]
    pub out: PathBuf,
    /// Where the tables go as Markdown.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// The directory of a run that has been put into namespaces of its own.
    #[arg(long, hide = true, value_name = "DIRECTORY")]
    pub confined: Option<PathBuf>,
}
