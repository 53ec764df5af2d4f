//! The adapter on aws-sdk-ec2: our verbs to SDK calls and back, each sent exactly once.
//!
//! Endpoint, region and credentials are the SDK's own affair and follow its environment variables
//! (`AWS_ENDPOINT_URL_EC2`, `AWS_ACCESS_KEY_ID`, ...); proxy and time-out are the [`Transport`]'s. The SDK's retries are off
//! for EC2, because it would repeat AssignPrivateIpAddresses blindly; those of its credential providers stay on, they only
//! read.

mod answer;
mod failure;
mod metadata;
mod transport;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::{Builder, retry::RetryConfig};
use aws_sdk_ec2::types::{
    Filter, InstanceType, NetworkInterfaceAttachmentChanges, ResourceType, Tag, TagSpecification,
};
use ipnet::Ipv4Net;
use tokio::sync::OnceCell;

use crate::error::{Action, Ec2Error, Kind};
use crate::port::{
    CreateNetworkInterface, Describe, Ec2, InstanceLimits, Metadata, MetadataError,
    NetworkInterface,
};
use failure::Sending;
pub use metadata::AwsMetadata;
pub use transport::{BadProxy, Transport};

/// TCP and TLS to the endpoint; near the SDK's own default of 3.1 s. One lost SYN (1 s) and the next (2 s) fit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// ENIs a page, the maximum of DescribeNetworkInterfaces. Asking for pages at all is what keeps large accounts fast.
const PAGE: i32 = 1000;

/// Sends a request, once. A macro, since the SDK's builders of requests share no trait.
macro_rules! send {
    ($action:expr, $request:expr) => {{
        let sending = Sending::new($action);
        let request = $request.customize().interceptor(sending.clone());
        let answer = request.send().await;
        answer.map_err(|error| sending.failure(&error))
    }};
}

/// EC2 through the SDK. The client is made at the first verb that finds the region.
#[derive(Clone, Debug)]
pub struct AwsEc2 {
    metadata: AwsMetadata,
    transport: Transport,
    client: Arc<OnceCell<Client>>,
}

impl AwsEc2 {
    /// EC2 in the region of `AWS_REGION`, or in that of this instance, which is asked for at the first verb and at each
    /// one after until metadata answers: a daemon that starts before its metadata does is not lost.
    ///
    /// No call is made to EC2: missing credentials or a missing region show at the first verb, as `Kind::Unreachable`.
    pub fn connect(metadata: AwsMetadata, transport: Transport) -> Self {
        Self {
            metadata,
            transport,
            client: Arc::default(),
        }
    }

    async fn client(&self, action: Action) -> Result<&Client, Ec2Error> {
        self.client
            .get_or_try_init(|| async {
                let region = match std::env::var("AWS_REGION") {
                    Ok(region) if !region.is_empty() => region,
                    _ => {
                        self.metadata
                            .identity()
                            .await
                            .map_err(|e| no_region(action, &e))?
                            .region
                    }
                };
                Ok(self.in_region(region).await)
            })
            .await
    }

    async fn in_region(&self, region: String) -> Client {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.transport.client())
            .region(Region::new(region));
        // Shows up as the caller in CloudTrail's userAgent.
        if let Ok(name) = AppName::new(concat!("berth-", env!("CARGO_PKG_VERSION"))) {
            loader = loader.app_name(name);
        }
        self.configured(&loader.load().await)
    }

    fn configured(&self, shared: &SdkConfig) -> Client {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_timeout(self.transport.timeout)
            .build();
        let config = Builder::from(shared)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .build();
        Client::from_conf(config)
    }

    /// One page: the ENIs and the token of the next one.
    async fn describe_page(
        &self,
        selection: &Selection,
        token: Option<String>,
    ) -> Result<(Vec<NetworkInterface>, Option<String>), Ec2Error> {
        let action = Action::DescribeNetworkInterfaces;
        let request = self
            .client(action)
            .await?
            .describe_network_interfaces()
            .set_filters(selection.filters.clone())
            .set_network_interface_ids(selection.ids.clone())
            .set_max_results(selection.page)
            .set_next_token(token);
        let answer = send!(action, request)?;
        let enis = answer
            .network_interfaces()
            .iter()
            .map(|eni| answer::network_interface(action, eni))
            .collect::<Result<_, _>>()?;
        let next = answer.next_token.filter(|token| !token.is_empty());
        Ok((enis, next))
    }
}

fn no_region(action: Action, error: &MetadataError) -> Ec2Error {
    Ec2Error {
        action,
        kind: Kind::Unreachable,
        code: "NoRegion".to_owned(),
        message: format!("AWS_REGION is not set and {error}"),
    }
}

#[async_trait]
impl Ec2 for AwsEc2 {
    async fn create_network_interface(
        &self,
        request: &CreateNetworkInterface,
    ) -> Result<NetworkInterface, Ec2Error> {
        let action = Action::CreateNetworkInterface;
        let count = |name, value| {
            // EC2 refuses a count of 0.
            (value > 0)
                .then(|| parameter(action, name, value))
                .transpose()
        };
        let request = self
            .client(action)
            .await?
            .create_network_interface()
            .subnet_id(&request.subnet_id)
            .set_groups(some(&request.security_groups))
            .description(&request.description)
            .set_tag_specifications(tag_specifications(request))
            .set_secondary_private_ip_address_count(count(
                "secondary_addresses",
                request.secondary_addresses,
            )?)
            .set_ipv4_prefix_count(count("prefixes", request.prefixes)?)
            .client_token(&request.client_token);
        let answer = send!(action, request)?;
        let eni = answer
            .network_interface()
            .ok_or_else(|| answer::bad(action, "networkInterface is missing"))?;
        answer::network_interface(action, eni)
    }

    async fn attach_network_interface(
        &self,
        eni: &str,
        instance: &str,
        device_index: u32,
    ) -> Result<String, Ec2Error> {
        let action = Action::AttachNetworkInterface;
        let request = self
            .client(action)
            .await?
            .attach_network_interface()
            .network_interface_id(eni)
            .instance_id(instance)
            .device_index(parameter(action, "device_index", device_index)?);
        let answer = send!(action, request)?;
        answer
            .attachment_id
            .filter(|id| !id.is_empty())
            .ok_or_else(|| answer::bad(action, &format!("{eni}: attachmentId is missing")))
    }

    async fn set_delete_on_termination(&self, eni: &str, attachment: &str) -> Result<(), Ec2Error> {
        let action = Action::ModifyNetworkInterfaceAttribute;
        let change = NetworkInterfaceAttachmentChanges::builder()
            .attachment_id(attachment)
            .delete_on_termination(true)
            .build();
        let request = self
            .client(action)
            .await?
            .modify_network_interface_attribute()
            .network_interface_id(eni)
            .attachment(change);
        send!(action, request)?;
        Ok(())
    }

    async fn set_security_groups(&self, eni: &str, groups: &[String]) -> Result<(), Ec2Error> {
        let action = Action::ModifyNetworkInterfaceAttribute;
        let request = self
            .client(action)
            .await?
            .modify_network_interface_attribute()
            .network_interface_id(eni)
            .set_groups(some(groups));
        send!(action, request)?;
        Ok(())
    }

    async fn assign_private_ip_addresses(
        &self,
        eni: &str,
        count: u32,
    ) -> Result<Vec<Ipv4Addr>, Ec2Error> {
        let action = Action::AssignPrivateIpAddresses;
        let request = self
            .client(action)
            .await?
            .assign_private_ip_addresses()
            .network_interface_id(eni)
            .secondary_private_ip_address_count(parameter(action, "count", count)?);
        let answer = send!(action, request)?;
        answer::assigned(eni, count, answer.assigned_private_ip_addresses())
    }

    async fn assign_ipv4_prefixes(&self, eni: &str, count: u32) -> Result<Vec<Ipv4Net>, Ec2Error> {
        let action = Action::AssignPrivateIpAddresses;
        let request = self
            .client(action)
            .await?
            .assign_private_ip_addresses()
            .network_interface_id(eni)
            .ipv4_prefix_count(parameter(action, "count", count)?);
        let answer = send!(action, request)?;
        answer::assigned_prefixes(eni, count, answer.assigned_ipv4_prefixes())
    }

    async fn unassign_private_ip_addresses(
        &self,
        eni: &str,
        addresses: &[Ipv4Addr],
        prefixes: &[Ipv4Net],
    ) -> Result<(), Ec2Error> {
        let action = Action::UnassignPrivateIpAddresses;
        let request = self
            .client(action)
            .await?
            .unassign_private_ip_addresses()
            .network_interface_id(eni)
            .set_private_ip_addresses(texts(addresses))
            .set_ipv4_prefixes(texts(prefixes));
        send!(action, request)?;
        Ok(())
    }

    async fn detach_network_interface(&self, attachment: &str) -> Result<(), Ec2Error> {
        let action = Action::DetachNetworkInterface;
        let request = self
            .client(action)
            .await?
            .detach_network_interface()
            .attachment_id(attachment);
        send!(action, request)?;
        Ok(())
    }

    async fn delete_network_interface(&self, eni: &str) -> Result<(), Ec2Error> {
        let action = Action::DeleteNetworkInterface;
        let request = self
            .client(action)
            .await?
            .delete_network_interface()
            .network_interface_id(eni);
        send!(action, request)?;
        Ok(())
    }

    async fn describe_network_interfaces(
        &self,
        what: &Describe,
    ) -> Result<Vec<NetworkInterface>, Ec2Error> {
        let selection = Selection::of(what);
        if selection.ids.as_ref().is_some_and(Vec::is_empty) {
            // Without any id EC2 lists the whole account.
            return Ok(Vec::new());
        }
        let mut enis = Vec::new();
        let mut token = None;
        loop {
            let (page, next) = self.describe_page(&selection, token.clone()).await?;
            enis.extend(page);
            if next.is_none() {
                return Ok(enis);
            }
            if next == token {
                let action = Action::DescribeNetworkInterfaces;
                return Err(answer::bad(action, "nextToken leads to the same page"));
            }
            token = next;
        }
    }

    async fn describe_instance_type(
        &self,
        instance_type: &str,
    ) -> Result<InstanceLimits, Ec2Error> {
        let action = Action::DescribeInstanceTypes;
        let request = self
            .client(action)
            .await?
            .describe_instance_types()
            .instance_types(InstanceType::from(instance_type));
        let answer = send!(action, request)?;
        answer::limits(instance_type, answer.instance_types().first())
    }

    async fn describe_subnet(&self, subnet: &str) -> Result<u32, Ec2Error> {
        let action = Action::DescribeSubnets;
        let request = self
            .client(action)
            .await?
            .describe_subnets()
            .subnet_ids(subnet);
        let answer = send!(action, request)?;
        answer::free_addresses(subnet, answer.subnets().first())
    }
}

/// How [`Describe`] is said to EC2. Ids and a page size do not go together (`InvalidParameterCombination`).
struct Selection {
    filters: Option<Vec<Filter>>,
    ids: Option<Vec<String>>,
    page: Option<i32>,
}

impl Selection {
    fn of(what: &Describe) -> Self {
        let by_filters = |filters: Vec<Filter>| Self {
            filters: Some(filters),
            ids: None,
            page: Some(PAGE),
        };
        match what {
            Describe::AttachedTo(instance) => {
                by_filters(vec![filter("attachment.instance-id", instance)])
            }
            Describe::AvailableWithTag { key, value } => by_filters(vec![
                filter(&format!("tag:{key}"), value),
                filter("status", "available"),
            ]),
            Describe::Ids(ids) => Self {
                filters: None,
                ids: Some(ids.clone()),
                page: None,
            },
        }
    }
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

fn tag_specifications(request: &CreateNetworkInterface) -> Option<Vec<TagSpecification>> {
    let tag = |(key, value)| Tag::builder().key(key).value(value).build();
    let specification = TagSpecification::builder()
        .resource_type(ResourceType::NetworkInterface)
        .set_tags(Some(request.tags.iter().map(tag).collect()))
        .build();
    // EC2 refuses a specification without tags.
    (!request.tags.is_empty()).then(|| vec![specification])
}

/// A list parameter of addresses or prefixes, left out when empty.
fn texts<T: ToString>(list: &[T]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.iter().map(T::to_string).collect())
}

/// A list parameter, left out when empty.
fn some(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

/// EC2's numbers are signed.
fn parameter(action: Action, name: &str, value: u32) -> Result<i32, Ec2Error> {
    i32::try_from(value).map_err(|_| Ec2Error {
        action,
        kind: Kind::Refused,
        code: "NotSent".to_owned(),
        message: format!("{name} {value} is out of range"),
    })
}
