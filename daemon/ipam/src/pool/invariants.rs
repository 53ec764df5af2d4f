//! What must always hold, and what to call it when an event says otherwise.

use std::net::Ipv4Addr;

use crate::action::IntentId;
use crate::address::AddressState;
use crate::attachment::AttachmentKey;
use crate::eni::EniId;
use crate::pool::Pool;

/// A contradiction between an event and the state, or within the state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// No attachment has this key.
    #[error("no attachment {0}")]
    NoAttachment(AttachmentKey),
    /// One has it already.
    #[error("attachment {0} exists")]
    AttachmentExists(AttachmentKey),
    /// An address that must be free is not.
    #[error("address {0} is not free")]
    NotFree(Ipv4Addr),
    /// An address is not in the pool.
    #[error("no address {0}")]
    NoAddress(Ipv4Addr),
    /// An ENI is not in the pool.
    #[error("no ENI {0}")]
    NoEni(EniId),
    /// An ENI stands twice in a snapshot.
    #[error("an ENI is there twice")]
    EniTwice,
    /// An action is not under way.
    #[error("no action {} is under way", .0.0)]
    NoIntent(IntentId),
    /// An action in a snapshot has a name that no node gives.
    #[error("no action can be called {}", .0.0)]
    IntentName(IntentId),
    /// An outcome does not belong to its action.
    #[error("outcome of action {} does not belong to it", .0.0)]
    WrongOutcome(IntentId),
    /// EC2 named an address for one ENI that a pod has from another.
    #[error("EC2 put {address} on {eni}, but a pod has it from another ENI")]
    HeldElsewhere {
        /// The address.
        address: Ipv4Addr,
        /// The ENI that EC2 named.
        eni: EniId,
    },
    /// An attachment and its address disagree.
    #[error("attachment {key} and address {address} do not belong to each other")]
    Ownership {
        /// The attachment.
        key: AttachmentKey,
        /// The address.
        address: Ipv4Addr,
    },
}

impl Pool {
    /// Checks that every attachment has its own address and every assigned address its attachment.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn check(&self) -> Result<(), Violation> {
        for attachment in self.attachments.values() {
            let address = self
                .addresses
                .get(attachment.address)
                .ok_or(Violation::NoAddress(attachment.address))?;
            let ours =
                matches!(&address.state, AddressState::Assigned { to } if *to == attachment.key);
            if !ours || address.eni != attachment.eni {
                return Err(Violation::Ownership {
                    key: attachment.key.clone(),
                    address: attachment.address,
                });
            }
        }
        for (ip, address) in self.addresses.iter() {
            if let AddressState::Assigned { to } = &address.state
                && self.attachments.get(to).is_none_or(|a| a.address != ip)
            {
                return Err(Violation::Ownership {
                    key: to.clone(),
                    address: ip,
                });
            }
        }
        match self
            .intents
            .values()
            .filter_map(|i| i.action.eni())
            .find(|e| !self.enis.contains_key(e))
        {
            Some(eni) => Err(Violation::NoEni(eni.clone())),
            None => Ok(()),
        }
    }
}
