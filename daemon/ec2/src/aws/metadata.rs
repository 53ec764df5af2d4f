//! Instance metadata through the SDK's IMDSv2 client, which keeps the session token and follows
//! `AWS_EC2_METADATA_SERVICE_ENDPOINT`. One try a call: the daemon repeats what it needs.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::imds::client::Client;
use aws_config::imds::client::error::ImdsError;
use aws_config::provider_config::ProviderConfig;

use super::failure::chain;
use super::transport;
use crate::imds_parse as parse;
use crate::port::{Identity, Metadata, MetadataError, MetadataInterface};

/// One GET, the token's PUT included. The service is on the host itself and answers within milliseconds; a node where
/// it takes longer is served from the checkpoint meanwhile.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Life of a session token. The client keeps a token until it runs out even if the service no longer knows it (a
/// resumed instance), so it is far below the six hours that are allowed.
const TOKEN_TTL: Duration = Duration::from_secs(300);

/// Who this instance is: id, type, region and primary address in one document.
const DOCUMENT: &str = "dynamic/instance-identity/document";

/// MAC of the primary ENI.
const MAC: &str = "meta-data/mac";

/// Directory of the attached ENIs.
const MACS: &str = "meta-data/network/interfaces/macs/";

/// Instance metadata of this machine.
#[derive(Clone, Debug)]
pub struct AwsMetadata {
    client: Client,
}

impl AwsMetadata {
    /// A client; nothing is asked yet.
    pub fn connect() -> Self {
        let config = ProviderConfig::without_region().with_http_client(transport::direct());
        let client = Client::builder()
            .configure(&config)
            .max_attempts(1)
            .connect_timeout(TIMEOUT)
            .read_timeout(TIMEOUT)
            .operation_attempt_timeout(TIMEOUT)
            .operation_timeout(TIMEOUT)
            .token_ttl(TOKEN_TTL)
            .build();
        Self { client }
    }

    /// `GET /latest/<path>`; nothing for a 404, which is how IMDS says "none".
    async fn find(&self, path: &str) -> Result<Option<String>, MetadataError> {
        match self.client.get(format!("/latest/{path}")).await {
            Ok(text) => Ok(Some(text.into())),
            Err(ImdsError::ErrorResponse(answer)) => match answer.response().status().as_u16() {
                404 => Ok(None),
                status => Err(unavailable(path, format!("HTTP {status}"))),
            },
            Err(error) => Err(unavailable(path, chain(&error))),
        }
    }

    async fn get(&self, path: &str) -> Result<String, MetadataError> {
        self.find(path)
            .await?
            .ok_or_else(|| unavailable(path, "HTTP 404".to_owned()))
    }

    /// Reads `path` with `read`, or nothing for a 404.
    async fn find_as<T>(
        &self,
        path: String,
        read: fn(&str, &str) -> Result<T, MetadataError>,
    ) -> Result<Option<T>, MetadataError> {
        let text = self.find(&path).await?;
        text.map(|text| read(&path, &text)).transpose()
    }

    /// One ENI; nothing if it left between the listing and now. EFA-only ENIs and those of IPv6-only subnets lack the
    /// paths about IPv4.
    async fn interface(&self, mac: &str) -> Result<Option<MetadataInterface>, MetadataError> {
        let at = |name: &str| format!("{MACS}{mac}/{name}");
        let path = at("interface-id");
        let Some(id) = self.find(&path).await? else {
            return Ok(None);
        };
        let device = at("device-number");
        let subnet = at("subnet-id");
        let groups = self.find_as(at("security-group-ids"), parse::security_groups);
        let subnet_cidr = self.find_as(at("subnet-ipv4-cidr-block"), parse::cidr);
        let vpc_cidrs = self.find_as(at("vpc-ipv4-cidr-blocks"), parse::cidrs);
        let addresses = self.find_as(at("local-ipv4s"), parse::addresses);
        let network_card = self.find_as(at("network-card"), parse::number);
        Ok(Some(MetadataInterface {
            mac: mac.to_owned(),
            id: parse::id(&path, &id, "eni-", "an ENI id")?,
            device_index: parse::number(&device, &self.get(&device).await?)?,
            network_card: network_card.await?.unwrap_or(0),
            subnet_id: parse::id(&subnet, &self.get(&subnet).await?, "subnet-", "a subnet id")?,
            subnet_cidr: subnet_cidr.await?,
            vpc_cidrs: vpc_cidrs.await?.unwrap_or_default(),
            security_groups: groups.await?.unwrap_or_default(),
            addresses: addresses.await?.unwrap_or_default(),
        }))
    }
}

#[async_trait]
impl Metadata for AwsMetadata {
    async fn identity(&self) -> Result<Identity, MetadataError> {
        let document = parse::document(DOCUMENT, &self.get(DOCUMENT).await?)?;
        let primary_mac = parse::mac(MAC, &self.get(MAC).await?)?;
        Ok(Identity {
            instance_id: document.instance_id,
            instance_type: document.instance_type,
            region: document.region,
            primary_mac,
            primary_address: document.private_ip,
        })
    }

    async fn interfaces(&self) -> Result<Vec<MetadataInterface>, MetadataError> {
        let mut interfaces = Vec::new();
        for mac in parse::macs(MACS, &self.get(MACS).await?)? {
            interfaces.extend(self.interface(&mac).await?);
        }
        Ok(interfaces)
    }
}

fn unavailable(path: &str, message: String) -> MetadataError {
    MetadataError::Unavailable {
        path: path.to_owned(),
        message,
    }
}
