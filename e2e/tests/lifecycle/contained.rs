//! berthd as the DaemonSet runs it: nothing but the image's files, a read-only root, /proc/sys read-only but for the mount
//! that the manifest has, no capability but the two that it adds.
//!
//! No runtime is needed for that: a mount namespace, pivot_root(8) and setpriv(1) do it. Seccomp and AppArmor are not here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use e2e::cluster::DAEMON_PATIENCE;
use e2e::netns::output;
use e2e::node::Node;
use e2e::node::daemon::Daemon;
use e2e::node::programs::{BERTH_CNI, bin_dir};
use e2e::probe::Patience;
use e2e::probe::ping::ping;

use crate::fixture::{M5_LARGE, config, eventually, launch, status_json};

/// Becomes a container that runs berthd: `ROOT` has the image's files, `SHARED` lies at the same place inside and out (the
/// socket, the checkpoint and the runtime's directories of this node). In a runtime's order: mounts, root, capabilities. The
/// old root stays mounted, and unused, since `umount` is not there any more.
const CONTAINER: &str = r#"
[ "$BERTH_INSIDE" ] || BERTH_INSIDE=1 exec unshare --mount "$0" "$@"
mount --bind "$ROOT" "$ROOT"
mkdir -p "$ROOT/proc" "$ROOT/dev" "$ROOT/host/proc/sys" "$ROOT/old" "$ROOT/run/netns" "$ROOT$SHARED"
ln -s /proc/self/fd/0 "$ROOT/dev/stdin"
mount -t proc proc "$ROOT/proc"
mount --bind "$ROOT/proc/sys" "$ROOT/proc/sys"
mount -o remount,bind,ro "$ROOT/proc/sys"
mount --bind /proc/sys "$ROOT/host/proc/sys"
mount --bind -o ro /run/netns "$ROOT/run/netns"
mount --bind "$SHARED" "$ROOT$SHARED"
mount -o remount,bind,ro "$ROOT"
cd "$ROOT"
exec setpriv --bounding-set=-all,+net_admin,+sys_admin --inh-caps=-all,+net_admin,+sys_admin \
    sh -ec 'pivot_root . old; exec /usr/bin/berthd "$@"' sh "$@"
"#;

#[test]
fn two_capabilities_and_the_files_of_the_image_are_enough() -> anyhow::Result<()> {
    let Some(cluster) = launch(config("contained"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let node = &cluster.members[0].node;
    let home = tempfile::tempdir()?;
    let container = Container::create(home.path(), node)?;
    let mut daemon = container.start(node)?;
    daemon.wait_until_listening(&node.socket(), DAEMON_PATIENCE)?;
    eventually("the list", DAEMON_PATIENCE, || {
        let status = status_json(node)?;
        let words = status["conflist"].as_str().context("no conflist")?;
        ensure!(words.contains("stands"), "{words}");
        Ok(())
    })?;
    let pod = node.add_pod("pod", &[])?;
    ping(node.netns(), pod.address, Patience::USUAL)?;
    let host_end = pod.added.result.json()["interfaces"][0]["name"].clone();
    let host_end = host_end.as_str().context("no host end")?;
    let off = format!("net.ipv6.conf.{host_end}.disable_ipv6");
    let off = output(node.netns().command("sysctl").args(["-n", &off]))?;
    ensure!(off.trim() == "1", "no sysctl was written: {off}");
    node.del_pod(pod)?;
    daemon.terminate(DAEMON_PATIENCE)
}

/// The image's files, and what the manifest mounts into them.
struct Container {
    root: PathBuf,
    shared: PathBuf,
    script: PathBuf,
}

impl Container {
    /// Lays out the image; the plugin is installed.
    fn create(home: &Path, node: &Node) -> anyhow::Result<Self> {
        let root = home.join("rootfs");
        let rootfs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/rootfs");
        output(Command::new(rootfs).arg(&root))?;
        let shared = node.dir().to_owned();
        for dir in ["bin", "net.d"] {
            fs::create_dir(shared.join(dir))?;
        }
        let script = home.join("container");
        fs::write(&script, format!("#!/bin/sh -e\n{CONTAINER}"))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        let container = Self {
            root,
            shared,
            script,
        };
        let plugin = bin_dir().join(BERTH_CNI);
        fs::copy(plugin, container.shared.join("bin").join(BERTH_CNI))?;
        Ok(container)
    }

    /// Becomes the daemon: the process that is started here is berthd in the end.
    fn start(&self, node: &Node) -> anyhow::Result<Daemon> {
        let path = |path: PathBuf| path.display().to_string();
        let mut environment = node.daemon_environment();
        let more = [
            ("ROOT", path(self.root.clone())),
            ("SHARED", path(self.shared.clone())),
            ("HOST_CNI_BIN_PATH", path(self.shared.join("bin"))),
            ("HOST_CNI_CONFDIR_PATH", path(self.shared.join("net.d"))),
            ("BERTH_WRITE_CONFLIST", "true".to_owned()),
            ("BERTH_PORTMAP", "false".to_owned()),
            ("BERTH_PROC_ROOT", "/host/proc".to_owned()),
        ];
        environment.extend(more.map(|(name, value)| (name.to_owned(), value)));
        let spawn = |command: &mut Command| node.netns().spawn(command);
        Daemon::start(spawn, &self.script, &environment, &node.log())
    }
}
