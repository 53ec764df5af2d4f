//! The actor's state as it is written: taken on the actor, which costs it little, and encoded by who writes it.

use std::sync::{Arc, Mutex, PoisonError};

use ipam::{Address, Attachment};
use serde_json::value::{RawValue, to_raw_value};

use super::startup::{Persisted, SCHEMA};
use super::{Actor, translate};
use crate::store::Document;
use crate::store::checkpoint::{CheckpointError, encode};
use crate::store::fragments::Fragments;

/// The JSON of what has not changed since it was last written.
#[derive(Debug)]
pub(super) struct Written {
    allocations: Fragments<Attachment>,
    attachments: Fragments<Attachment>,
    addresses: Fragments<Address>,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            allocations: Fragments::new(|attachment| {
                to_raw_value(&translate::allocation(attachment))
            }),
            attachments: Fragments::new(to_raw_value),
            addresses: Fragments::new(to_raw_value),
        }
    }
}

/// The checkpoint: aws-node's allocations, and our part.
struct State {
    persisted: Persisted,
    written: Arc<Mutex<Written>>,
}

impl Document for State {
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), CheckpointError> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let written = &mut *written;
        let (Persisted { pool, .. }, unencodable) = (&self.persisted, CheckpointError::Encode);
        let (pods, addresses) = (pool.attachments.iter(), pool.addresses.values());
        let allocations = written.allocations.of(pods.clone()).map_err(unencodable)?;
        let mut attachments = written.attachments.of(pods).map_err(unencodable)?;
        let mut addresses = written.addresses.of(addresses).map_err(unencodable)?;
        // Each has its own, in the same order.
        let persisted: Persisted<Option<&RawValue>, Option<&RawValue>> = Persisted {
            schema: SCHEMA,
            boot_id: self.persisted.boot_id.clone(),
            node: self.persisted.node.clone(),
            lost: self.persisted.lost,
            leaving: self.persisted.leaving.clone(),
            pool: pool.shown_as(|_| attachments.next(), |_| addresses.next()),
        };
        let allocations: Vec<&RawValue> = allocations.collect();
        encode(&allocations, &persisted, into)
    }
}

impl Actor {
    /// The state as it is now.
    pub(super) fn document(&self) -> impl Document + use<> {
        State {
            persisted: Persisted {
                schema: SCHEMA,
                boot_id: self.boot_id.clone(),
                node: self.facts.clone(),
                lost: self.recovery.lost,
                leaving: self.leaving.clone(),
                pool: self.pool.snapshot(),
            },
            written: Arc::clone(&self.written),
        }
    }
}
