//! A running mock cloud: the handle by which tests and the demo make it, look at it and disturb it.

mod inner;
mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use ipnet::Ipv4Net;
use tokio::sync::watch;

pub(crate) use self::inner::Inner;
pub use self::node::Node;
use super::config::CloudConfig;
use super::error::Refusal;
use super::fabric::{Fabric, FabricError, Flow, Loss};
use super::faults::Fault;
use super::journal::Call;
use super::lag::Lag;
use super::state::{Assign, CreateEni, Eni, State};
use super::{admin, api, listen};

/// The mock cannot do what its user (not its client) asks.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// Packets, namespaces or sockets.
    #[error(transparent)]
    Fabric(#[from] FabricError),
    /// EC2 would refuse it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A mock cloud. Dropping it removes all that it made.
#[derive(Debug)]
pub struct Cloud {
    inner: Arc<Inner>,
    endpoint: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Cloud {
    /// Builds the VPC and opens the EC2 endpoint on a loopback port. Must be called in a tokio runtime, which then
    /// serves all requests.
    pub async fn start(config: CloudConfig) -> Result<Self, CloudError> {
        let subnets: Vec<_> = config
            .subnets
            .iter()
            .map(|s| (s.cidr, s.zone.clone()))
            .collect();
        let state = State::new(&config.vpc_cidrs, &subnets, config.seed)?;
        let fabric = if config.fabric {
            let gateways: Vec<_> = state.subnets.values().map(|s| s.gateway()).collect();
            Some(Fabric::build(&config.name, &config.vpc_cidrs, &gateways)?)
        } else {
            None
        };
        let inner = Arc::new(Inner::new(config, state, fabric));
        let listener = listen::bind(None, loopback())?;
        let endpoint = local_address(&listener)?;
        let (stop, stopped) = watch::channel(false);
        let router = api::router(Arc::clone(&inner), None).merge(admin::router(Arc::clone(&inner)));
        listen::serve(listener, router, stopped);
        Ok(Self {
            inner,
            endpoint,
            stop,
        })
    }

    /// URL of the EC2 endpoint for clients on this machine that are in no node's namespace.
    pub fn ec2_url(&self) -> String {
        format!("http://{}", self.endpoint)
    }

    /// URL of the admin endpoint; append `/journal`, `/counts`, `/faults`, `/nodes`, `/drops`, ...
    pub fn admin_url(&self) -> String {
        format!("http://{}/admin", self.endpoint)
    }

    /// Sets a fault for coming calls.
    pub fn fault(&self, fault: Fault) {
        self.inner.faults.lock().set(fault);
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        self.inner.faults.lock().clear();
    }

    /// Faults that are still set.
    pub fn faults(&self) -> Vec<Fault> {
        self.inner.faults.lock().pending()
    }

    /// All finished calls, IMDS included.
    pub fn journal(&self) -> Vec<Call> {
        self.inner.journal.lock().calls()
    }

    /// Finished EC2 calls by action, whatever their outcome.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.inner.journal.lock().counts()
    }

    /// What EC2 holds to be true at this moment.
    pub fn state(&self) -> Arc<State> {
        self.inner.current()
    }

    /// The ENIs of an instance by device index, attaching and detaching ones included.
    pub fn enis_of(&self, instance: &str) -> Vec<Eni> {
        self.state()
            .enis_of(instance)
            .into_iter()
            .cloned()
            .collect()
    }

    /// The ENIs that are attached to nothing.
    pub fn available_enis(&self) -> Vec<Eni> {
        let state = self.state();
        let available = state.enis.values().filter(|e| e.attachment.is_none());
        available.cloned().collect()
    }

    /// All addresses on the ENIs of an instance, their primary ones included.
    pub fn holdings(&self, instance: &str) -> BTreeSet<Ipv4Addr> {
        let state = self.state();
        let enis = state.enis_of(instance);
        enis.into_iter().flat_map(Eni::addresses).collect()
    }

    /// What the fabric dropped so far. Runs `nft` for some milliseconds; empty without a fabric.
    pub fn drops(&self) -> Result<Vec<Loss>, CloudError> {
        Ok(self.inner.losses()?)
    }

    /// What an ENI carried so far, both ways. Runs `nft` for some milliseconds; empty without a fabric.
    pub fn seen_on(&self, eni: &str) -> Result<Vec<Flow>, CloudError> {
        Ok(self.inner.flows(eni)?)
    }

    /// Path of the namespace that is the internet; its host is `INTERNET_HOST`. None without a fabric.
    pub fn internet(&self) -> Option<&Path> {
        self.inner.fabric.as_ref().map(Fabric::internet)
    }

    /// Path of the namespace that is the VPC's router, with a link for each ENI. None without a fabric.
    pub fn router(&self) -> Option<&Path> {
        self.inner.fabric.as_ref().map(Fabric::router)
    }

    /// Somebody else attaches an ENI with these tags to an instance, at once and on the lowest free device index.
    /// It is in the way of EC2's limits like any other.
    pub async fn create_foreign_eni(
        &self,
        instance: &str,
        tags: &[(&str, &str)],
    ) -> Result<Eni, CloudError> {
        let eni = self.inner.change(|state| {
            let subnet_id = state.instance(instance)?.subnet_id.clone();
            let eni = state.create_eni(&CreateEni {
                subnet_id,
                description: "not of this cluster".to_owned(),
                tags: owned(tags),
                ..CreateEni::default()
            })?;
            let index = state.free_device_index(instance);
            let attachment = state.attach(&eni.id, instance, index, SystemTime::now())?;
            state.plug(&attachment);
            state.finish_attach(&attachment);
            Ok(state.eni(&eni.id)?.clone())
        })?;
        self.inner.rewire(&eni.id).await?;
        Ok(eni)
    }

    /// The VPC's CIDRs are these from now on; the packets' way stays as it is.
    pub fn set_vpc_cidrs(&self, cidrs: &[Ipv4Net]) -> Result<(), CloudError> {
        Ok(self.inner.change(|state| {
            state.vpc_cidrs = cidrs.to_vec();
            Ok(())
        })?)
    }

    /// Somebody makes a security group and gives it to an ENI instead of those that it has; its id.
    pub fn regroup(&self, eni: &str, name: &str) -> Result<String, CloudError> {
        Ok(self.inner.change(|state| {
            let group = state.create_group(name);
            state.set_groups(eni, std::slice::from_ref(&group))?;
            Ok(group)
        })?)
    }

    /// Somebody else takes so many addresses of a subnet (none for the first one) with an ENI that is attached to
    /// nothing. Delete it by the API to give them back.
    pub fn occupy(&self, subnet: Option<&str>, addresses: u32) -> Result<Eni, CloudError> {
        Ok(self.inner.change(|state| {
            let first = state.first_subnet.clone();
            state.create_eni(&CreateEni {
                subnet_id: subnet.map_or(first, str::to_owned),
                description: "somebody else's".to_owned(),
                secondary: addresses
                    .checked_sub(1)
                    .filter(|n| *n > 0)
                    .map(Assign::Count),
                ..CreateEni::default()
            })
        })?)
    }

    /// Somebody made an ENI with these tags in the first subnet, and never attached it.
    pub fn leave_available(&self, tags: &[(&str, &str)]) -> Result<Eni, CloudError> {
        Ok(self.inner.change(|state| {
            state.create_eni(&CreateEni {
                subnet_id: state.first_subnet.clone(),
                description: "never attached".to_owned(),
                tags: owned(tags),
                ..CreateEni::default()
            })
        })?)
    }

    /// Somebody else takes one address of each whole /28 of the first subnet, so that no prefix is left, with an ENI that
    /// is attached to nothing.
    pub fn fragment(&self) -> Result<Eni, CloudError> {
        Ok(self.inner.change(|state| {
            let subnet = state.subnet(&state.first_subnet)?;
            let mut taken = subnet.free_prefixes().map(|block| block.network());
            let request = CreateEni {
                subnet_id: subnet.id.clone(),
                description: "somebody else's".to_owned(),
                primary: taken.next(),
                secondary: Some(Assign::These(taken.collect())),
                ..CreateEni::default()
            };
            state.create_eni(&request)
        })?)
    }

    /// Sets how far instance metadata lies behind from now on; a `Duration` is for both directions.
    pub fn set_imds_lag(&self, lag: impl Into<Lag>) {
        self.inner.lags.lock().imds = lag.into();
    }

    /// Sets how far the Describe calls lie behind from now on; a `Duration` is for both directions.
    pub fn set_describe_lag(&self, lag: impl Into<Lag>) {
        self.inner.lags.lock().describe = lag.into();
    }

    /// Ends the cloud and reports what could not be removed; `Drop` does the same in silence.
    pub async fn shutdown(self) -> Result<(), CloudError> {
        self.stop_serving();
        let inner = Arc::clone(&self.inner);
        let removed = tokio::task::spawn_blocking(move || inner.remove());
        Ok(removed.await.unwrap_or(Ok(()))?)
    }

    fn stop_serving(&self) {
        // Nobody listens if the servers have ended already.
        let _ = self.stop.send(true);
        self.inner.tasks.lock().abort_all();
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.stop_serving();
        if let Err(error) = self.inner.remove() {
            tracing::warn!(%error, "the mock cloud was not removed completely");
        }
    }
}

fn owned(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    tags.iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

/// Any free port of the loopback interface.
fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn local_address(listener: &tokio::net::TcpListener) -> Result<SocketAddr, FabricError> {
    listener.local_addr().map_err(|source| FabricError::Listen {
        address: loopback(),
        source,
    })
}
