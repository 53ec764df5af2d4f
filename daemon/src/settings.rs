//! What an operator may set. Read once, from an injected source; all mistakes are reported together, and every value is
//! listed with where it came from. What the values do is elsewhere.
//!
//! aws-node's variables keep their names and meanings. Where aws-node quietly uses its default instead of a value that
//! it cannot read, berth refuses to start. An empty value is an unset one.

mod cloud;
mod cluster;
mod conflist;
mod daemon;
mod errors;
mod foreign;
mod http;
mod network;
mod pool;
mod reader;
mod sdk;
mod source;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ipam::ownership::Claims;
use ipam::settings::{NetworkSettings, PoolSettings};

pub use cloud::CloudSettings;
pub use cluster::ClusterSettings;
pub(crate) use foreign::{ignored, refused};
pub(crate) use sdk::names as of_sdk;

pub use daemon::CHECKPOINT;
pub use errors::{SettingError, SettingsErrors};
pub use http::{HttpSettings, WatchersAddress};
pub use source::{Environment, Source};

use crate::conflist::ConflistSettings;
use crate::report::SettingReport;
use reader::Reader;

/// All settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The pool of addresses.
    pub pool: PoolSettings,
    /// The host's network.
    pub network: NetworkSettings,
    /// Which ENIs the node may take or delete (MANAGE_UNTAGGED_ENI, DISABLE_LEAKED_ENI_CLEANUP).
    pub claims: Claims,
    /// How EC2 is called (HTTP_TIMEOUT, HTTPS_PROXY, NO_PROXY).
    pub cloud: CloudSettings,
    /// Where the API server is, and which node this is (MY_NODE_NAME, CLUSTER_ENDPOINT, KUBECONFIG).
    pub cluster: ClusterSettings,
    /// Where the daemon listens (BERTH_SOCKET).
    pub socket: PathBuf,
    /// Where DELs that met no daemon are left (BERTH_TOMBSTONES).
    pub tombstones: PathBuf,
    /// The runtimes' result cache (BERTH_CNI_RESULTS).
    pub cni_results: PathBuf,
    /// The checkpoint (AWS_VPC_K8S_CNI_BACKING_STORE).
    pub checkpoint: PathBuf,
    /// Where sysctls are written (BERTH_PROC_ROOT).
    pub proc_root: PathBuf,
    /// How long an ADD may wait for an address (BERTH_ADD_WAIT_SECONDS).
    pub add_wait: Duration,
    /// The cluster, for the tags of new ENIs (CLUSTER_NAME).
    pub cluster_name: Option<String>,
    /// More tags for new ENIs (ADDITIONAL_ENI_TAGS).
    pub additional_eni_tags: BTreeMap<String, String>,
    /// The runtime's network configuration list.
    pub conflist: ConflistSettings,
    /// What is logged, in the language of `tracing_subscriber`'s `EnvFilter` (BERTH_LOG).
    pub log: String,
    /// What listens where.
    pub http: HttpSettings,
    /// What is set and has no effect, in sentences: to be logged once.
    pub warnings: Vec<String>,
    values: Vec<SettingReport>,
}

impl Settings {
    /// Reads all settings.
    ///
    /// # Errors
    /// All mistakes at once, and the settings whose meaning berth does not have yet and must not ignore.
    pub fn read(source: &dyn Source) -> Result<Self, SettingsErrors> {
        let mut reader = Reader::new(source);
        let pool = pool::read(&mut reader);
        let network = network::read(&mut reader);
        let claims = cloud::claims(&mut reader);
        let cloud = cloud::read(&mut reader);
        let cluster = cluster::read(&mut reader);
        let daemon = daemon::read(&mut reader);
        let http = http::read(&mut reader);
        sdk::read(&mut reader);
        let conflist = conflist::read(&mut reader, &daemon);
        foreign::read(&mut reader);
        let (warnings, values) = reader.finish()?;
        Ok(Self {
            pool,
            network,
            claims,
            cloud,
            cluster,
            socket: daemon.socket,
            tombstones: daemon.tombstones,
            cni_results: daemon.cni_results,
            checkpoint: daemon.checkpoint,
            proc_root: daemon.proc_root,
            add_wait: daemon.add_wait,
            cluster_name: daemon.cluster_name,
            additional_eni_tags: daemon.additional_eni_tags,
            conflist,
            log: daemon.log,
            http,
            warnings,
            values,
        })
    }

    /// Every setting with its value and its source, in the order of `docs/configuration.md`; then those that are set
    /// and have no effect.
    pub fn report(&self) -> Vec<SettingReport> {
        self.values.clone()
    }
}
