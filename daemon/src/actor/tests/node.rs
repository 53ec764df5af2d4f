//! One node: the fakes that outlive the daemon, and the daemon, which can be started, stopped and killed.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use berth_cni::contract::{
    AddRequest, Added, AttachmentId, CheckRequest, DelRequest, Failure, GcRequest, Interface,
    ListedAddress, Outcome, PodName, ValidAttachment,
};
use ec2::Action;
use ec2::fake::{FakeEc2, FakeSetup, LinkEvent};
use ipam::{Mac, Timestamp};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::actor::{Handle, Persisted, Ports, Start};
use crate::clock::Clock;
use crate::cluster::fake::FakeCluster;
use crate::cluster::{self, Sight};
use crate::dataplane::fake::FakeDataplane;
use crate::degraded::Degraded;
use crate::metrics::{CountedEc2, Metrics};
use crate::report::Report;
use crate::sandboxes::fake::FakeSandboxes;
use crate::server::Service;
use crate::settings::Settings;
use crate::store::checkpoint::Loaded;
use crate::store::fake::MemoryStore;
use crate::store::{Document, Store, StoreError, StoreHandle};

pub const MILLISECOND: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);
/// Long enough for a healthy node to have done all it wants to do.
pub const A_WHILE: Duration = Duration::from_secs(10);

/// Time by tokio's clock, which the tests pause. The machine booted a while before; its wall clock can be set.
#[derive(Clone)]
struct PausedClock {
    since: Instant,
    wall: Arc<Mutex<Duration>>,
}

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_000).after(self.since.elapsed())
    }

    fn wall(&self) -> Duration {
        *self.wall.lock().unwrap() + self.since.elapsed()
    }
}

/// The disk as one process sees it: what it has not finished writing when it is killed is never written.
struct Session {
    disk: MemoryStore,
    killed: watch::Receiver<bool>,
}

#[async_trait]
impl Store for Session {
    async fn write(&self, document: Arc<dyn Document>) -> Result<(), StoreError> {
        let mut killed = self.killed.clone();
        tokio::select! {
            biased;
            _ = killed.wait_for(|killed| *killed) => Err(StoreError::Stopping),
            written = self.disk.write(document) => written,
        }
    }
}

/// A running daemon.
struct Daemon {
    handle: Handle,
    actor: JoinHandle<()>,
    watcher: JoinHandle<()>,
    kill: watch::Sender<bool>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

/// A node. Its world stays when its daemon goes.
pub struct Node {
    pub cloud: FakeEc2,
    pub kernel: FakeDataplane,
    pub disk: MemoryStore,
    /// Of all its daemons.
    pub metrics: Metrics,
    pub sandboxes: FakeSandboxes,
    /// The API server.
    pub api: FakeCluster,
    settings: Arc<Settings>,
    clock: PausedClock,
    boot_id: String,
    starts: u32,
    /// How often the actor of each daemon is polled before it is killed.
    mortality: usize,
    /// How often that of this daemon is polled yet.
    polls_left: Arc<AtomicUsize>,
    daemon: Option<Daemon>,
}

impl Node {
    /// An m5.large with a daemon that has just been started.
    pub fn start() -> Self {
        Self::start_with(FakeSetup::default(), &[])
    }

    /// A node with a daemon that has just been started, with these settings.
    pub fn start_with(setup: FakeSetup, settings: &[(&str, &str)]) -> Self {
        let mut node = Self::without_daemon(setup, settings);
        node.boot();
        node
    }

    /// A node on which no daemon has run yet.
    pub fn without_daemon(setup: FakeSetup, settings: &[(&str, &str)]) -> Self {
        let cloud = FakeEc2::new(setup).unwrap();
        let kernel = FakeDataplane::default();
        for eni in cloud.holdings().values() {
            kernel.add_link(eni.mac.parse().unwrap());
        }
        tokio::spawn(plug(cloud.links(), kernel.clone()));
        // Most tests count the single addresses of an ENI.
        let singles = ("ENABLE_PREFIX_DELEGATION", "false");
        let settings: HashMap<&str, &str> = [singles].iter().chain(settings).copied().collect();
        Self {
            cloud,
            kernel,
            disk: MemoryStore::default(),
            metrics: Metrics::new().unwrap(),
            sandboxes: FakeSandboxes::default(),
            api: FakeCluster::default(),
            settings: Arc::new(Settings::read(&settings).unwrap()),
            clock: PausedClock {
                since: Instant::now(),
                // November 2023.
                wall: Arc::new(Mutex::new(Duration::from_secs(1_700_000_000))),
            },
            boot_id: "boot-1".to_owned(),
            starts: 0,
            mortality: usize::MAX,
            polls_left: Arc::default(),
            daemon: None,
        }
    }

    /// A node that has found out about itself and holds its reserve.
    pub async fn ready() -> Self {
        let node = Self::start();
        sleep(A_WHILE).await;
        node
    }

    /// Starts the daemon on what the disk has.
    pub fn boot(&mut self) {
        let state = self.disk.written().pop().map(|document| read(&document));
        self.boot_with(state);
    }

    /// Starts the daemon on this state.
    pub fn boot_with(&mut self, state: Option<Persisted>) {
        let (kill, killed) = watch::channel(false);
        let session = Session {
            disk: self.disk.clone(),
            killed,
        };
        self.starts += 1;
        let degraded = Degraded::default();
        let start = Start {
            metrics: self.metrics.clone(),
            degraded: degraded.clone(),
            settings: self.settings.clone(),
            ports: Ports {
                ec2: Arc::new(CountedEc2::new(self.cloud.clone(), self.metrics.clone())),
                metadata: Arc::new(self.cloud.clone()),
                dataplane: Arc::new(self.kernel.clone()),
                sandboxes: Arc::new(self.sandboxes.clone()),
                clock: Arc::new(self.clock.clone()),
            },
            store: StoreHandle::start(session),
            state,
            boot_id: self.boot_id.clone(),
            token_seed: format!("berth-{}", self.starts),
        };
        let (actor, handle) = start.actor();
        self.polls_left.store(self.mortality, Ordering::Relaxed);
        let mortal = mortal(self.polls_left.clone(), kill.clone(), actor.run());
        let actor = tokio::spawn(mortal);
        let seer = handle.clone();
        let seen = move |sight: Sight| seer.seen(sight);
        let watcher = tokio::spawn(cluster::watch(Arc::new(self.api.clone()), seen, degraded));
        self.daemon = Some(Daemon {
            handle,
            actor,
            watcher,
            kill,
        });
    }

    /// Kills each daemon started from now on when its actor has been polled so often.
    pub fn die_after(&mut self, polls: usize) {
        self.mortality = polls;
    }

    /// From now on no daemon is killed any more, nor is the one that runs.
    pub fn live_on(&mut self) {
        self.mortality = usize::MAX;
        self.polls_left.store(usize::MAX, Ordering::Relaxed);
    }

    /// Whether the daemon runs.
    pub fn is_alive(&self) -> bool {
        self.daemon
            .as_ref()
            .is_some_and(|daemon| !daemon.actor.is_finished())
    }

    /// Somebody sets the wall clock.
    pub fn set_wall_clock(&self, to: Duration) {
        *self.clock.wall.lock().unwrap() = to;
    }

    /// kill -9.
    pub async fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill.send_replace(true);
            daemon.actor.abort();
            let _ = (&mut daemon.actor).await;
        }
    }

    /// kill -9, and the next start.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.boot();
    }

    /// The next daemon runs in another boot of the machine, or on another machine.
    pub fn set_boot_id(&mut self, boot_id: &str) {
        boot_id.clone_into(&mut self.boot_id);
    }

    /// The machine reboots, and the daemon starts again.
    pub async fn reboot(&mut self) {
        self.kill().await;
        self.kernel.reboot();
        self.set_boot_id("boot-2");
        self.boot();
    }

    /// SIGTERM; answers when the daemon is gone.
    pub async fn stop(&mut self) {
        let mut daemon = self.daemon.take().expect("no daemon runs");
        daemon.handle.stop();
        (&mut daemon.actor).await.unwrap();
        daemon.kill.send_replace(true);
    }

    /// Tells the daemon to stop without waiting for it.
    pub fn tell_to_stop(&self) {
        self.handle().stop();
    }

    pub fn handle(&self) -> Handle {
        self.daemon.as_ref().expect("no daemon runs").handle.clone()
    }

    pub async fn report(&self) -> Report {
        self.handle().report().await.unwrap()
    }

    /// ADD for the sandbox of that name, by the plugin process of that name.
    pub fn add(&self, sandbox: &str) -> JoinHandle<Outcome> {
        self.add_by(sandbox, sandbox)
    }

    /// ADD for a sandbox by this plugin process.
    pub fn add_by(&self, sandbox: &str, invocation: &str) -> JoinHandle<Outcome> {
        self.ask(request(sandbox, sandbox), invocation)
    }

    /// ADD for a new sandbox of a pod.
    pub fn add_pod(&self, pod: &str, sandbox: &str) -> JoinHandle<Outcome> {
        self.ask(request(sandbox, pod), sandbox)
    }

    pub fn ask(&self, request: AddRequest, invocation: &str) -> JoinHandle<Outcome> {
        let (handle, invocation) = (self.handle(), invocation.to_owned());
        tokio::spawn(async move { handle.add(request, invocation, netns()).await })
    }

    /// ADD for a sandbox, which must succeed.
    pub async fn added(&self, sandbox: &str) -> Added {
        added(self.add(sandbox).await.unwrap())
    }

    /// ADDs at once for the sandboxes `p<n>`, which must all succeed.
    pub async fn added_at_once(&self, numbers: std::ops::Range<usize>) -> Vec<Added> {
        let adds: Vec<_> = numbers.map(|n| self.add(&format!("p{n}"))).collect();
        let mut all = Vec::new();
        for add in adds {
            all.push(added(add.await.unwrap()));
        }
        all
    }

    pub fn del(&self, sandbox: &str) -> JoinHandle<Outcome> {
        self.del_in("aws-cni", sandbox)
    }

    /// DEL in another network than usual.
    pub fn del_in(&self, network: &str, sandbox: &str) -> JoinHandle<Outcome> {
        let handle = self.handle();
        let id = AttachmentId {
            network: network.to_owned(),
            ..request(sandbox, sandbox).id
        };
        tokio::spawn(async move {
            handle
                .del(
                    DelRequest {
                        id,
                        pod: None,
                        aws_node: Vec::new(),
                    },
                    Some(netns()),
                )
                .await
        })
    }

    /// CHECK of a sandbox, by what its ADD answered.
    pub async fn check(&self, sandbox: &str, added: &Added) -> Outcome {
        let request = CheckRequest {
            id: request(sandbox, sandbox).id,
            mac: Some(added.pod_mac.clone()),
            addresses: vec![ListedAddress {
                address: added.address,
                prefix_len: 32,
            }],
        };
        self.handle().check(request, netns()).await
    }

    /// GC of the usual network, with these sandboxes valid.
    pub fn gc(&self, valid: &[&str]) -> JoinHandle<Outcome> {
        self.gc_of("aws-cni", valid)
    }

    /// GC of a network.
    pub fn gc_of(&self, network: &str, valid: &[&str]) -> JoinHandle<Outcome> {
        let attachment = |sandbox: &&str| ValidAttachment {
            container_id: (*sandbox).to_owned(),
            ifname: "eth0".to_owned(),
        };
        let request = GcRequest {
            network: network.to_owned(),
            valid: valid.iter().map(attachment).collect(),
        };
        let handle = self.handle();
        tokio::spawn(async move { handle.gc(request).await })
    }

    /// DEL of a sandbox, which must succeed.
    pub async fn deleted(&self, sandbox: &str) {
        assert_eq!(self.del(sandbox).await.unwrap(), Outcome::Deleted);
    }

    /// How many calls have changed EC2, or tried to.
    pub fn changes(&self) -> usize {
        CHANGES.iter().map(|action| self.cloud.count(*action)).sum()
    }

    /// The state that a new daemon would find.
    pub fn on_disk(&self) -> Persisted {
        read(self.disk.written().last().expect("nothing was written"))
    }
}

/// All calls that change EC2.
const CHANGES: [Action; 7] = [
    Action::CreateNetworkInterface,
    Action::AttachNetworkInterface,
    Action::ModifyNetworkInterfaceAttribute,
    Action::AssignPrivateIpAddresses,
    Action::UnassignPrivateIpAddresses,
    Action::DetachNetworkInterface,
    Action::DeleteNetworkInterface,
];

/// The request that the plugin sends for the first interface of a sandbox.
pub fn request(sandbox: &str, pod: &str) -> AddRequest {
    AddRequest {
        id: AttachmentId {
            network: "aws-cni".to_owned(),
            container_id: sandbox.to_owned(),
            ifname: "eth0".to_owned(),
        },
        pod: Some(PodName {
            namespace: "default".to_owned(),
            name: pod.to_owned(),
            uid: None,
        }),
        netns: format!("/run/netns/{sandbox}"),
        interface: Interface::Create,
        veth_prefix: None,
        mtu: None,
    }
}

/// The alias of a sandbox's link.
pub fn alias(sandbox: &str) -> String {
    format!("berth:{sandbox}/eth0")
}

pub fn added(outcome: Outcome) -> Added {
    match outcome {
        Outcome::Added(added) => added,
        other => panic!("not added: {other:?}"),
    }
}

pub fn failed(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        other => panic!("not failed: {other:?}"),
    }
}

/// A checkpoint, read as the daemon reads it.
pub fn read(document: &[u8]) -> Persisted {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ipam.json");
    std::fs::write(&path, document).unwrap();
    match Persisted::load(&path).unwrap() {
        Loaded::Ours { berth, .. } => berth,
        other => panic!("not a checkpoint of ours: {other:?}"),
    }
}

/// The fakes never look into it.
fn netns() -> OwnedFd {
    std::fs::File::open("/dev/null").unwrap().into()
}

/// ENIs come and go in the kernel as the cloud says.
async fn plug(mut events: UnboundedReceiver<LinkEvent>, kernel: FakeDataplane) {
    while let Some(event) = events.recv().await {
        match event {
            LinkEvent::Appeared { mac, .. } => kernel.add_link(mac.parse::<Mac>().unwrap()),
            LinkEvent::Gone { mac, .. } => kernel.remove_link(mac.parse::<Mac>().unwrap()),
        }
    }
}

/// More turns of the actor than any of these tests needs at one instant of paused time, which stands still while a task
/// is never idle.
const SPINNING: usize = 20_000;

/// Runs the actor until it ends or has been polled so often; then it is dropped where it stands.
async fn mortal(
    left: Arc<AtomicUsize>,
    kill: watch::Sender<bool>,
    actor: impl Future<Output = ()>,
) {
    let mut actor = Box::pin(actor);
    let (mut instant, mut turns) = (Instant::now(), 0);
    std::future::poll_fn(|context| {
        let polls = left.load(Ordering::Relaxed);
        if polls == 0 {
            kill.send_replace(true);
            return Poll::Ready(());
        }
        left.store(polls - 1, Ordering::Relaxed);
        turns = if instant == Instant::now() {
            turns + 1
        } else {
            0
        };
        instant = Instant::now();
        assert!(turns < SPINNING, "the actor spins");
        actor.as_mut().poll(context)
    })
    .await;
}
