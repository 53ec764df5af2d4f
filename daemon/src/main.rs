//! `berthd`: chooses the adapters and runs them.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use berthd::actor::Ports;
use berthd::cli::{Cli, Command, InstallArgs, PlanArgs, UninstallArgs};
use berthd::clock::BootClock;
use berthd::cluster::ApiServer;
use berthd::conflist::PLUGIN;
use berthd::dataplane::{KernelConfig, KernelDataplane};
use berthd::install::{Uninstall, install, uninstall};
use berthd::lock::AWS_NODE_SOCKET;
use berthd::metrics::{CountedEc2, Metrics};
use berthd::sandboxes::SandboxFiles;
use berthd::settings::{Environment, Settings};
use berthd::{app, descriptors, explain, logging, planning, status};
use clap::Parser;
use ec2::aws::{AwsEc2, AwsMetadata, Transport};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run => run(),
        Command::Status(args) => {
            status::run(&args, &mut std::io::stdout().lock()).map_err(anyhow::Error::from)
        }
        Command::Explain(args) => {
            explain::run(&args, &mut std::io::stdout().lock()).map_err(anyhow::Error::from)
        }
        Command::Install(args) => install_plugin(args),
        Command::Uninstall(args) => uninstall_all(args),
        Command::Plan(args) => plan_subnets(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed stderr leaves nobody to tell.
            let _ = writeln!(std::io::stderr(), "berthd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn install_plugin(args: InstallArgs) -> anyhow::Result<()> {
    let settings = Settings::read(&Environment)?;
    let plugin = match args.plugin {
        Some(plugin) => plugin,
        None => std::env::current_exe()
            .context("find berth-cni beside berthd, or name it with --plugin")?
            .with_file_name(PLUGIN),
    };
    let (aws_node, mut out) = (Path::new(AWS_NODE_SOCKET), std::io::stdout().lock());
    Ok(install(&settings.conflist, &plugin, aws_node, &mut out)?)
}

fn uninstall_all(args: UninstallArgs) -> anyhow::Result<()> {
    let what = Uninstall {
        bin_dir: args.bin_dir,
        conf_dir: args.conf_dir,
        socket: args.socket,
        checkpoint: args.checkpoint,
    };
    Ok(uninstall(&what, &mut std::io::stdout().lock())?)
}

fn plan_subnets(args: &PlanArgs) -> anyhow::Result<()> {
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr());
    Ok(planning::run(args, &mut out, &mut err)?)
}

/// One thread serves everything: the kernel's RTNL lock makes more of them useless.
fn run() -> anyhow::Result<()> {
    let settings = Settings::read(&Environment)?;
    logging::tracing_init(&settings.log)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(serve(settings))
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    match descriptors::raise_limit() {
        Ok(limit) => info!(limit, "descriptors"),
        Err(error) => warn!(%error, "the limit of descriptors cannot be raised"),
    }
    let mut terminate = signal(SignalKind::terminate()).context("catch SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("catch SIGINT")?;
    let metadata = AwsMetadata::connect();
    let cloud = &settings.cloud;
    let (proxy, no_proxy) = (cloud.https_proxy.as_deref(), cloud.no_proxy.as_deref());
    let transport = Transport::new(cloud.timeout, proxy, no_proxy)?;
    let kernel = KernelConfig {
        proc_root: settings.proc_root.clone(),
        ..KernelConfig::default()
    };
    let metrics = Metrics::new().context("make the metrics")?;
    let ec2 = AwsEc2::connect(metadata.clone(), transport);
    let ports = Ports {
        ec2: Arc::new(CountedEc2::new(ec2, metrics.clone())),
        metadata: Arc::new(metadata),
        dataplane: Arc::new(KernelDataplane::start(kernel)?),
        sandboxes: Arc::new(SandboxFiles::new(&settings.cni_results)),
        clock: Arc::new(BootClock),
    };
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let cluster = Arc::new(ApiServer::new(settings.cluster.clone()));
    Ok(app::run(settings, ports, cluster, metrics, stop).await?)
}
