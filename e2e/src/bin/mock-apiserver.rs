//! The small API server as a program: for use by hand, with `berthd` and with kubectl. What it does is `e2e::apiserver`;
//! this file only reads options and prints.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use e2e::apiserver::ApiServer;
use e2e::netns::Netns;
use tokio::signal::unix::{SignalKind, signal};

/// A small Kubernetes API server: list and watch of pods and nodes.
///
/// Pods are bound and deleted, and faults are set, at the URL that is printed as `admin`:
///
/// curl --json '{"name":"web-0","node":"n1"}' URL/pods
///
/// curl --json '{"kind":"status","code":403,"verb":"watch"}' URL/faults
///
/// kubectl --server URL get pods --all-namespaces --watch
#[derive(Debug, Parser)]
#[command(name = "mock-apiserver", version)]
struct Options {
    /// Where it listens.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Namespaces in which it listens at the same address besides, for example /run/netns/n1.
    #[arg(long, value_name = "NETNS")]
    inside: Vec<PathBuf>,
    /// A node that may run 29 pods; repeat it for more.
    #[arg(long = "node", value_name = "NAME")]
    nodes: Vec<String>,
    /// The bearer token that clients must show.
    #[arg(long)]
    token: Option<String>,
}

/// Of an m5.large.
const PODS: u32 = 29;
/// Of real ones.
const BOOKMARKS: std::time::Duration = std::time::Duration::from_secs(60);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let server = ApiServer::new(options.token.as_deref(), BOOKMARKS);
    for name in &options.nodes {
        server.add_node(name, PODS);
    }
    let address = server.listen(None, options.listen)?;
    for path in &options.inside {
        server.listen(Some(&Netns::existing(path)?), address)?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "api http://{address}\nadmin http://{address}/admin")
        .and_then(|()| out.flush())?;
    drop(out);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
