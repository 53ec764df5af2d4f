//! Puts the daemon together and runs it until it is told to stop.

use std::future::Future;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;

use berth_cni::contract::HEARTBEAT_EXTENSION;
use ec2::Ec2;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{error, info, warn};

use crate::actor::{Handle, Persisted, Ports, STOP_WITHIN, Start};
use crate::cluster::{self, Cluster, Sight};
use crate::conflist;
use crate::degraded::Degraded;
use crate::heartbeat::beat;
use crate::http;
use crate::lock::{AWS_NODE_SOCKET, Lock, LockError, OWNER_ENDS_WITHIN, refuse_beside_aws_node};
use crate::metrics::{CountedStore, Metrics};
use crate::server::{BindError, Listener};
use crate::settings::{HttpSettings, Settings};
use crate::store::checkpoint::{CheckpointError, Loaded};
use crate::store::{FileStore, StoreError, StoreHandle};
use crate::subnets::SubnetSight;
use crate::tombstones::{TombstoneError, Tombstones};

/// Why the daemon does not run. None of these is a dependency that is away.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Another owner.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint's directory cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The socket cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The tombstones cannot be watched.
    #[error(transparent)]
    Tombstones(#[from] TombstoneError),
    /// aws-node's pods live here.
    #[error(
        "{path} was written by aws-node and names {pods} pods: taking over running pods is not supported yet, drain the node first, then remove the file"
    )]
    AwsNodePods {
        /// The checkpoint.
        path: String,
        /// How many.
        pods: usize,
    },
    /// A bug: the owner of the state is gone. Pods keep their network; whoever supervises the daemon starts it again,
    /// and the checkpoint has the state.
    #[error("the actor failed: {0}")]
    Actor(#[from] tokio::task::JoinError),
    /// /proc or the random number generator is not there.
    #[error("read {path}: {source}")]
    Read {
        /// The file.
        path: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// Runs the daemon on these ports until `stop` is ready.
///
/// # Errors
/// When it cannot start. Once it runs, it ends only by `stop`.
pub async fn run(
    settings: Settings,
    ports: Ports,
    cluster: Arc<dyn Cluster>,
    metrics: Metrics,
    stop: impl Future<Output = ()>,
) -> Result<(), AppError> {
    let mut stop = pin!(stop);
    let Some(_lock) = own(&settings.checkpoint, stop.as_mut()).await? else {
        return Ok(());
    };
    let state = found(&settings.checkpoint)?;
    let store = StoreHandle::start(CountedStore::new(
        FileStore::open(&settings.checkpoint)?,
        metrics.clone(),
    ));
    let tombstones = Tombstones::open(&settings.tombstones)?;
    let boot_id = read("/proc/sys/kernel/random/boot_id")?;
    let token_seed = token_seed()?;
    // The last step that can fail: who finds a daemon listening finds one that stays.
    let listener = Listener::bind(&settings.socket)?;
    let heartbeat = settings.socket.with_extension(HEARTBEAT_EXTENSION);
    let heart = tokio::spawn(async move { beat(&heartbeat).await });
    for warning in &settings.warnings {
        warn!("{warning}");
    }
    let conflist = settings.conflist.clone();
    info!(version = env!("CARGO_PKG_VERSION"), socket = %settings.socket.display(), "berthd runs");
    let degraded = Degraded::default();
    let (http, ec2) = (settings.http, ports.ec2.clone());
    let start = Start {
        degraded: degraded.clone(),
        settings: Arc::new(settings),
        ports,
        store,
        metrics: metrics.clone(),
        state,
        boot_id,
        token_seed,
    };
    let (actor, ended, handle) = spawn(start);
    let service = Arc::new(handle.clone());
    let mut watchers = watchers(http, &handle, ec2, &metrics, &degraded);
    let seer = handle.clone();
    let seen = move |sight: Sight| seer.seen(sight);
    watchers.spawn(cluster::watch(cluster, seen, degraded));
    let replay = tokio::spawn(replay(tombstones, service.clone(), metrics));
    let teller = service.clone();
    let keeper = tokio::spawn(conflist::keep(
        conflist,
        service.readiness(),
        move |words| teller.conflist(words),
    ));
    let stopped = async {
        tokio::select! {
            () = &mut stop => handle.stop(),
            _ = ended => {}
        }
    };
    listener.serve(service, stopped, STOP_WITHIN).await;
    replay.abort();
    heart.abort();
    drop(watchers);
    keeper.abort();
    Ok(actor.await?)
}

/// Makes this daemon the node's only one; nothing if it is told to stop before it is.
async fn own(
    checkpoint: &Path,
    stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<Option<Lock>, AppError> {
    let lock = tokio::select! {
        lock = Lock::acquire(checkpoint, OWNER_ENDS_WITHIN) => lock?,
        () = stop => return Ok(None),
    };
    refuse_beside_aws_node(Path::new(AWS_NODE_SOCKET))?;
    Ok(Some(lock))
}

/// Runs the actor; the second says that it has ended, however.
fn spawn(start: Start) -> (JoinHandle<()>, oneshot::Receiver<()>, Handle) {
    let (actor, handle) = start.actor();
    let (alive, ended) = oneshot::channel::<()>();
    let actor = tokio::spawn(async move {
        let _alive = alive;
        actor.run().await;
    });
    (actor, ended, handle)
}

/// What watches the node: HTTP, and who asks how full its subnet is. They end with what is returned.
fn watchers(
    http: HttpSettings,
    handle: &Handle,
    ec2: Arc<dyn Ec2>,
    metrics: &Metrics,
    degraded: &Degraded,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let teller = handle.clone();
    let sight = SubnetSight {
        ec2,
        node: handle.node(),
        concerned: handle.concerned(),
        metrics: metrics.clone(),
        degraded: degraded.clone(),
        tell: move |subnet| teller.subnet(subnet),
    };
    tasks.spawn(sight.watch());
    let (metrics, degraded) = (metrics.clone(), degraded.clone());
    tasks.spawn(http::serve(http, handle.clone(), metrics, degraded));
    tasks
}

/// The state on the disk, if it can be used.
fn found(checkpoint: &Path) -> Result<Option<Persisted>, AppError> {
    match Persisted::load(checkpoint)? {
        Loaded::Fresh => Ok(None),
        Loaded::Ours { berth, .. } => Ok(Some(berth)),
        Loaded::Foreign { allocations } if allocations.is_empty() => Ok(None),
        Loaded::Foreign { allocations } => Err(AppError::AwsNodePods {
            path: checkpoint.display().to_string(),
            pods: allocations.len(),
        }),
        Loaded::Corrupt { set_aside, error } => {
            error!(
                %error, set_aside = %set_aside.display(),
                "the checkpoint is corrupt and was set aside; live pods keep their addresses, which are looked for in the kernel"
            );
            Ok(None)
        }
    }
}

async fn replay(tombstones: Tombstones, service: Arc<Handle>, metrics: Metrics) {
    let waiting = |left| metrics.set_tombstones(left);
    if let Err(error) = tombstones.run(service, waiting).await {
        error!(%error, "tombstones are not replayed any more");
    }
}

fn read(path: &'static str) -> Result<String, AppError> {
    let text = std::fs::read_to_string(path).map_err(|source| AppError::Read { path, source })?;
    Ok(text.trim().to_owned())
}

/// Unlike that of any other process on any node: EC2 tells requests apart by their client tokens.
fn token_seed() -> Result<String, AppError> {
    let uuid = read("/proc/sys/kernel/random/uuid")?;
    // Seed, time and number stay well below EC2's 64 characters.
    Ok(format!(
        "berth-{}",
        uuid.split('-').take(3).collect::<Vec<_>>().join("")
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::actor::SCHEMA;

    fn checkpoint(berth: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ipam.json");
        let document = format!(r#"{{"version":"vpc-cni-ipam/1","allocations":[]{berth}}}"#);
        std::fs::write(&path, document).unwrap();
        (dir, path)
    }

    fn state(schema: u32) -> String {
        format!(
            r#","berth":{{"schema":{schema},"boot_id":"b","node":null,"lost":false,"pool":{{"enis":[],"addresses":{{}},"attachments":[],"intents":{{}},"next_intent":0,"knowledge":{{"complete":true,"described":null,"wanted":false}}}}}}"#
        )
    }

    #[test]
    fn a_state_of_this_release_is_used() {
        let (_dir, path) = checkpoint(&state(SCHEMA));
        assert!(found(&path).unwrap().is_some());
        assert!(path.exists());
    }

    #[test]
    fn a_state_of_another_release_is_set_aside() {
        for schema in [SCHEMA - 1, SCHEMA + 1] {
            let (dir, path) = checkpoint(&state(schema));
            assert!(found(&path).unwrap().is_none());
            assert!(!path.exists());
            assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_file_of_aws_node_is_no_state_and_its_pods_are_a_reason_to_stop() {
        let (_dir, path) = checkpoint("");
        assert!(found(&path).unwrap().is_none());
        let pod =
            r#"{"networkName":"aws-cni","containerID":"c","ifName":"eth0","ipv4":"10.0.1.9"}"#;
        let document = format!(r#"{{"version":"vpc-cni-ipam/1","allocations":[{pod}]}}"#);
        std::fs::write(&path, document).unwrap();
        assert!(matches!(
            found(&path),
            Err(AppError::AwsNodePods { pods: 1, .. })
        ));
        assert!(path.exists());
    }
}
