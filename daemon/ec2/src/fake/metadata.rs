//! Instance metadata of the fake: the same cloud, seen late, in IMDS's reduced form.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{FakeEc2, World};
use crate::port::{
    Identity, Metadata, MetadataError, MetadataInterface, NetworkInterface, NicStatus,
};

/// How metadata differs from the truth.
#[derive(Default)]
pub(super) struct View {
    pub(super) lag: Duration,
    pub(super) away: bool,
    pub(super) failures: usize,
    pub(super) hidden: BTreeSet<String>,
}

impl World {
    fn metadata_fault(&mut self, path: &str) -> Result<(), MetadataError> {
        let failed = self.metadata.failures > 0;
        self.metadata.failures = self.metadata.failures.saturating_sub(1);
        if failed || self.metadata.away {
            return Err(MetadataError::Unavailable {
                path: path.to_owned(),
                message: "asked for by the test".to_owned(),
            });
        }
        Ok(())
    }

    fn metadata_interface(&self, eni: &NetworkInterface) -> Option<MetadataInterface> {
        let attachment = eni.attachment.as_ref()?;
        let here = attachment.instance_id == self.cloud.setup.instance_id;
        let seen = eni.status == NicStatus::InUse && !self.metadata.hidden.contains(&eni.id);
        (here && seen).then(|| MetadataInterface {
            mac: eni.mac.clone(),
            id: eni.id.clone(),
            device_index: attachment.device_index,
            network_card: attachment.network_card,
            subnet_id: eni.subnet_id.clone(),
            subnet_cidr: Some(self.cloud.setup.subnet),
            vpc_cidrs: self.cloud.setup.vpc_cidrs.clone(),
            security_groups: self.cloud.setup.security_groups.clone(),
            addresses: eni
                .primary_address
                .into_iter()
                .chain(eni.secondary_addresses.iter().copied())
                .collect(),
        })
    }
}

#[async_trait]
impl Metadata for FakeEc2 {
    async fn identity(&self) -> Result<Identity, MetadataError> {
        let mut world = self.world();
        let path = "dynamic/instance-identity/document";
        world.metadata_fault(path)?;
        let setup = &world.cloud.setup;
        let primary = world.cloud.primary();
        let primary = primary.and_then(|eni| Some((&eni.mac, eni.primary_address?)));
        let (mac, address) = primary.ok_or_else(|| MetadataError::BadAnswer {
            path: path.to_owned(),
            value: String::new(),
            expected: "a primary ENI",
        })?;
        Ok(Identity {
            instance_id: setup.instance_id.clone(),
            instance_type: setup.instance_type.clone(),
            region: "us-west-2".to_owned(),
            primary_mac: mac.clone(),
            primary_address: address,
        })
    }

    async fn interfaces(&self) -> Result<Vec<MetadataInterface>, MetadataError> {
        let mut world = self.world();
        world.metadata_fault("meta-data/network/interfaces/macs/")?;
        let seen = world.history.seen(Instant::now(), world.metadata.lag);
        Ok(seen
            .values()
            .filter_map(|eni| world.metadata_interface(eni))
            .collect())
    }
}
