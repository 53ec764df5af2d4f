//! Why each ENI and each prefix is there.

use ipnet::Ipv4Net;

use super::{Departures, Scene};
use crate::address::Tally;
use crate::eni::{Eni, EniId, Ownership};
use crate::reason::Reason;
use crate::time::Timestamp;

/// One ENI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EniNote {
    /// It.
    pub id: EniId,
    /// Its place on the instance.
    pub device_index: u32,
    /// Its addresses by state.
    pub tally: Tally,
    /// Why it is there.
    pub why: EniWhy,
    /// When it is detached, if nothing happens; none: not within sight.
    pub goes: Option<Timestamp>,
}

/// Why an ENI is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EniWhy {
    /// It is the node's first.
    Primary,
    /// It is somebody else's.
    Foreign,
    /// It is on its way here.
    Arriving {
        /// What stands in its way, if something does.
        trouble: Option<Reason>,
    },
    /// It is on its way back.
    Leaving,
    /// EC2 does not show it.
    NotShown {
        /// How often in a row.
        times: u32,
    },
    /// Pods have, or had lately, addresses of it.
    Pods {
        /// How many.
        pods: u32,
    },
    /// Nobody needs it: it goes.
    Idle,
    /// Its free addresses are kept for the next pods.
    Reserve,
}

/// One prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixNote {
    /// It.
    pub prefix: Ipv4Net,
    /// Its ENI.
    pub eni: EniId,
    /// Its addresses by state; pods that have or had one keep it.
    pub tally: Tally,
    /// When it is given back, if nothing happens; none: not within sight.
    pub goes: Option<Timestamp>,
}

impl Scene<'_> {
    pub(super) fn enis(&self, departures: &Departures) -> Vec<EniNote> {
        let note = |eni: &Eni| {
            let goes = departures.enis.get(&eni.id).copied();
            let tally = self.view.pool.tally(&eni.id);
            EniNote {
                id: eni.id.clone(),
                device_index: eni.device_index,
                tally,
                why: self.eni_why(eni, tally, goes),
                goes,
            }
        };
        let mut enis: Vec<EniNote> = self.view.pool.enis().map(note).collect();
        enis.sort_by_key(|eni| eni.device_index);
        enis
    }

    fn eni_why(&self, eni: &Eni, tally: Tally, goes: Option<Timestamp>) -> EniWhy {
        match eni.ownership {
            Ownership::Primary => return EniWhy::Primary,
            Ownership::Foreign => return EniWhy::Foreign,
            Ownership::Ours => {}
        }
        if eni.is_coming() {
            let troubles = self.view.pool.troubles();
            let trouble = troubles.of_eni(&eni.id).next();
            return EniWhy::Arriving {
                trouble: trouble.map(|trouble| trouble.reason.clone()),
            };
        }
        match eni.missed {
            _ if !eni.is_ready() => EniWhy::Leaving,
            Some(misses) => EniWhy::NotShown {
                times: misses.count,
            },
            None if tally.used() > 0 => EniWhy::Pods { pods: tally.used() },
            None if goes.is_some() => EniWhy::Idle,
            None => EniWhy::Reserve,
        }
    }

    pub(super) fn prefixes(&self, departures: &Departures) -> Vec<PrefixNote> {
        let mut notes = Vec::new();
        for eni in self.view.pool.enis() {
            let whole = departures.enis.get(&eni.id).copied();
            for (prefix, tally) in self.view.pool.prefixes_of(&eni.id) {
                let alone = departures.prefixes.get(&prefix).copied();
                notes.push(PrefixNote {
                    prefix,
                    eni: eni.id.clone(),
                    tally,
                    goes: alone.into_iter().chain(whole).min(),
                });
            }
        }
        notes
    }
}
