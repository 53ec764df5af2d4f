//! Where the API server is and how to log in to it: a kubeconfig if one is named, else the service account of the pod that
//! berthd runs in.

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::super::{ClusterError, Kind};
use super::answer::chain;
use crate::settings::ClusterSettings;

/// TCP and TLS. An API server that needs longer is of no use for foresight.
const CONNECT: Duration = Duration::from_secs(10);

pub(super) async fn connect(settings: &ClusterSettings) -> Result<Client, ClusterError> {
    let mut config = match &settings.kubeconfig {
        Some(path) => of_file(path).await?,
        None => of_service_account(settings)?,
    };
    config.connect_timeout = Some(CONNECT);
    // The watch decides itself when to ask again.
    config.default_retry = false;
    if let (Ok(name), Ok(value)) = (
        "user-agent".parse(),
        concat!("berthd/", env!("CARGO_PKG_VERSION")).parse(),
    ) {
        config.headers.push((name, value));
    }
    Client::try_from(config).map_err(|error| unconfigured("no client", &error))
}

async fn of_file(path: &std::path::Path) -> Result<Config, ClusterError> {
    let what = "KUBECONFIG cannot be used";
    let file = Kubeconfig::read_from(path).map_err(|error| unconfigured(what, &error))?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(file, &options).await;
    config.map_err(|error| unconfigured(what, &error))
}

fn of_service_account(settings: &ClusterSettings) -> Result<Config, ClusterError> {
    let what = "no KUBECONFIG and no service account";
    let Some(endpoint) = &settings.endpoint else {
        return Config::incluster().map_err(|error| unconfigured(what, &error));
    };
    // The service account's, at another address.
    let mut config = Config::incluster_dns().map_err(|error| unconfigured(what, &error))?;
    config.cluster_url = endpoint
        .parse()
        .map_err(|error| unconfigured("CLUSTER_ENDPOINT cannot be used", &error))?;
    Ok(config)
}

fn unconfigured(what: &str, error: &(dyn std::error::Error + 'static)) -> ClusterError {
    ClusterError {
        kind: Kind::Unconfigured,
        message: format!("{what}: {}", chain(error)),
    }
}
