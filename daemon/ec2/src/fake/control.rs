//! What a test does to the fake besides calling it: faults, delays, other tenants, and a look at the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use super::cloud::Cloud;
use super::faults::{Call, Fault, Faults};
use super::history::History;
use super::{FakeEc2, FakeSetup, LinkEvent, World, metadata};
use crate::error::{Action, Ec2Error, Kind};
use crate::port::NetworkInterface;

/// An ENI on the instance that somebody else put there.
#[derive(Clone, Debug)]
pub struct ForeignEni {
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// `interface`, `trunk`, `efa-only`, ...
    pub interface_type: String,
    /// Its number on the card.
    pub device_index: u32,
    /// 0 is the default card, whose slots are limited.
    pub network_card: u32,
    /// Secondary addresses.
    pub secondary_addresses: u32,
}

impl FakeEc2 {
    /// A cloud with the instance and its primary ENI (attached, device 0, deleted with the instance).
    ///
    /// # Errors
    /// The subnet is too small for the primary ENI.
    pub fn new(setup: FakeSetup) -> Result<Self, Ec2Error> {
        let secondary = setup.primary_secondary_addresses;
        let mut cloud = Cloud::new(setup);
        let id = cloud.add(secondary, &[], Action::CreateNetworkInterface)?;
        cloud.put_on(&id, 0, 0);
        cloud.arrive(&id);
        if let Some(attachment) = cloud
            .enis
            .get_mut(&id)
            .and_then(|eni| eni.attachment.as_mut())
        {
            attachment.delete_on_termination = true;
        }
        let world = World {
            history: History::new(cloud.enis.clone()),
            cloud,
            faults: Faults::default(),
            calls: Vec::new(),
            listeners: Vec::new(),
            attach_delay: Duration::ZERO,
            detach_delay: Duration::ZERO,
            describe_staleness: Duration::ZERO,
            metadata: metadata::View::default(),
        };
        Ok(Self {
            world: Arc::new(Mutex::new(world)),
        })
    }

    // Time.

    /// How long a call of `action` takes.
    pub fn set_latency(&self, action: Action, latency: Duration) {
        self.world().faults.latency.insert(action, latency);
    }

    /// How long calls take for which nothing else was said; zero at first.
    pub fn set_default_latency(&self, latency: Duration) {
        self.world().faults.default_latency = latency;
    }

    /// Time from the effect of AttachNetworkInterface to the link, the ENI being `Changing`.
    pub fn set_attach_delay(&self, delay: Duration) {
        self.world().attach_delay = delay;
    }

    /// Time from the effect of DetachNetworkInterface to `Available`, the ENI being `Changing`.
    pub fn set_detach_delay(&self, delay: Duration) {
        self.world().detach_delay = delay;
    }

    /// Describe answers with the state of this long ago.
    pub fn set_describe_staleness(&self, age: Duration) {
        self.world().describe_staleness = age;
    }

    /// Instance metadata answers with the state of this long ago.
    pub fn set_metadata_lag(&self, age: Duration) {
        self.world().metadata.lag = age;
    }

    /// The VPC has these CIDRs from now on.
    pub fn set_vpc_cidrs(&self, cidrs: &[ipnet::Ipv4Net]) {
        self.world().cloud.setup.vpc_cidrs = cidrs.to_vec();
    }

    /// Somebody gives the primary ENI these security groups.
    pub fn set_primary_security_groups(&self, groups: &[&str]) {
        let mut world = self.world();
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        world.cloud.setup.security_groups.clone_from(&groups);
        if let Some(primary) = world.cloud.primary().map(|primary| primary.id.clone())
            && let Some(primary) = world.cloud.enis.get_mut(&primary)
        {
            primary.security_groups = groups;
        }
        world.record();
    }

    // Faults. Those of EC2: queued ones first, one a call, then the standing one.

    /// The next `times` calls of `action` fail with `kind`, before any effect.
    pub fn fail_next(&self, action: Action, kind: Kind, times: usize) {
        self.world().faults.queue(action, Fault::Fail(kind), times);
    }

    /// The next `times` calls of `action` have their effect, but the caller gets `Kind::Doubtful`. So it
    /// does when EC2 refused.
    pub fn lose_next_reply(&self, action: Action, times: usize) {
        self.world().faults.queue(action, Fault::LoseReply, times);
    }

    /// All calls of `action` fail with `kind`, until `None` is set.
    pub fn set_failing(&self, action: Action, kind: Option<Kind>) {
        self.world().faults.always(action, kind);
    }

    /// EC2 cannot be reached at all.
    pub fn set_unreachable(&self, unreachable: bool) {
        self.world().faults.unreachable = unreachable;
    }

    /// Instance metadata does not answer at all.
    pub fn set_metadata_away(&self, away: bool) {
        self.world().metadata.away = away;
    }

    /// The next `times` reads of instance metadata fail.
    pub fn fail_next_metadata(&self, times: usize) {
        self.world().metadata.failures = times;
    }

    /// Instance metadata leaves this ENI out.
    pub fn set_hidden_from_metadata(&self, eni: &str, hidden: bool) {
        let view = &mut self.world().metadata.hidden;
        if hidden {
            view.insert(eni.to_owned());
        } else {
            view.remove(eni);
        }
    }

    // Others.

    /// Others take or give back addresses of the subnet until `free` are left; never ours.
    pub fn set_free_in_subnet(&self, free: usize) {
        let mut world = self.world();
        let cloud = &mut world.cloud;
        // From the top, so that the lowest ones, which are given out first, stay the same.
        let excess: Vec<_> = cloud.free_addresses().skip(free).collect();
        cloud.elsewhere.extend(excess);
        while cloud.free_addresses().count() < free && cloud.elsewhere.pop_first().is_some() {}
    }

    /// Others take one address of each whole /28 of the subnet, so that no prefix is to be had, or give those back.
    pub fn set_fragmented(&self, fragmented: bool) {
        let cloud = &mut self.world().cloud;
        let first = cloud.setup.subnet.subnets(28).into_iter().flatten();
        let firsts: BTreeSet<Ipv4Addr> = first.map(|block| block.network()).collect();
        if fragmented {
            let free: Vec<_> = cloud.free_addresses().collect();
            let taken = free.into_iter().filter(|free| firsts.contains(free));
            cloud.elsewhere.extend(taken);
        } else {
            cloud.elsewhere.retain(|address| !firsts.contains(address));
        }
    }

    /// Somebody else attaches an ENI, unchecked by limits.
    ///
    /// # Errors
    /// The subnet has no address for it.
    pub fn attach_foreign(&self, foreign: ForeignEni) -> Result<String, Ec2Error> {
        let mut world = self.world();
        let action = Action::CreateNetworkInterface;
        let id = world.cloud.add(foreign.secondary_addresses, &[], action)?;
        if let Some(eni) = world.cloud.enis.get_mut(&id) {
            eni.tags = foreign.tags;
            eni.interface_type = foreign.interface_type;
        }
        world
            .cloud
            .put_on(&id, foreign.device_index, foreign.network_card);
        world.arrive(&id);
        Ok(id)
    }

    /// An ENI that lies around, `available`.
    ///
    /// # Errors
    /// The subnet has no address for it.
    pub fn leave_available(
        &self,
        tags: BTreeMap<String, String>,
        secondary_addresses: u32,
    ) -> Result<String, Ec2Error> {
        let mut world = self.world();
        let action = Action::CreateNetworkInterface;
        let id = world.cloud.add(secondary_addresses, &[], action)?;
        if let Some(eni) = world.cloud.enis.get_mut(&id) {
            eni.tags = tags;
        }
        world.record();
        Ok(id)
    }

    /// Somebody else changes an ENI; answers whether it is there.
    pub fn alter(&self, eni: &str, change: impl FnOnce(&mut NetworkInterface)) -> bool {
        let mut world = self.world();
        let found = world.cloud.enis.get_mut(eni).map(change).is_some();
        world.record();
        found
    }

    /// Somebody else detaches (by force) and deletes an ENI.
    pub fn vanish(&self, eni: &str) {
        let mut world = self.world();
        world.leave(eni);
        world.cloud.enis.remove(eni);
        world.record();
    }

    // The truth.

    /// Links coming and going from now on. The primary's is not told.
    pub fn links(&self) -> UnboundedReceiver<LinkEvent> {
        let (sender, receiver) = unbounded_channel();
        self.world().listeners.push(sender);
        receiver
    }

    /// All ENIs as they are now, by id.
    pub fn holdings(&self) -> BTreeMap<String, NetworkInterface> {
        self.world().cloud.enis.clone()
    }

    /// Id of the primary ENI.
    pub fn primary(&self) -> Option<String> {
        self.world().cloud.primary().map(|eni| eni.id.clone())
    }

    /// Whether EC2 says that the ENI has the address now, as primary or secondary one or in a prefix.
    pub fn holds(&self, eni: &str, address: Ipv4Addr) -> bool {
        self.world().cloud.enis.get(eni).is_some_and(|eni| {
            eni.primary_address == Some(address)
                || eni.secondary_addresses.contains(&address)
                || eni.prefixes.iter().any(|prefix| prefix.contains(&address))
        })
    }

    /// Free addresses of the subnet.
    pub fn free_in_subnet(&self) -> usize {
        self.world().cloud.free_addresses().count()
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.world().calls.clone()
    }

    /// How many calls of `action` there were.
    pub fn count(&self, action: Action) -> usize {
        self.world()
            .calls
            .iter()
            .filter(|call| call.action == action)
            .count()
    }

    /// When the last call was made, for tests that the node is quiet.
    pub fn last_call(&self) -> Option<Instant> {
        self.world().calls.last().map(|call| call.at)
    }
}
