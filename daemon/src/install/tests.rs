//! Installing and uninstalling in real directories.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use berth_cni::contract::PLUGIN_MARK;

use super::*;
use crate::conflist::host::Host;
use crate::conflist::{FILE, publish};

/// A host with the chained plugin of a distribution and aws-node's files.
fn host() -> Host {
    let host = Host::with_plugins(["portmap", "aws-cni"]);
    host.put_list("10-aws.conflist", "aws");
    host
}

impl Host {
    fn target(&self) -> PathBuf {
        self.settings.bin_dir.join(PLUGIN)
    }

    /// A plugin of this release.
    fn plugin(&self, release: &str) -> PathBuf {
        let path = self.home.path().join(release);
        fs::write(&path, format!("\x7fELF ... {PLUGIN_MARK} {release} ...")).unwrap();
        path
    }

    fn install(&self, plugin: &Path) -> Result<String, InstallError> {
        let mut out = Vec::new();
        let aws_node = self.home.path().join("ipamd.sock");
        install(&self.settings, plugin, &aws_node, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn uninstall(&self) -> Result<String, InstallError> {
        let mut out = Vec::new();
        let what = Uninstall {
            bin_dir: self.settings.bin_dir.clone(),
            conf_dir: self.settings.conf_dir.clone(),
            socket: self.home.path().join("berthd.sock"),
            checkpoint: self.home.path().join("ipam.json"),
        };
        uninstall(&what, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn files(&self) -> Vec<String> {
        [self.lists(), self.plugins()].concat()
    }
}

const STRANGERS: [&str; 3] = ["10-aws.conflist", "aws-cni", "portmap"];

#[test]
fn installing_is_idempotent_and_upgrades() {
    let host = host();
    let old = host.plugin("0.1.0");
    assert!(
        host.install(&old)
            .unwrap()
            .ends_with("berth-cni installed\n")
    );
    let metadata = host.target().metadata().unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o755);
    assert!(host.install(&old).unwrap().contains("is up to date"));
    assert_eq!(host.target().metadata().unwrap().ino(), metadata.ino());
    let new = host.plugin("0.2.0");
    assert!(host.install(&new).unwrap().contains("replaced"));
    assert_eq!(fs::read(host.target()).unwrap(), fs::read(new).unwrap());
    assert_eq!(host.files().len(), STRANGERS.len() + 1);
}

#[test]
fn permissions_that_somebody_took_are_given_back() {
    let host = host();
    let plugin = host.plugin("0.1.0");
    host.install(&plugin).unwrap();
    fs::set_permissions(host.target(), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(host.install(&plugin).unwrap().contains("replaced"));
    let mode = host.target().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
}

#[test]
fn somebody_elses_file_of_that_name_is_left() {
    let host = host();
    fs::write(host.target(), "mine").unwrap();
    let error = host.install(&host.plugin("0.1.0")).unwrap_err();
    assert!(matches!(error, InstallError::NotOurs { .. }), "{error}");
    assert!(error.to_string().contains("move it away"), "{error}");
    assert_eq!(fs::read_to_string(host.target()).unwrap(), "mine");
}

#[test]
fn only_berths_plugin_is_installed() {
    let host = host();
    let other = host.settings.bin_dir.join("portmap");
    let error = host.install(&other).unwrap_err();
    assert!(matches!(error, InstallError::NotPlugin { .. }), "{error}");
    let nothing = host.home.path().join("nothing");
    let error = host.install(&nothing).unwrap_err();
    assert!(error.to_string().contains("cannot read"), "{error}");
    assert_eq!(host.files(), STRANGERS);
}

#[test]
fn nothing_is_installed_beside_aws_node() {
    let host = host();
    let _aws_node = UnixListener::bind(host.home.path().join("ipamd.sock")).unwrap();
    let error = host.install(&host.plugin("0.1.0")).unwrap_err();
    assert!(matches!(error, InstallError::AwsNode(_)), "{error}");
    assert_eq!(host.files(), STRANGERS);
}

#[test]
fn chained_plugins_that_are_missing_are_named() {
    let mut host = host();
    host.settings.chain.bandwidth = true;
    let said = host.install(&host.plugin("0.1.0")).unwrap();
    assert!(
        said.contains("bandwidth is missing") && !said.contains("portmap"),
        "{said}"
    );
}

#[test]
fn what_a_killed_installation_left_goes_and_a_running_one_is_respected() {
    let host = host();
    let plugin = host.plugin("0.1.0");
    let leave = || fs::write(host.target().with_added_extension("tmp"), "half").unwrap();
    leave();
    let other = lock(&host.settings.bin_dir).unwrap();
    let error = host.install(&plugin).unwrap_err();
    assert!(matches!(error, InstallError::Busy { .. }), "{error}");
    drop(other);
    assert!(host.install(&plugin).unwrap().contains("installed"));
    assert_eq!(host.files().len(), STRANGERS.len() + 1);
    leave();
    assert!(host.install(&plugin).unwrap().contains("up to date"));
    assert_eq!(host.files().len(), STRANGERS.len() + 1);
}

#[test]
fn a_missing_directory_is_named_with_its_variable() {
    let host = host();
    fs::remove_dir_all(&host.settings.bin_dir).unwrap();
    let error = host.install(&host.plugin("0.1.0")).unwrap_err();
    assert!(error.to_string().contains("HOST_CNI_BIN_PATH"), "{error}");
}

#[test]
fn uninstalling_removes_berths_files_and_says_what_stays() {
    let host = host();
    host.install(&host.plugin("0.1.0")).unwrap();
    publish(&host.settings).unwrap();
    let checkpoint = r#"{"version":"vpc-cni-ipam/1","allocations":[{},{}]}"#;
    fs::write(host.home.path().join("ipam.json"), checkpoint).unwrap();
    let said = host.uninstall().unwrap();
    assert_eq!(host.files(), STRANGERS);
    for part in [
        "berth-cni removed",
        "05-berth.conflist removed",
        "uses 10-aws.conflist",
        "2 pods",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // Again: nothing to do is no failure.
    let said = host.uninstall().unwrap();
    assert!(said.contains("berth-cni is not there"), "{said}");
}

#[test]
fn uninstalling_leaves_what_is_not_berths() {
    let host = host();
    fs::write(host.target(), "mine").unwrap();
    fs::write(host.settings.conf_dir.join(FILE), "{}").unwrap();
    fs::remove_file(host.settings.conf_dir.join("10-aws.conflist")).unwrap();
    let said = host.uninstall().unwrap();
    assert_eq!(
        said.matches("stays, it is not berth's").count(),
        2,
        "{said}"
    );
    assert!(said.contains("No list is left"), "{said}");
    assert_eq!(fs::read_to_string(host.target()).unwrap(), "mine");
}

#[test]
fn nothing_is_uninstalled_while_berthd_runs() {
    let host = host();
    host.install(&host.plugin("0.1.0")).unwrap();
    let _berthd = UnixListener::bind(host.home.path().join("berthd.sock")).unwrap();
    let error = host.uninstall().unwrap_err();
    assert!(matches!(error, InstallError::Runs { .. }), "{error}");
    assert!(host.target().exists());
}
