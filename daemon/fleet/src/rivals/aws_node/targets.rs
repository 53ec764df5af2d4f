//! How much aws-node wants to hold: its warm targets, and what they make of what a node has. Formulas only, as aws-node's
//! `datastoreTargetState`, `isDatastorePoolTooLow`, `isDatastorePoolTooHigh`, `shouldRemoveExtraENIs` and `getDeletableENI`
//! have them (aws/amazon-vpc-cni-k8s, pkg/ipamd/ipamd.go and datastore/data_store.go, 1.23).

use ipam::address::PREFIX_ADDRESSES;
use ipam::{AddressMode, Layout, Limits, PoolSettings};

use crate::rivals::store::Stock;

/// aws-node's settings on one node. A target of addresses that is 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Targets {
    /// Single addresses or prefixes.
    pub mode: AddressMode,
    /// Secondary addresses, or prefixes, an ENI can have.
    pub slots_per_eni: u32,
    /// ENIs, the primary included: the type's limit or MAX_ENI.
    pub enis: u32,
    /// The node's capacity of pods.
    pub max_pods: u32,
    /// WARM_IP_TARGET.
    pub addresses: u32,
    /// MINIMUM_IP_TARGET.
    pub minimum: u32,
    /// WARM_ENI_TARGET.
    pub warm_enis: u32,
    /// WARM_PREFIX_TARGET.
    pub warm_prefixes: u32,
}

/// No target asks for more than this, far more than any node can have.
const MOST: u32 = 1 << 16;

impl Targets {
    /// What aws-node makes of its variables: WARM_ENI_TARGET is 1 unless set, WARM_PREFIX_TARGET 0 (its manifest sets 1), and
    /// without prefixes on the instance type it goes on with single addresses.
    pub fn of(settings: &PoolSettings, limits: Limits, max_pods: u32) -> Self {
        let targets = settings.targets;
        let allowed = settings.max_eni.filter(|max| *max > 0);
        Self {
            mode: match settings.layout_on(limits) {
                Layout::Prefixes => AddressMode::Prefix,
                Layout::Singles | Layout::Hybrid => AddressMode::Secondary,
            },
            slots_per_eni: limits.slots_per_eni,
            enis: allowed.map_or(limits.enis, |max| max.min(limits.enis)),
            max_pods,
            addresses: targets.addresses.unwrap_or(0).min(MOST),
            minimum: targets.minimum.unwrap_or(0).min(MOST),
            warm_enis: targets.enis.unwrap_or(1).min(MOST),
            warm_prefixes: targets.prefixes.unwrap_or(0).min(MOST),
        }
    }

    fn has_prefixes(&self) -> bool {
        self.mode == AddressMode::Prefix
    }

    fn are_of_addresses(&self) -> bool {
        self.addresses > 0 || self.minimum > 0
    }

    fn addresses_per_eni(&self) -> u32 {
        self.slots_per_eni * self.mode.addresses_per_slot()
    }

    /// How many slots' worth of addresses the targets of addresses lack.
    fn short(&self, stock: Stock) -> u32 {
        let free = self.addresses.saturating_sub(stock.available());
        let short = free.max(self.minimum.saturating_sub(stock.total));
        self.mode.slots_for(short)
    }

    /// Whether more must be had.
    pub fn too_low(&self, stock: Stock) -> bool {
        if stock.total >= self.max_pods {
            return false;
        }
        if self.are_of_addresses() {
            return self.short(stock) > 0;
        }
        let (warm, each) = match self.mode {
            AddressMode::Prefix => (self.warm_prefixes, PREFIX_ADDRESSES),
            AddressMode::Secondary => (self.warm_enis, self.addresses_per_eni()),
        };
        stock.available() < warm * each || (warm == 0 && stock.available() == 0)
    }

    /// How many slots to ask for, if one ENI has room for them all. Without a target of addresses a whole ENI's.
    pub fn wanted(&self, stock: Stock) -> u32 {
        match (self.mode, self.are_of_addresses()) {
            (AddressMode::Secondary, true) => self.short(stock),
            (AddressMode::Secondary, false) => self.slots_per_eni,
            (AddressMode::Prefix, true) => self.short(stock).max(1),
            (AddressMode::Prefix, false) => self.warm_prefixes.saturating_sub(stock.idle).max(1),
        }
    }

    /// How many slots are too many. With a WARM_ENI_TARGET never any: only whole ENIs go.
    pub fn over(&self, stock: Stock) -> u32 {
        match (self.mode, self.are_of_addresses()) {
            (AddressMode::Secondary, true) => {
                let free = stock.available().saturating_sub(self.addresses);
                free.min(stock.total.saturating_sub(self.minimum))
            }
            (AddressMode::Prefix, true) => {
                let warm = self.mode.slots_for(stock.assigned + self.addresses);
                let floor = self.mode.slots_for(self.minimum);
                let beyond = |needed| stock.cidrs.saturating_sub(needed);
                stock.idle.min(beyond(warm)).min(beyond(floor))
            }
            (AddressMode::Prefix, false) => stock.idle.saturating_sub(self.warm_prefixes),
            (AddressMode::Secondary, false) => 0,
        }
    }

    /// Whether it looks for an ENI to free. `unused` is whether any ENI but the primary has no pod.
    pub fn look_for_an_eni_to_free(&self, stock: Stock, unused: bool) -> bool {
        let warm = match self.mode {
            AddressMode::Prefix => self.warm_prefixes,
            AddressMode::Secondary => self.warm_enis,
        };
        self.are_of_addresses()
            || stock.available() >= (warm + 1) * self.addresses_per_eni()
            || (self.has_prefixes() && unused)
    }

    /// Whether the targets hold with what the `others` have.
    pub fn hold_with(&self, others: Stock) -> bool {
        let whole = |target: u32| target.next_multiple_of(self.mode.addresses_per_slot());
        others.available() >= whole(self.addresses)
            && others.total >= whole(self.minimum)
            && (!self.has_prefixes() || others.idle >= self.warm_prefixes)
    }
}
