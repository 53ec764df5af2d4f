//! Nodes: launched into a network namespace, or known to the API only; terminated with their ENIs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use ipnet::Ipv4Net;
use tokio::sync::watch;

use super::inner::{Inner, Machine};
use super::{Cloud, CloudError, local_address, loopback};
use crate::mock::config::NodeSpec;
use crate::mock::fabric::{EC2_ADDRESS, FabricError, IMDS_ADDRESS, Netns, SharedNetns};
use crate::mock::state::Termination;
use crate::mock::{api, imds, listen};

/// A machine that was launched.
#[derive(Clone, Debug)]
pub struct Node {
    /// `i-...`.
    pub instance_id: String,
    /// For example `m5.large`.
    pub instance_type: String,
    /// The namespace that it is.
    pub netns: Option<PathBuf>,
    /// Id of the primary ENI, which is `eth0`.
    pub primary_eni: String,
    /// MAC of the primary ENI.
    pub mac: String,
    /// Primary address of the primary ENI.
    pub address: Ipv4Addr,
    /// Its subnet.
    pub subnet: Ipv4Net,
    /// The VPC router in its subnet.
    pub gateway: Ipv4Addr,
    /// Where it finds the EC2 API.
    pub ec2_url: String,
    /// Where it finds instance metadata.
    pub imds_url: String,
}

impl Cloud {
    /// Launches a node. In a namespace it gets a configured `eth0`, EC2 at 169.254.169.253 and instance metadata at
    /// 169.254.169.254; without one both answer on loopback ports of this machine. IP forwarding, as the image or
    /// kubelet would switch it on, is left to the caller.
    pub async fn add_node(&self, spec: NodeSpec) -> Result<Node, CloudError> {
        let netns = self.open_netns(&spec)?;
        let instance = self.inner.change(|state| {
            state.launch(
                &spec.instance_type,
                spec.subnet.as_deref(),
                SystemTime::now(),
            )
        })?;
        let node = self.bring_up(&instance, netns).await;
        if node.is_err() {
            // What did come up goes again; the first error is the one that tells.
            let _ = self.terminate_node(&instance).await;
        }
        node
    }

    fn open_netns(&self, spec: &NodeSpec) -> Result<Option<SharedNetns>, FabricError> {
        match &spec.netns {
            None => Ok(None),
            Some(path) if self.inner.fabric.is_none() => Err(FabricError::NoFabric {
                netns: path.clone(),
            }),
            Some(path) => Ok(Some(Arc::new(Netns::open(path)?))),
        }
    }

    async fn bring_up(
        &self,
        instance: &str,
        netns: Option<SharedNetns>,
    ) -> Result<Node, CloudError> {
        let (stop, stopped) = watch::channel(false);
        let machine = Machine {
            netns: netns.clone(),
            stop,
        };
        self.inner
            .machines
            .lock()
            .insert(instance.to_owned(), machine);
        if let (Some(fabric), Some(netns)) = (&self.inner.fabric, &netns) {
            fabric.prepare_node(netns)?;
        }
        let (ec2, imds) = match &netns {
            Some(_) => (
                SocketAddr::from((EC2_ADDRESS, 80)),
                SocketAddr::from((IMDS_ADDRESS, 80)),
            ),
            None => (loopback(), loopback()),
        };
        let inner = &self.inner;
        let api = api::router(Arc::clone(inner), Some(instance.to_owned()));
        let metadata = imds::router(Arc::clone(inner), instance.to_owned());
        let ec2_url = open(netns.as_deref(), ec2, api, stopped.clone())?;
        let imds_url = open(netns.as_deref(), imds, metadata, stopped)?;
        let node = self.describe(instance, netns.as_deref(), ec2_url, imds_url)?;
        inner.rewire(&node.primary_eni).await?;
        Ok(node)
    }

    fn describe(
        &self,
        instance: &str,
        netns: Option<&Netns>,
        ec2_url: String,
        imds_url: String,
    ) -> Result<Node, CloudError> {
        let state = self.state();
        let machine = state.instance(instance)?;
        let subnet = state.subnet(&machine.subnet_id)?;
        let enis = state.enis_of(instance);
        let primary = enis.first().ok_or_else(|| {
            crate::mock::Code::IncorrectState.because(format!("{instance} has no primary ENI"))
        })?;
        Ok(Node {
            instance_id: machine.id.clone(),
            instance_type: machine.instance_type.clone(),
            netns: netns.map(|n| n.path().to_owned()),
            primary_eni: primary.id.clone(),
            mac: primary.mac.clone(),
            address: primary.primary,
            subnet: subnet.cidr,
            gateway: subnet.gateway(),
            ec2_url,
            imds_url,
        })
    }

    /// Terminates a node: its links go, its ENIs are deleted or left `available` as delete-on-termination says, and
    /// its two endpoints close. The namespace stays: it is the caller's.
    pub async fn terminate_node(&self, instance: &str) -> Result<Termination, CloudError> {
        let enis = self.enis_of(instance);
        let done = self.inner.change(|state| state.terminate(instance))?;
        let mut result = Ok(());
        for eni in &enis {
            result = result.and(self.inner.rewire(&eni.id).await);
        }
        let machine = self.inner.machines.lock().remove(instance);
        if let Some(machine) = machine {
            result = result.and(self.inner.shut_down(machine));
        }
        result?;
        Ok(done)
    }
}

impl Inner {
    /// Closes a machine's endpoints and takes their addresses off its loopback device.
    fn shut_down(&self, machine: Machine) -> Result<(), FabricError> {
        // Nobody listens if the servers have ended already.
        let _ = machine.stop.send(true);
        match (&self.fabric, &machine.netns) {
            (Some(fabric), Some(netns)) => fabric.abandon_node(netns),
            _ => Ok(()),
        }
    }

    /// Shuts all machines down and removes the fabric. Cleans what it can and reports the first error.
    pub(super) fn remove(&self) -> Result<(), FabricError> {
        let machines = std::mem::take(&mut *self.machines.lock());
        let mut results: Vec<_> = machines.into_values().map(|m| self.shut_down(m)).collect();
        if let Some(fabric) = &self.fabric {
            results.push(fabric.remove());
        }
        results.into_iter().collect()
    }
}

/// Opens and serves an endpoint; answers its URL.
fn open(
    netns: Option<&Netns>,
    address: SocketAddr,
    router: Router,
    stopped: watch::Receiver<bool>,
) -> Result<String, FabricError> {
    let listener = listen::bind(netns, address)?;
    let address = local_address(&listener)?;
    listen::serve(listener, router, stopped);
    Ok(match address.port() {
        80 => format!("http://{}", address.ip()),
        port => format!("http://{}:{port}", address.ip()),
    })
}
