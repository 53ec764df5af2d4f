//! A containerd of one node: in the node's machine, with Debian's defaults below the machine's own /run and /var/lib.
//!
//! It is started, stopped, killed and started again; its sandboxes live on in between, as on a real node.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use e2e::cluster::DAEMON_PATIENCE;
use e2e::machine::Machine;
use e2e::netns::output;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cri::Cri;
use crate::image::{self, IMAGE};

/// Where the machine has it; containerd's default.
const SOCKET: &str = "/run/containerd/containerd.sock";
/// The default too, of libcni: the results of finished ADDs.
pub const RESULTS: &str = "/var/lib/cni/results";
/// Where containerd makes the namespaces of its sandboxes (`/var/run` is a link to /run).
pub const SANDBOXES: &str = "/run/netns";
/// The plugins of this machine; /etc and /opt are the outside's.
pub const CNI_BIN: &str = "/run/cni/bin";
/// Where the default network's list is.
pub const CNI_CONF: &str = "/run/cni/net.d";
/// What to expect of a containerd that starts, stops, or reads its configuration on a busy machine.
const PATIENCE: Duration = DAEMON_PATIENCE;

/// Where the list of a runtime handler's own network is.
#[must_use]
pub fn list_dir(handler: &str) -> String {
    format!("/run/cni/{handler}.d")
}

/// A running containerd; ends when dropped, while its shims end with the machine.
#[derive(Debug)]
pub struct Containerd {
    child: Child,
    log: PathBuf,
}

impl Containerd {
    /// Starts one in `machine` and waits until it answers, with the network ready. `dir` gets configuration and log;
    /// each of `handlers` is a runtime handler with a network of its own.
    ///
    /// # Errors
    /// It cannot be started, ends, or is not ready in time.
    pub fn start(
        machine: &Machine,
        dir: &Path,
        handlers: &[&str],
        cri: &Cri,
    ) -> anyhow::Result<Self> {
        let config = dir.join("containerd.toml");
        fs::write(&config, configuration(handlers))?;
        let log = dir.join("containerd.log");
        let file = OpenOptions::new().create(true).append(true).open(&log)?;
        let mut command = Command::new("containerd");
        command.arg("--config").arg(&config);
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child = machine.spawn(&mut command);
        let mut started = Self {
            child: child.context("cannot start containerd")?,
            log,
        };
        started.wait_until_ready(cri)?;
        Ok(started)
    }

    fn wait_until_ready(&mut self, cri: &Cri) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("containerd ended ({status}), see {}", self.log.display());
            }
            match cri.ready() {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// It had ended by itself.
    pub fn kill(mut self) -> anyhow::Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "containerd had ended");
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, as `systemctl stop`.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn stop(mut self) -> anyhow::Result<()> {
        kill(
            Pid::from_raw(i32::try_from(self.child.id())?),
            Signal::SIGTERM,
        )?;
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "containerd does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Its process id, as the outside knows it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // both fail only if it is gone already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of the containerd of `machine`.
///
/// # Errors
/// As [`Cri::new`].
pub fn client(machine: &Machine) -> anyhow::Result<Cri> {
    Cri::new(&machine.path(SOCKET))
}

/// Gives the containerd of `machine` the tests' image, through an archive in `dir`.
///
/// # Errors
/// It cannot be made, or `ctr` does not take it.
pub fn import_image(machine: &Machine, dir: &Path) -> anyhow::Result<()> {
    let archive = dir.join("image.tar");
    image::write(&archive)?;
    let mut command = Command::new("ctr");
    command
        .arg("--address")
        .arg(machine.path(SOCKET))
        .args(["--namespace", "k8s.io", "images", "import"])
        .arg(&archive);
    let imported = output(&mut command)?;
    fs::remove_file(&archive)?;
    ensure!(imported.contains(IMAGE), "ctr said {imported:?}");
    Ok(())
}

/// What differs from the defaults: no plugin that is not needed here, the image, the CNI plugins' places, `handlers`, and
/// `restrict_oom_score_adj`, without which a sandbox wants CAP_SYS_RESOURCE, which containers seldom have.
fn configuration(handlers: &[&str]) -> String {
    let unused = [
        "snapshotter.v1.aufs",
        "snapshotter.v1.btrfs",
        "snapshotter.v1.devmapper",
        "snapshotter.v1.zfs",
        "internal.v1.tracing",
        "tracing.processor.v1.otlp",
    ];
    let unused: Vec<String> = unused
        .iter()
        .map(|plugin| format!("\"io.containerd.{plugin}\""))
        .collect();
    let handlers: String = handlers.iter().map(|name| handler(name)).collect();
    format!(
        r#"version = 2
disabled_plugins = [{unused}]
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true
disable_tcp_service = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_BIN}"
conf_dir = "{CNI_CONF}"
{handlers}"#,
        unused = unused.join(", ")
    )
}

/// runc once more, with a network of its own.
fn handler(name: &str) -> String {
    format!(
        r#"[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}]
runtime_type = "io.containerd.runc.v2"
cni_conf_dir = "{dir}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}.options]
SystemdCgroup = false
"#,
        dir = list_dir(name)
    )
}
