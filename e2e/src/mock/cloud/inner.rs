//! What all parts of a running cloud share: the state and its past, faults, journal, and the way from a change of
//! the state to the fabric.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::mock::api::Effect;
use crate::mock::buckets::Buckets;
use crate::mock::config::CloudConfig;
use crate::mock::error::Refusal;
use crate::mock::fabric::{Fabric, FabricError, Flow, Loss, SharedNetns, Wiring};
use crate::mock::faults::{FaultKind, Faults};
use crate::mock::guarded::Guarded;
use crate::mock::journal::{Call, Journal};
use crate::mock::lag::Lag;
use crate::mock::seed::Seed;
use crate::mock::state::State;
use crate::mock::timeline::Timeline;

/// How far readers lie behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lags {
    pub(crate) imds: Lag,
    pub(crate) describe: Lag,
}

/// A machine that is up.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) netns: Option<SharedNetns>,
    /// Its two listeners end when this says so or is dropped.
    pub(super) stop: watch::Sender<bool>,
}

/// The shared part of a cloud.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(super) config: CloudConfig,
    pub(super) fabric: Option<Fabric>,
    pub(super) machines: Guarded<BTreeMap<String, Machine>>,
    pub(super) tasks: Guarded<JoinSet<()>>,
    pub(crate) faults: Guarded<Faults>,
    pub(crate) journal: Guarded<Journal>,
    pub(crate) lags: Guarded<Lags>,
    timeline: Guarded<Timeline>,
    buckets: Guarded<Buckets>,
    /// For jitter and ids of requests, apart from the state's own, so that timing does not change addresses.
    seed: Guarded<Seed>,
    started: Instant,
}

impl Inner {
    pub(super) fn new(config: CloudConfig, state: State, fabric: Option<Fabric>) -> Self {
        Self {
            fabric,
            machines: Guarded::default(),
            tasks: Guarded::default(),
            faults: Guarded::default(),
            journal: Guarded::default(),
            lags: Guarded::new(Lags {
                imds: config.imds_lag.into(),
                describe: config.describe_lag.into(),
            }),
            timeline: Guarded::new(Timeline::new(state)),
            buckets: Guarded::new(Buckets::new(config.rate_limits.clone())),
            seed: Guarded::new(Seed::new(config.seed.wrapping_add(1))),
            started: Instant::now(),
            config,
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn request_id(&self) -> String {
        let mut seed = self.seed.lock();
        let (a, b) = (seed.bits(), seed.bits());
        let hex = format!("{a:016x}{b:016x}");
        let (p, q, r, s, t) = (
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        );
        format!("{p}-{q}-{r}-{s}-{t}")
    }

    pub(crate) fn strike(&self, action: &str, instance: Option<&str>) -> Option<FaultKind> {
        self.faults.lock().strike(action, instance)
    }

    pub(crate) fn record(&self, call: Call) {
        self.journal.lock().record(call);
    }

    /// How long this call of an action takes: its mean and some jitter.
    pub(crate) fn latency(&self, action: &str) -> Duration {
        let latency = &self.config.latency;
        let jitter = u64::from(latency.jitter_percent.min(100));
        let per_cent = 100 - jitter + self.seed.lock().below(2 * jitter + 1);
        latency.of(action).mul_f64(per_cent as f64 / 100.0)
    }

    pub(crate) fn admit(&self, action: &str) -> bool {
        self.buckets.lock().admit(action, Instant::now())
    }

    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.timeline.lock().change(change)
    }

    /// A change that cannot be refused.
    fn progress(&self, change: impl FnOnce(&mut State)) {
        let never_refused: Result<(), std::convert::Infallible> =
            self.timeline.lock().change(|s| {
                change(s);
                Ok(())
            });
        let Ok(()) = never_refused;
    }

    pub(crate) fn current(&self) -> Arc<State> {
        self.timeline.lock().current()
    }

    /// What a Describe call sees.
    pub(crate) fn seen_by_describe(&self, extra: Lag) -> Arc<State> {
        let lag = self.lags.lock().describe + extra;
        self.timeline.lock().seen(lag)
    }

    /// What an instance's metadata shows. Who the instance is, it knows from its first moment.
    pub(crate) fn seen_by_imds(&self, instance: &str, extra: Lag) -> Arc<State> {
        let lag = self.lags.lock().imds + extra;
        let timeline = self.timeline.lock();
        let then = timeline.seen(lag);
        if !then.enis_of(instance).is_empty() {
            then
        } else {
            timeline.current()
        }
    }

    /// Lets the world follow a change: addresses at once, links after their delays.
    pub(crate) async fn follow(
        self: &Arc<Self>,
        effect: Effect,
        fault: Option<&FaultKind>,
    ) -> Result<(), FabricError> {
        match effect {
            Effect::Addresses { eni } => return self.rewire(&eni).await,
            Effect::Attach { eni, attachment } => self.begin_attach(eni, attachment, fault),
            Effect::Detach { eni, attachment } => {
                let cloud = Arc::clone(self);
                self.spawn(async move {
                    tokio::time::sleep(cloud.config.detach_delay).await;
                    cloud.progress(|s| s.unplug(&attachment));
                    cloud.rewire_loudly(&eni).await;
                    cloud.progress(|s| s.finish_detach(&attachment));
                });
            }
        }
        Ok(())
    }

    /// The link comes, and EC2 says `attached`; or what the fault makes of it.
    fn begin_attach(self: &Arc<Self>, eni: String, attachment: String, fault: Option<&FaultKind>) {
        let usual = self.config.attach_delay;
        let (delay, plugs, stays) = match fault {
            Some(FaultKind::SlowAttach { ms }) => (Duration::from_millis(*ms), true, true),
            Some(FaultKind::FailAttach { ms }) => (Duration::from_millis(*ms), false, false),
            Some(FaultKind::NoLink) => (usual, false, true),
            _ => (usual, true, true),
        };
        let cloud = Arc::clone(self);
        self.spawn(async move {
            tokio::time::sleep(delay).await;
            if plugs {
                cloud.progress(|s| s.plug(&attachment));
                cloud.rewire_loudly(&eni).await;
            }
            cloud.progress(|s| {
                if stays {
                    s.finish_attach(&attachment);
                } else {
                    s.finish_detach(&attachment);
                }
            });
        });
    }

    pub(crate) fn losses(&self) -> Result<Vec<Loss>, FabricError> {
        self.fabric.as_ref().map_or(Ok(Vec::new()), Fabric::losses)
    }

    pub(crate) fn flows(&self, eni: &str) -> Result<Vec<Flow>, FabricError> {
        self.fabric
            .as_ref()
            .map_or(Ok(Vec::new()), |f| f.flows(eni))
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Makes the fabric's view of an ENI what the state says.
    pub(super) async fn rewire(self: &Arc<Self>, eni: &str) -> Result<(), FabricError> {
        if self.fabric.is_none() {
            return Ok(());
        }
        let (cloud, eni) = (Arc::clone(self), eni.to_owned());
        let done = tokio::task::spawn_blocking(move || match &cloud.fabric {
            Some(fabric) => fabric.converge(&eni, || cloud.wiring(&eni)),
            None => Ok(()),
        });
        // A panic in there was already printed; a runtime that is going down needs no fabric.
        done.await.unwrap_or(Ok(()))
    }

    async fn rewire_loudly(self: &Arc<Self>, eni: &str) {
        if let Err(error) = self.rewire(eni).await {
            tracing::error!(%error, eni, "the fabric does not follow");
        }
    }

    /// How an ENI is to be plugged in now, if it is.
    fn wiring(&self, eni: &str) -> Option<Wiring> {
        let state = self.current();
        let eni = state.enis.get(eni)?;
        let attachment = eni.attachment.as_ref().filter(|a| a.plugged)?;
        let subnet = state.subnets.get(&eni.subnet_id)?;
        let node = self
            .machines
            .lock()
            .get(&attachment.instance_id)?
            .netns
            .clone()?;
        Some(Wiring {
            node,
            device_index: attachment.device_index,
            mac: eni.mac.clone(),
            primary: eni.primary,
            subnet: subnet.cidr,
            gateway: subnet.gateway(),
            addresses: eni.reachable().collect::<BTreeSet<_>>(),
        })
    }
}
