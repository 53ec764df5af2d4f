//! An EC2 with one instance, in memory, for tests under paused time: it keeps state, takes time, lags and fails.
//!
//! It enforces what EC2 enforces (limits, subnet capacity, states, client tokens) and answers in EC2's error codes,
//! classified by the same function as the real ones. It does not route packets; whoever needs links subscribes to
//! [`LinkEvent`]s. It never decides on its own: each fault is asked for by the test.

mod cloud;
mod control;
mod faults;
mod history;
mod metadata;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ipnet::Ipv4Net;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::error::{Action, Ec2Error, Kind};
use crate::port::{
    CreateNetworkInterface, Describe, Ec2, InstanceLimits, NetworkInterface, NicStatus,
};
use cloud::{Cloud, refuse};
pub use control::ForeignEni;
pub use faults::Call;
use faults::{Fault, Faults, failure};
use history::History;

/// What the instance and its subnet are like.
#[derive(Clone, Debug)]
pub struct FakeSetup {
    /// The one instance.
    pub instance_id: String,
    /// Its type, for metadata and `DescribeInstanceTypes`.
    pub instance_type: String,
    /// What is enforced, and answered for that type.
    pub limits: InstanceLimits,
    /// The one subnet.
    pub subnet_id: String,
    /// Its CIDR; the first four addresses and the last are EC2's.
    pub subnet: Ipv4Net,
    /// All CIDRs of the VPC.
    pub vpc_cidrs: Vec<Ipv4Net>,
    /// Security groups of the primary ENI.
    pub security_groups: Vec<String>,
    /// Secondary addresses that the primary ENI has from the start.
    pub primary_secondary_addresses: u32,
}

impl Default for FakeSetup {
    /// An m5.large (3 ENIs of 10 addresses) in 10.0.0.0/24.
    fn default() -> Self {
        let subnet = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 24);
        Self {
            instance_id: "i-0be27000000000001".to_owned(),
            instance_type: "m5.large".to_owned(),
            limits: InstanceLimits {
                enis: 3,
                ipv4_per_eni: 10,
                prefixes: true,
            },
            subnet_id: "subnet-0be27000000000001".to_owned(),
            subnet,
            vpc_cidrs: vec![Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 16)],
            security_groups: vec!["sg-0be27000000000001".to_owned()],
            primary_secondary_addresses: 0,
        }
    }
}

/// A change that the machine would see as a network link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The ENI is on the instance: a device with this MAC is there.
    Appeared {
        /// `eni-...`.
        eni: String,
        /// Lower case with colons.
        mac: String,
        /// Its number on the instance.
        device_index: u32,
    },
    /// The ENI left the instance.
    Gone {
        /// `eni-...`.
        eni: String,
        /// Lower case with colons.
        mac: String,
    },
}

/// The fake. Clones are handles to the same cloud.
#[derive(Clone)]
pub struct FakeEc2 {
    world: Arc<Mutex<World>>,
}

struct World {
    cloud: Cloud,
    history: History,
    faults: Faults,
    calls: Vec<Call>,
    listeners: Vec<UnboundedSender<LinkEvent>>,
    attach_delay: Duration,
    detach_delay: Duration,
    describe_staleness: Duration,
    metadata: metadata::View,
}

impl World {
    fn record(&mut self) {
        self.history.record(Instant::now(), self.cloud.enis.clone());
    }

    fn tell(&mut self, event: &LinkEvent) {
        self.listeners
            .retain(|listener| listener.send(event.clone()).is_ok());
    }

    fn arrive(&mut self, eni: &str) {
        let Some(eni) = self.cloud.arrive(eni) else {
            return;
        };
        let event = LinkEvent::Appeared {
            eni: eni.id.clone(),
            mac: eni.mac.clone(),
            device_index: eni.attachment.as_ref().map_or(0, |at| at.device_index),
        };
        self.record();
        self.tell(&event);
    }

    fn leave(&mut self, eni: &str) {
        let Some(eni) = self.cloud.leave(eni) else {
            return;
        };
        let event = LinkEvent::Gone {
            eni: eni.id.clone(),
            mac: eni.mac.clone(),
        };
        self.record();
        self.tell(&event);
    }
}

impl FakeEc2 {
    fn world(&self) -> MutexGuard<'_, World> {
        // A test that panicked with the lock held has failed already; the others may go on.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: logged, delayed, failed if that was asked for; the effect is in the middle of the latency, so that a
    /// caller that gives up may or may not have caused it, as on a wire.
    async fn call<T>(
        &self,
        action: Action,
        target: String,
        effect: impl FnOnce(&mut World) -> Result<T, Ec2Error> + Send,
    ) -> Result<T, Ec2Error> {
        let (number, fault, half) = {
            let mut world = self.world();
            world.calls.push(Call {
                at: Instant::now(),
                action,
                target,
                outcome: None,
            });
            let half = world.faults.latency(action) / 2;
            (world.calls.len() - 1, world.faults.take(action), half)
        };
        pause(half).await;
        let answer = match fault {
            Some(Fault::Fail(kind)) => Err(failure(action, kind)),
            Some(Fault::LoseReply) => {
                // Also EC2's refusal is lost: the caller cannot know.
                let _unheard = effect(&mut self.world());
                Err(failure(action, Kind::Doubtful))
            }
            None => effect(&mut self.world()),
        };
        pause(half).await;
        let outcome = answer.as_ref().map(|_| ()).map_err(|error| error.kind);
        if let Some(call) = self.world().calls.get_mut(number) {
            call.outcome = Some(outcome);
        }
        answer
    }

    /// Runs `end` after `delay`, at once if that is zero.
    fn after(
        &self,
        delay: Duration,
        world: &mut World,
        end: impl FnOnce(&mut World) + Send + 'static,
    ) {
        if delay.is_zero() {
            end(world);
            return;
        }
        let fake = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            end(&mut fake.world());
        });
    }
}

async fn pause(time: Duration) {
    if time.is_zero() {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(time).await;
    }
}

#[async_trait]
impl Ec2 for FakeEc2 {
    async fn create_network_interface(
        &self,
        request: &CreateNetworkInterface,
    ) -> Result<NetworkInterface, Ec2Error> {
        let target = format!(
            "{} +{} +{}/28",
            request.client_token, request.secondary_addresses, request.prefixes
        );
        self.call(Action::CreateNetworkInterface, target, |world| {
            let eni = world.cloud.create(request)?;
            world.record();
            Ok(eni)
        })
        .await
    }

    async fn attach_network_interface(
        &self,
        eni: &str,
        instance: &str,
        device_index: u32,
    ) -> Result<String, Ec2Error> {
        let target = format!("{eni} at {device_index}");
        self.call(Action::AttachNetworkInterface, target, |world| {
            let attachment = world.cloud.attach(eni, instance, device_index)?;
            world.record();
            let id = eni.to_owned();
            self.after(world.attach_delay, world, move |world| world.arrive(&id));
            Ok(attachment)
        })
        .await
    }

    async fn set_delete_on_termination(&self, eni: &str, attachment: &str) -> Result<(), Ec2Error> {
        let target = format!("{eni} {attachment}");
        self.call(Action::ModifyNetworkInterfaceAttribute, target, |world| {
            world.cloud.set_delete_on_termination(eni, attachment)?;
            world.record();
            Ok(())
        })
        .await
    }

    async fn set_security_groups(&self, eni: &str, groups: &[String]) -> Result<(), Ec2Error> {
        let target = format!("{eni} {}", groups.join(","));
        self.call(Action::ModifyNetworkInterfaceAttribute, target, |world| {
            world.cloud.set_security_groups(eni, groups)?;
            world.record();
            Ok(())
        })
        .await
    }

    async fn assign_private_ip_addresses(
        &self,
        eni: &str,
        count: u32,
    ) -> Result<Vec<Ipv4Addr>, Ec2Error> {
        let target = format!("{eni} +{count}");
        self.call(Action::AssignPrivateIpAddresses, target, |world| {
            let fresh = world.cloud.assign(eni, count)?;
            world.record();
            Ok(fresh)
        })
        .await
    }

    async fn assign_ipv4_prefixes(&self, eni: &str, count: u32) -> Result<Vec<Ipv4Net>, Ec2Error> {
        let target = format!("{eni} +{count}/28");
        self.call(Action::AssignPrivateIpAddresses, target, |world| {
            let fresh = world.cloud.assign_prefixes(eni, count)?;
            world.record();
            Ok(fresh)
        })
        .await
    }

    async fn unassign_private_ip_addresses(
        &self,
        eni: &str,
        addresses: &[Ipv4Addr],
        prefixes: &[Ipv4Net],
    ) -> Result<(), Ec2Error> {
        let target = format!("{eni} -{addresses:?} -{prefixes:?}");
        self.call(Action::UnassignPrivateIpAddresses, target, |world| {
            world.cloud.unassign(eni, addresses, prefixes)?;
            world.record();
            Ok(())
        })
        .await
    }

    async fn detach_network_interface(&self, attachment: &str) -> Result<(), Ec2Error> {
        let target = attachment.to_owned();
        self.call(Action::DetachNetworkInterface, target, |world| {
            let eni = world.cloud.detach(attachment)?;
            world.record();
            self.after(world.detach_delay, world, move |world| world.leave(&eni));
            Ok(())
        })
        .await
    }

    async fn delete_network_interface(&self, eni: &str) -> Result<(), Ec2Error> {
        self.call(Action::DeleteNetworkInterface, eni.to_owned(), |world| {
            world.cloud.delete(eni)?;
            world.record();
            Ok(())
        })
        .await
    }

    async fn describe_network_interfaces(
        &self,
        what: &Describe,
    ) -> Result<Vec<NetworkInterface>, Ec2Error> {
        let action = Action::DescribeNetworkInterfaces;
        self.call(action, format!("{what:?}"), |world| {
            let seen = world.history.seen(Instant::now(), world.describe_staleness);
            if let Describe::Ids(ids) = what
                && let Some(missing) = ids.iter().find(|id| !seen.contains_key(*id))
            {
                return Err(refuse(
                    action,
                    "InvalidNetworkInterfaceID.NotFound",
                    missing,
                ));
            }
            Ok(seen
                .values()
                .filter(|eni| matches(what, eni))
                .cloned()
                .collect())
        })
        .await
    }

    async fn describe_instance_type(
        &self,
        instance_type: &str,
    ) -> Result<InstanceLimits, Ec2Error> {
        let action = Action::DescribeInstanceTypes;
        self.call(action, instance_type.to_owned(), |world| {
            if instance_type == world.cloud.setup.instance_type {
                return Ok(world.cloud.setup.limits);
            }
            crate::limits::built_in(instance_type)
                .ok_or_else(|| refuse(action, "InvalidInstanceType", instance_type))
        })
        .await
    }

    async fn describe_subnet(&self, subnet: &str) -> Result<u32, Ec2Error> {
        let action = Action::DescribeSubnets;
        self.call(action, subnet.to_owned(), |world| {
            if subnet != world.cloud.setup.subnet_id {
                return Err(refuse(action, "InvalidSubnetID.NotFound", subnet));
            }
            Ok(u32::try_from(world.cloud.free_addresses().count()).unwrap_or(u32::MAX))
        })
        .await
    }
}

fn matches(what: &Describe, eni: &NetworkInterface) -> bool {
    match what {
        Describe::AttachedTo(instance) => eni
            .attachment
            .as_ref()
            .is_some_and(|at| at.instance_id == *instance),
        Describe::AvailableWithTag { key, value } => {
            eni.status == NicStatus::Available && eni.tags.get(key) == Some(value)
        }
        Describe::Ids(ids) => ids.iter().collect::<BTreeSet<_>>().contains(&eni.id),
    }
}
