//! Whether prefixes or single addresses are asked for: as the operator wishes, as the subnet has them, and, where both may
//! be, whichever fits.

use super::Planner;
use crate::address::{AddressMode, Layout, PREFIX_ADDRESSES};
use crate::policy::Policy;
use crate::reason::Reason;

/// How many addresses are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lack {
    /// For these an ENI or a prefix is worth its price.
    pub must: u32,
    /// These too are taken where they fit.
    pub may: u32,
}

impl Lack {
    /// What is missing still when so many come.
    pub fn less(self, addresses: u32) -> Self {
        Self {
            must: self.must.saturating_sub(addresses),
            may: self.may.saturating_sub(addresses),
        }
    }
}

/// What one call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portion {
    pub mode: AddressMode,
    pub count: u32,
}

impl Portion {
    /// How many addresses an ENI with so many free slots can bring by it, and by calls after it.
    pub fn brings(self, room: u32) -> u32 {
        self.count * self.mode.addresses_per_slot() + room.saturating_sub(self.count)
    }
}

/// Where so few slots are left, pods that come together would fill them before the next call ends.
const FEW_SLOTS: u32 = 6;

/// Single addresses as long as they leave one slot free: for a prefix, which serves sixteen pods of a later burst. Where
/// they do not, or few slots are left and two pods came at once, as few prefixes as it takes for all to fit, or, where a
/// call is dear, as many as serve all at once.
fn mixed(room: u32, lack: Lack, calls_are_dear: bool) -> Portion {
    let singles = |count| Portion {
        mode: AddressMode::Secondary,
        count,
    };
    let together = lack.must >= 2 && room <= FEW_SLOTS;
    if lack.must < room && !together {
        return singles(lack.may.min(room - 1));
    }
    let count = match calls_are_dear {
        true => lack.must.div_ceil(PREFIX_ADDRESSES),
        false => lack
            .must
            .saturating_sub(room)
            .div_ceil(PREFIX_ADDRESSES - 1)
            .max(1),
    };
    Portion {
        mode: AddressMode::Prefix,
        count: count.min(room),
    }
}

impl Planner<'_> {
    /// What the operator wants, as far as the type can have it.
    pub(super) fn wished(&self) -> Layout {
        self.view.settings.layout_on(self.view.limits)
    }

    /// What is asked for now: single addresses, for a while, where the subnet had no free /28; and where it is so full that
    /// prefixes would be a trap, if they need not be.
    pub(super) fn layout(&self) -> Layout {
        let fragmented = self.pool().troubles().fragmented(self.now).is_some();
        match self.wished() {
            Layout::Hybrid if !self.pressure.has_room_for_prefixes() => Layout::Singles,
            _ if fragmented => Layout::Singles,
            wished => wished,
        }
    }

    pub(super) fn policy(&self) -> Policy {
        Policy::of(self.view.settings.targets, self.wished())
    }

    /// What an ENI with so much room, at least one slot, is asked for.
    pub(super) fn portion(&self, room: u32, lack: Lack) -> Portion {
        match self.layout() {
            Layout::Singles => Portion {
                mode: AddressMode::Secondary,
                count: lack.may.min(room),
            },
            // More than must be would be sixteen more.
            Layout::Prefixes => Portion {
                mode: AddressMode::Prefix,
                count: AddressMode::Prefix.slots_for(lack.must).min(room),
            },
            Layout::Hybrid => mixed(room, lack, self.is_congested()),
        }
    }

    /// Says why there are single addresses where prefixes are wanted; and comes back to a target of prefixes, which they
    /// do not meet, as soon as it may.
    pub(super) fn without_prefixes(&mut self) {
        let Some(trouble) = self.pool().troubles().fragmented(self.now) else {
            return;
        };
        if self.wished() != Layout::Prefixes {
            return;
        }
        let wanted = self.policy().reserve(self.need());
        if wanted.urgent(self.balance) > 0 {
            self.wake(trouble.until);
        }
        self.because(Reason::NoContiguousBlock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singles_where_they_fit_and_prefixes_where_they_do_not() {
        use AddressMode::{Prefix, Secondary};
        let cases = [
            // Room, must, may; what is asked for, also where calls are dear.
            ((29, 1, 3), (Secondary, 3), (Secondary, 3)),
            ((9, 8, 8), (Secondary, 8), (Secondary, 8)),
            // The next one of a burst would find them full.
            ((6, 1, 3), (Secondary, 3), (Secondary, 3)),
            ((6, 2, 4), (Prefix, 1), (Prefix, 1)),
            ((7, 2, 4), (Secondary, 4), (Secondary, 4)),
            // The reserve alone is worth no prefix.
            ((9, 7, 12), (Secondary, 8), (Secondary, 8)),
            ((9, 9, 11), (Prefix, 1), (Prefix, 1)),
            ((1, 1, 2), (Prefix, 1), (Prefix, 1)),
            ((9, 24, 27), (Prefix, 1), (Prefix, 2)),
            ((9, 25, 27), (Prefix, 2), (Prefix, 2)),
            ((3, 99, 99), (Prefix, 3), (Prefix, 3)),
        ];
        for ((room, must, may), plain, dear) in cases {
            let lack = Lack { must, may };
            for (portion, dear) in [(plain, false), (dear, true)] {
                let (mode, count) = portion;
                assert_eq!(mixed(room, lack, dear), Portion { mode, count }, "{lack:?}");
            }
        }
    }
}
