//! The list in real directories: when it is written, when it is left, and what stands in its way.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::host::Host;
use super::*;

/// A host with the plugins of the usual list and no list.
fn host() -> Host {
    Host::with_plugins(plugins(&Chain::default()))
}

impl Host {
    fn path(&self) -> PathBuf {
        self.settings.path()
    }

    fn list(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path()).unwrap()).unwrap()
    }

    /// A keeper that runs, the switch that makes the daemon ready, and what the keeper says.
    fn keep(&self) -> (watch::Sender<Readiness>, mpsc::UnboundedReceiver<String>) {
        let (ready, readiness) = watch::channel(Readiness::Unidentified);
        let (teller, told) = mpsc::unbounded_channel();
        let tell = move |words| drop(teller.send(words));
        tokio::spawn(keep(self.settings.clone(), readiness, tell));
        (ready, told)
    }
}

fn inode(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    path.metadata().unwrap().ino()
}

/// Waits for words with this in them.
async fn says(told: &mut mpsc::UnboundedReceiver<String>, part: &str) -> String {
    let heard = async {
        loop {
            let words = told.recv().await.unwrap();
            if words.contains(part) {
                return words;
            }
        }
    };
    let patience = Duration::from_secs(60);
    timeout(patience, heard)
        .await
        .unwrap_or_else(|_| panic!("nobody says {part}"))
}

#[test]
fn the_list_is_written_once_and_others_are_left() {
    let host = host();
    host.put_list("10-aws.conflist", "aws-node's");
    let first = publish(&host.settings).unwrap();
    assert_eq!((first.written, first.before), (true, None));
    assert_eq!(host.lists(), ["05-berth.conflist", "10-aws.conflist"]);
    let stands = inode(&host.path());
    assert!(!publish(&host.settings).unwrap().written);
    assert_eq!(inode(&host.path()), stands);
    let aws = fs::read_to_string(host.settings.conf_dir.join("10-aws.conflist"));
    assert_eq!(aws.unwrap(), "aws-node's");
}

#[test]
fn a_configuration_that_sorts_before_is_named() {
    let host = host();
    host.put_list("00-multus.conf", "{}");
    host.put_list("00-readme.txt", "no configuration");
    let published = publish(&host.settings).unwrap();
    assert_eq!(published.before.as_deref(), Some("00-multus.conf"));
    let words = in_words(&host.settings, &Ok(published));
    assert!(words.contains("takes 00-multus.conf instead"), "{words}");
}

#[test]
fn a_list_that_names_a_plugin_which_is_not_there_is_not_written() {
    let mut host = host();
    host.settings.chain.bandwidth = true;
    fs::remove_file(host.settings.bin_dir.join("portmap")).unwrap();
    let error = publish(&host.settings).unwrap_err().to_string();
    assert!(
        error.starts_with("portmap, bandwidth missing in "),
        "{error}"
    );
    assert!(host.lists().is_empty());
}

#[test]
fn each_obstacle_says_what_to_do() {
    let host = host();
    host.put_list(FILE, "mine");
    let error = publish(&host.settings).unwrap_err();
    assert!(
        matches!(error, PublishError::NotOurs { .. }) && error.to_string().contains("move it away")
    );
    assert_eq!(fs::read_to_string(host.path()).unwrap(), "mine");
    fs::remove_file(host.path()).unwrap();
    // Stands in the temporary file's place, as a read-only directory would; root may write past any mode.
    fs::create_dir(host.path().with_added_extension("tmp")).unwrap();
    let error = publish(&host.settings).unwrap_err();
    assert!(matches!(error, PublishError::Replace(_)), "{error}");
    fs::remove_dir_all(&host.settings.conf_dir).unwrap();
    let error = publish(&host.settings).unwrap_err();
    assert!(
        error.to_string().contains("HOST_CNI_CONFDIR_PATH"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_before_an_add_can_be_served() {
    let host = host();
    let (ready, mut told) = host.keep();
    says(&mut told, "has not said yet which node").await;
    ready.send_replace(Readiness::NotLaidOut);
    says(&mut told, "not laid out yet").await;
    assert!(host.lists().is_empty());
    ready.send_replace(Readiness::Ready);
    says(&mut told, "stands").await;
    assert_eq!(host.lists(), [FILE]);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_has_served_once_keeps_the_list_when_addresses_run_out() {
    let host = host();
    let (ready, mut told) = host.keep();
    ready.send_replace(Readiness::Ready);
    says(&mut told, "stands").await;
    ready.send_replace(Readiness::NoAddress(None));
    fs::remove_file(host.path()).unwrap();
    says(&mut told, "stands").await;
    assert_eq!(host.lists(), [FILE]);
}

#[tokio::test(start_paused = true)]
async fn what_others_do_to_the_list_is_mended() {
    let host = host();
    let (ready, mut told) = host.keep();
    ready.send_replace(Readiness::Ready);
    says(&mut told, "stands").await;
    let mut list = host.list();
    list["name"] = "other".into();
    fs::write(host.path(), list.to_string()).unwrap();
    says(&mut told, "stands").await;
    assert_eq!(host.list()["name"], NETWORK);
    // Somebody else's file in its place is said, and left until it goes.
    fs::write(host.path(), "{}").unwrap();
    says(&mut told, "move it away").await;
    assert_eq!(fs::read_to_string(host.path()).unwrap(), "{}");
    fs::remove_file(host.path()).unwrap();
    says(&mut told, "stands").await;
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_chains_itself_behind_berth_is_left_there() {
    let host = host();
    let (ready, mut told) = host.keep();
    ready.send_replace(Readiness::Ready);
    says(&mut told, "stands").await;
    let mut list = host.list();
    let entries = list["plugins"].as_array_mut().unwrap();
    entries.push(json!({"type": "istio-cni"}));
    fs::write(host.path(), list.to_string()).unwrap();
    sleep(2 * RETRY).await;
    assert_eq!(host.list(), list);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_at_first_is_waited_for() {
    let host = host();
    fs::remove_file(host.settings.bin_dir.join(PLUGIN)).unwrap();
    let away = host.home.path().join("away");
    fs::rename(&host.settings.conf_dir, &away).unwrap();
    let (ready, mut told) = host.keep();
    ready.send_replace(Readiness::Ready);
    says(&mut told, "does not exist").await;
    fs::rename(&away, &host.settings.conf_dir).unwrap();
    says(&mut told, "berth-cni missing").await;
    fs::write(host.settings.bin_dir.join(PLUGIN), "program").unwrap();
    says(&mut told, "stands").await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_something_else_writes_is_left_alone() {
    let mut host = host();
    host.settings.write = false;
    let (ready, mut told) = host.keep();
    ready.send_replace(Readiness::Ready);
    says(&mut told, "BERTH_WRITE_CONFLIST=false").await;
    sleep(2 * RETRY).await;
    assert!(host.lists().is_empty());
}
