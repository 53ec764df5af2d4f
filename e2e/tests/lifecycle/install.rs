//! berth's own two files on a host: the plugin that `berthd install` puts there, and the list that the daemon writes once
//! it can serve a pod.

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::cluster::{Cluster, DAEMON_PATIENCE, Member};
use e2e::mock::{Fault, FaultKind};
use e2e::netns::{Netns, output, require_netns};
use e2e::node::POD_NAMESPACE;
use e2e::node::programs::{BERTH_CNI, BERTHD, DEBIAN_PLUGINS, find};
use e2e::probe::Patience;
use e2e::probe::ping::ping;
use e2e::runtime::Runtime;
use e2e::runtime::attachment::{Attachment, random_container_id};
use e2e::runtime::conflist::Conflist;
use tempfile::TempDir;

use crate::fixture::{M5_LARGE, config, eventually, launch, status_json};

const LIST: &str = "05-berth.conflist";
/// What stands on a node of EKS before berth comes: a list of aws-node's, and plugins.
const AWS_LIST: &str = r#"{"cniVersion":"0.4.0","name":"aws-cni","plugins":[{"type":"aws-cni"}]}"#;
/// Tries of a killed installation.
const KILLS: u32 = 40;

/// The directories that a container of berth would mount.
struct Host {
    home: TempDir,
}

impl Host {
    fn new() -> anyhow::Result<Self> {
        let host = Self {
            home: tempfile::tempdir()?,
        };
        fs::create_dir(host.bin())?;
        fs::create_dir(host.conf())?;
        let portmap = Path::new(DEBIAN_PLUGINS).join("portmap");
        std::os::unix::fs::symlink(portmap, host.bin().join("portmap"))?;
        fs::write(host.bin().join("aws-cni"), "aws-node's plugin")?;
        fs::write(host.conf().join("10-aws.conflist"), AWS_LIST)?;
        Ok(host)
    }

    fn bin(&self) -> PathBuf {
        self.home.path().join("bin")
    }

    fn conf(&self) -> PathBuf {
        self.home.path().join("net.d")
    }

    fn plugin(&self) -> PathBuf {
        self.bin().join(BERTH_CNI)
    }

    /// The variables that tell berthd of them.
    fn variables(&self) -> [(&'static str, String); 3] {
        let path = |path: PathBuf| path.display().to_string();
        [
            ("HOST_CNI_BIN_PATH", path(self.bin())),
            ("HOST_CNI_CONFDIR_PATH", path(self.conf())),
            ("BERTH_WRITE_CONFLIST", "true".to_owned()),
        ]
    }

    /// A node whose daemon knows this host.
    fn launch(&self, name: &str) -> anyhow::Result<Option<Cluster>> {
        let variables = self.variables();
        let settings = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        launch(config(name), M5_LARGE, 1, &settings.collect::<Vec<_>>())
    }

    /// `berthd ARGS` with this host's variables.
    fn berthd(&self, args: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(find(BERTHD)?);
        command.args(args).env_clear().envs(self.variables());
        command.stdin(Stdio::null());
        Ok(command)
    }

    fn install(&self) -> anyhow::Result<String> {
        output(&mut self.berthd(&["install"])?)
    }

    /// Nothing of aws-node's was touched.
    fn others_as_before(&self) -> anyhow::Result<()> {
        ensure!(fs::read_to_string(self.conf().join("10-aws.conflist"))? == AWS_LIST);
        ensure!(fs::read_to_string(self.bin().join("aws-cni"))? == "aws-node's plugin");
        Ok(())
    }
}

/// How the daemon says that the list stands.
fn conflist(member: &Member) -> anyhow::Result<String> {
    let status = status_json(&member.node)?;
    let words = status["conflist"].as_str().context("no conflist")?;
    Ok(words.to_owned())
}

fn says(member: &Member, part: &str) -> anyhow::Result<()> {
    eventually(part, DAEMON_PATIENCE, || {
        let words = conflist(member)?;
        ensure!(words.contains(part), "{words}");
        Ok(())
    })
}

/// A pod that the runtime makes with what stands in the host's directories.
fn pod_from_the_directory(host: &Host, member: &Member) -> anyhow::Result<(Netns, Ipv4Addr)> {
    let list = Conflist::first_in(&host.conf())?;
    let cache = host.home.path().join("cache");
    let runtime = Runtime::new(list, vec![host.bin()], &cache);
    let sandbox = Netns::unique("installed-pod")?;
    let path = sandbox.path().to_owned();
    let attachment = Attachment::of_pod(POD_NAMESPACE, "pod", random_container_id()?, path);
    let added = runtime.add(member.node.netns(), &attachment)?;
    let address = added.result.pod_address().context("no address")?;
    Ok((sandbox, address))
}

fn refused(output: &Output, part: &str) -> anyhow::Result<()> {
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(
        !output.status.success(),
        "it should have failed: {output:?}"
    );
    ensure!(words.contains(part), "{part}: {words}");
    Ok(())
}

#[test]
fn a_new_node_gets_its_list_with_its_first_address_and_keeps_it() -> anyhow::Result<()> {
    let host = Host::new()?;
    let Some(cluster) = host.launch("list")? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    cluster
        .cloud()
        .fault(Fault::always("*", FaultKind::Timeout));
    member.node.start_daemon(DAEMON_PATIENCE)?;
    says(member, "not written yet")?;
    cluster.cloud().clear_faults();
    // EC2 is there, the plugin is not: a list now would make every pod fail.
    says(member, "berth-cni missing")?;
    ensure!(!host.conf().join(LIST).exists(), "the list came too early");
    ensure!(host.install()?.contains("installed"));
    says(member, "stands")?;
    let (sandbox, address) = pod_from_the_directory(&host, member)?;
    ping(member.node.netns(), address, Patience::USUAL)?;
    uninstall(&host, member)?;
    // What pods live on is not the files.
    ping(&sandbox, member.address(), Patience::USUAL).map(drop)
}

/// Refused while the daemon runs; afterwards berth's files go, and nothing else.
fn uninstall(host: &Host, member: &Member) -> anyhow::Result<()> {
    let mut command = host.berthd(&["uninstall"])?;
    command.env("BERTH_SOCKET", member.node.socket());
    command.env("AWS_VPC_K8S_CNI_BACKING_STORE", member.node.checkpoint());
    refused(&command.output()?, "stop it on this node first")?;
    member.node.stop_daemon(DAEMON_PATIENCE)?;
    ensure!(
        host.conf().join(LIST).exists(),
        "it stays when the daemon ends"
    );
    let said = output(&mut command)?;
    ensure!(said.contains("1 pod of this node"), "{said}");
    ensure!(said.contains("uses 10-aws.conflist now"), "{said}");
    ensure!(!host.conf().join(LIST).exists() && !host.plugin().exists());
    host.others_as_before()
}

#[test]
fn a_list_that_somebody_removes_or_spoils_comes_back() -> anyhow::Result<()> {
    let host = Host::new()?;
    let Some(cluster) = host.launch("mend")? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    host.install()?;
    cluster.start_daemons()?;
    let list = host.conf().join(LIST);
    let stands = || -> anyhow::Result<String> {
        let text = eventually("the list", DAEMON_PATIENCE, || {
            Ok(fs::read_to_string(&list)?)
        })?;
        Conflist::first_in(&host.conf())?;
        Ok(text)
    };
    let first = stands()?;
    fs::remove_file(&list)?;
    ensure!(stands()? == first);
    fs::write(&list, first.replace("portmap", "portmapper"))?;
    eventually("the list is mended", DAEMON_PATIENCE, || {
        let now = fs::read_to_string(&list)?;
        ensure!(now.contains(r#""portmap""#), "{now}");
        Ok(())
    })?;
    // Nothing of the other one was berth's to touch, and what is not berth's is not overwritten.
    fs::write(&list, AWS_LIST)?;
    says(member, "was not written by berth")?;
    ensure!(fs::read_to_string(&list)? == AWS_LIST);
    host.others_as_before()
}

#[test]
fn a_directory_that_cannot_be_written_is_said_and_pods_are_served() -> anyhow::Result<()> {
    let host = Host::new()?;
    let Some(cluster) = host.launch("readonly")? else {
        return Ok(());
    };
    host.install()?;
    let _mount = ReadOnly::over(&host.conf())?;
    let member = &cluster.members[0];
    cluster.start_daemons()?;
    says(member, "Read-only file system")?;
    let pod = member.node.add_pod("pod", &[])?;
    ping(member.node.netns(), pod.address, Patience::USUAL).map(drop)
}

/// An empty file system that nobody can write to.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn over(dir: &Path) -> anyhow::Result<Self> {
        let mut mount = Command::new("mount");
        output(mount.args(["-t", "tmpfs", "-o", "ro", "tmpfs"]).arg(dir))?;
        Ok(Self(dir.to_owned()))
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        if let Err(error) = output(Command::new("umount").arg(&self.0)) {
            eprintln!("{error:#}");
        }
    }
}

#[test]
fn nothing_is_installed_and_no_daemon_starts_beside_aws_node() -> anyhow::Result<()> {
    if !require_netns()? {
        return Ok(());
    }
    let host = Host::new()?;
    // aws-node's place in the file system, for one command only: other daemons of this machine must not see it.
    let beside = |args: &[&str]| -> anyhow::Result<Output> {
        let script = r#"mount -t tmpfs tmpfs /run && mkdir /run/aws-node && mount --bind "$0" /run/aws-node && exec "$@""#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", script]);
        command.arg(host.home.path()).arg(find(BERTHD)?).args(args);
        command.env_clear().envs(host.variables());
        command.env("PATH", std::env::var("PATH")?);
        Ok(command.output()?)
    };
    let aws_node = UnixListener::bind(host.home.path().join("ipamd.sock"))?;
    refused(&beside(&["install"])?, "aws-node answers on")?;
    refused(&beside(&["run"])?, "aws-node answers on")?;
    ensure!(!host.plugin().exists());
    host.others_as_before()?;
    drop(aws_node);
    let installed = beside(&["install"])?;
    ensure!(installed.status.success(), "{installed:?}");
    ensure!(host.plugin().exists());
    Ok(())
}

#[test]
fn an_installation_that_is_killed_leaves_the_old_plugin_or_the_new_one() -> anyhow::Result<()> {
    let host = Host::new()?;
    let built = find(BERTH_CNI)?;
    let (old, new) = (host.home.path().join("old"), host.home.path().join("new"));
    let mut contents = Vec::new();
    for (path, padding) in [(&old, 0), (&new, 1 << 20)] {
        let mut content = fs::read(&built)?;
        content.resize(content.len() + padding, 0);
        fs::write(path, &content)?;
        contents.push(content);
    }
    for round in 0..KILLS {
        let plugin = if round % 2 == 0 { &new } else { &old };
        let mut command = host.berthd(&["install", "--plugin"])?;
        let mut child = command.arg(plugin).stdout(Stdio::null()).spawn()?;
        thread::sleep(Duration::from_micros(u64::from(round) * 500));
        child.kill()?;
        child.wait()?;
        if host.plugin().exists() {
            let stands = fs::read(host.plugin())?;
            ensure!(
                contents.contains(&stands),
                "round {round}: {} bytes",
                stands.len()
            );
        }
    }
    host.install()?;
    ensure!(fs::read(host.plugin())? == contents[0]);
    let left: Vec<_> = fs::read_dir(host.bin())?.collect::<Result<_, _>>()?;
    ensure!(left.len() == 3, "{left:?}");
    host.others_as_before()
}

#[test]
fn a_plugin_that_runs_is_not_in_the_way_of_an_upgrade() -> anyhow::Result<()> {
    let host = Host::new()?;
    host.install()?;
    // It waits for its configuration.
    let mut running = Command::new(host.plugin());
    running
        .env("CNI_COMMAND", "ADD")
        .env("CNI_CONTAINERID", "c");
    running
        .env("CNI_NETNS", "/proc/self/ns/net")
        .env("CNI_IFNAME", "eth0");
    running.env("CNI_PATH", host.bin());
    let mut running = running
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let upgrade = host.home.path().join("upgrade");
    let mut content = fs::read(host.plugin())?;
    content.push(0);
    fs::write(&upgrade, &content)?;
    let mut command = host.berthd(&["install", "--plugin"])?;
    ensure!(output(command.arg(&upgrade))?.contains("replaced"));
    ensure!(fs::read(host.plugin())? == content);
    let mut stdin = running.stdin.take().context("no stdin")?;
    stdin.write_all(br#"{"cniVersion":"1.0.0","name":"aws-cni","type":"berth-cni"}"#)?;
    drop(stdin);
    let answer = running.wait_with_output()?;
    // Its own namespace is refused: the old program went on to the end.
    let answer: serde_json::Value = serde_json::from_slice(&answer.stdout)?;
    ensure!(answer["code"] == 8, "{answer}");
    Ok(())
}
