//! What the tests read of `berthd status --json`: the document as its users see it, not the daemon's own type.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Deserialize;

/// The document, as far as the tests need it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// The ENIs that the daemon knows.
    pub enis: Vec<EniStatus>,
    /// Secondary addresses over all ENIs.
    pub addresses: Counts,
    /// The attachments.
    pub attachments: Vec<AttachmentStatus>,
    /// Calls in flight or of unknown outcome.
    pub intents: Vec<String>,
}

/// Addresses by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// All that EC2 has given for pods.
    pub held: u32,
    /// With a pod.
    pub used: u32,
    /// Freed a short while ago.
    pub cooling: u32,
    /// For the next pod.
    pub free: u32,
}

/// One ENI.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct EniStatus {
    /// `eni-...`.
    pub id: String,
    /// Device index; 0 is the primary ENI.
    pub device_index: u32,
    /// `ready` when pods can use it.
    pub state: String,
    /// Its own address.
    pub primary_address: Option<Ipv4Addr>,
    /// Its secondary addresses by state.
    pub addresses: Counts,
    /// Its secondary addresses with their states.
    pub held: BTreeMap<Ipv4Addr, String>,
}

/// One attachment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AttachmentStatus {
    /// The sandbox.
    pub container_id: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Id of the ENI that has the address.
    pub eni: String,
}

impl Status {
    /// Every secondary address with the ENI that holds it.
    #[must_use]
    pub fn holdings(&self) -> BTreeMap<Ipv4Addr, String> {
        let of_eni = |eni: &EniStatus| -> Vec<(Ipv4Addr, String)> {
            eni.held
                .keys()
                .map(|address| (*address, eni.id.clone()))
                .collect()
        };
        self.enis.iter().flat_map(of_eni).collect()
    }

    /// The ENI that carries the pod with `address`.
    #[must_use]
    pub fn eni_of(&self, address: Ipv4Addr) -> Option<&EniStatus> {
        let attachment = self
            .attachments
            .iter()
            .find(|attachment| attachment.address == address)?;
        self.enis.iter().find(|eni| eni.id == attachment.eni)
    }
}
