//! A secondary address of an ENI and its life; single ones, and those that come by the /28.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::attachment::AttachmentKey;
use crate::eni::EniId;
use crate::time::Timestamp;

/// How an address came to the ENI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Block {
    /// By itself; it takes one of the ENI's slots.
    Single,
    /// As part of a delegated /28, which takes one slot for all sixteen.
    Prefix(Ipv4Net),
    /// Found in the kernel with a pod: the next Describe tells.
    Unknown,
}

/// How many addresses a delegated prefix has: all sixteen of a /28, the first and the last too (EC2 User Guide, "Prefix
/// delegation").
pub const PREFIX_ADDRESSES: u32 = 16;

/// What is asked of EC2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressMode {
    /// Single addresses.
    #[default]
    Secondary,
    /// /28 prefixes.
    Prefix,
}

impl AddressMode {
    /// How many addresses one slot of an ENI holds.
    pub const fn addresses_per_slot(self) -> u32 {
        match self {
            Self::Secondary => 1,
            Self::Prefix => PREFIX_ADDRESSES,
        }
    }

    /// How many slots it takes to hold `addresses`.
    pub const fn slots_for(self, addresses: u32) -> u32 {
        addresses.div_ceil(self.addresses_per_slot())
    }
}

impl fmt::Display for AddressMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secondary => "addresses",
            Self::Prefix => "prefixes",
        })
    }
}

/// What an ENI's slots are filled with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Single addresses only.
    Singles,
    /// /28 prefixes only, while the subnet has any.
    Prefixes,
    /// Single addresses as long as they fit, and prefixes where they do not, or where they save calls.
    #[default]
    Hybrid,
}

impl Layout {
    /// How many addresses one slot of an ENI may hold.
    pub const fn addresses_per_slot(self) -> u32 {
        match self {
            Self::Singles => 1,
            Self::Prefixes | Self::Hybrid => PREFIX_ADDRESSES,
        }
    }
}

/// The addresses that EC2 names, by themselves or by their prefixes, and how each came.
pub fn named<'a>(
    addresses: &'a [Ipv4Addr],
    prefixes: &'a [Ipv4Net],
) -> impl Iterator<Item = (Ipv4Addr, Block)> + 'a {
    let singles = addresses.iter().map(|ip| (*ip, Block::Single));
    let members = prefixes.iter().flat_map(|prefix| {
        let first = prefix.network().to_bits();
        (first..first.saturating_add(PREFIX_ADDRESSES))
            .map(|bits| (Ipv4Addr::from_bits(bits), Block::Prefix(*prefix)))
    });
    singles.chain(members)
}

/// Where an address is in its life: Free → Assigned → Cooling → Free, and from Free back to EC2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressState {
    /// The next pod may have it.
    Free {
        /// Since when; the longest free goes first.
        since: Timestamp,
    },
    /// A pod has it.
    Assigned {
        /// Which. Not written: the attachment names its address.
        #[serde(skip)]
        to: AttachmentKey,
    },
    /// A pod had it until lately; nobody may have it before `until`.
    Cooling {
        /// End of the cooldown.
        until: Timestamp,
    },
    /// EC2 shows it on our ENI, but no answer to a call of ours named it. It becomes free when it is still there
    /// [`QUARANTINE`] later and nothing in the kernel uses it.
    Quarantined {
        /// When it was first seen.
        since: Timestamp,
    },
    /// Asked back by EC2's name for it; the call is on its way.
    Unassigning,
    /// Given back. Remembered for [`GONE_MEMORY`], so that a stale Describe does not bring it back to life.
    Gone {
        /// When.
        since: Timestamp,
    },
}

/// How long an address that only Describe knows must stay there before a pod may have it.
pub const QUARANTINE: Duration = Duration::from_secs(30);

/// How long an address that was given back is remembered: well above the staleness seen in Describe answers, which EC2
/// bounds nowhere ("Eventual consistency in the Amazon EC2 API"; seconds are usual).
pub const GONE_MEMORY: Duration = Duration::from_secs(120);

/// How often, and for how long, Describe must have missed an address or ENI of ours before it is believed.
pub const MISSES: (u32, Duration) = (3, Duration::from_secs(120));

/// How often in a row Describe did not show something of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misses {
    /// The first time.
    pub since: Timestamp,
    /// How often.
    pub count: u32,
}

impl Misses {
    /// One more miss.
    #[must_use]
    pub fn more(missed: Option<Self>, now: Timestamp) -> Self {
        missed.map_or(
            Self {
                since: now,
                count: 1,
            },
            |m| Self {
                count: m.count.saturating_add(1),
                ..m
            },
        )
    }

    /// Whether Describe is to be believed by now.
    pub fn convincing(self, now: Timestamp) -> bool {
        self.count >= MISSES.0 && now.since(self.since) >= MISSES.1
    }
}

/// A secondary address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The ENI that has it.
    pub eni: EniId,
    /// How it came there.
    pub block: Block,
    /// Where it is in its life.
    pub state: AddressState,
    /// When we learned of it; a Describe that began earlier says nothing about it.
    pub learned: Timestamp,
    /// Set while Describe does not show it: then no new pod gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Misses>,
}

impl Address {
    /// Whether the ENI still has it, as far as we know.
    pub fn is_held(&self) -> bool {
        !matches!(self.state, AddressState::Gone { .. })
    }

    /// Whether the next pod may have it.
    pub fn is_free(&self) -> bool {
        matches!(self.state, AddressState::Free { .. }) && self.missed.is_none()
    }

    /// Free since, if free.
    pub fn free_since(&self) -> Option<Timestamp> {
        match self.state {
            AddressState::Free { since } if self.missed.is_none() => Some(since),
            _ => None,
        }
    }
}

/// How many addresses are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// A pod may have it next.
    pub free: u32,
    /// A pod has it.
    pub assigned: u32,
    /// Resting after a pod.
    pub cooling: u32,
    /// Resting because only EC2 knows it, or because EC2 does not show it.
    pub quarantined: u32,
    /// On its way back to EC2.
    pub unassigning: u32,
}

impl Tally {
    /// Nothing.
    pub const NONE: Self = Self {
        free: 0,
        assigned: 0,
        cooling: 0,
        quarantined: 0,
        unassigning: 0,
    };

    /// Counts `addresses`.
    pub fn of<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> Self {
        let mut tally = Self::NONE;
        addresses
            .into_iter()
            .for_each(|address| tally.count(address));
        tally
    }

    /// Counts one more.
    pub fn count(&mut self, address: &Address) {
        if let Some(place) = self.place(address) {
            *place += 1;
        }
    }

    /// Counts one less, which was counted as it is.
    pub fn discount(&mut self, address: &Address) {
        if let Some(place) = self.place(address) {
            *place -= 1;
        }
    }

    fn place(&mut self, address: &Address) -> Option<&mut u32> {
        Some(match address.state {
            AddressState::Free { .. } if address.missed.is_none() => &mut self.free,
            AddressState::Free { .. } | AddressState::Quarantined { .. } => &mut self.quarantined,
            AddressState::Assigned { .. } => &mut self.assigned,
            AddressState::Cooling { .. } => &mut self.cooling,
            AddressState::Unassigning => &mut self.unassigning,
            AddressState::Gone { .. } => return None,
        })
    }

    /// All that EC2 has given.
    pub fn held(self) -> u32 {
        self.free + self.assigned + self.cooling + self.quarantined + self.unassigning
    }

    /// What pods have, or had so lately that nobody else may have it.
    pub fn used(self) -> u32 {
        self.assigned + self.cooling
    }
}
