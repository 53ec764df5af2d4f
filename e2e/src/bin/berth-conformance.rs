//! Points the conformance suite at berth: a node of the mock cloud, its daemon, and the suite's program on it.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use e2e::node::programs::DEBIAN_PLUGINS;
use e2e::proving::{Ground, remote};

/// Runs the conformance suite against berth-cni with a berthd behind it, on a node of a mock cloud: first in its list and
/// behind other plugins, in all versions. Needs root for network namespaces; touches nothing outside of its own.
#[derive(Debug, Parser)]
#[command(
    name = "berth-conformance",
    version,
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Tell>,
    /// Where the other plugins of its lists are: portmap, bandwidth, tuning, ptp and host-local
    #[arg(long, value_name = "DIR", default_value = DEBIAN_PLUGINS)]
    plugins: PathBuf,
    /// Given to `conformance run`, for example `--only errors` or `--json FILE`
    #[arg(last = true)]
    suite: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Tell {
    /// Handle the daemon of the node behind SOCKET: what the suite calls
    Tell {
        /// Where the node listens
        socket: PathBuf,
        /// stop, start, pause, resume, or held: the attachments that the daemon has
        what: String,
    },
}

fn main() -> ExitCode {
    match perform(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("berth-conformance: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if let Some(Tell::Tell { socket, what }) = arguments.command {
        std::io::stdout().write_all(remote::tell(&socket, &what)?.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let ground = Ground::prepare(&std::env::current_exe()?, &arguments.plugins)?;
    let status = ground.run(&arguments.suite)?;
    Ok(u8::try_from(status).map_or(ExitCode::FAILURE, ExitCode::from))
}
