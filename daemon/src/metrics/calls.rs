//! Calls to EC2, counted and timed at the port: what status and metrics say of them is what was really asked, by whomever.

use std::net::Ipv4Addr;
use std::time::Instant;

use async_trait::async_trait;
use ec2::{
    Action, CreateNetworkInterface, Describe, Ec2, Ec2Error, InstanceLimits, NetworkInterface,
};
use ipnet::Ipv4Net;

use super::{Metrics, OK};

/// An EC2 whose calls are counted. A Describe of several pages is one call.
#[derive(Debug)]
pub struct CountedEc2<E> {
    inner: E,
    metrics: Metrics,
}

impl<E> CountedEc2<E> {
    /// Counts the calls to `inner`.
    pub fn new(inner: E, metrics: Metrics) -> Self {
        Self { inner, metrics }
    }

    async fn count<T>(
        &self,
        action: Action,
        call: impl Future<Output = Result<T, Ec2Error>> + Send,
    ) -> Result<T, Ec2Error> {
        let begun = Instant::now();
        let answer = call.await;
        let outcome = match &answer {
            Ok(_) => OK,
            Err(error) => error.kind.name(),
        };
        self.metrics
            .ec2_call(&action.to_string(), outcome, begun.elapsed());
        answer
    }
}

#[async_trait]
impl<E: Ec2> Ec2 for CountedEc2<E> {
    async fn create_network_interface(
        &self,
        request: &CreateNetworkInterface,
    ) -> Result<NetworkInterface, Ec2Error> {
        let call = self.inner.create_network_interface(request);
        self.count(Action::CreateNetworkInterface, call).await
    }

    async fn attach_network_interface(
        &self,
        eni: &str,
        instance: &str,
        device_index: u32,
    ) -> Result<String, Ec2Error> {
        let call = self
            .inner
            .attach_network_interface(eni, instance, device_index);
        self.count(Action::AttachNetworkInterface, call).await
    }

    async fn set_delete_on_termination(&self, eni: &str, attachment: &str) -> Result<(), Ec2Error> {
        let call = self.inner.set_delete_on_termination(eni, attachment);
        self.count(Action::ModifyNetworkInterfaceAttribute, call)
            .await
    }

    async fn set_security_groups(&self, eni: &str, groups: &[String]) -> Result<(), Ec2Error> {
        let call = self.inner.set_security_groups(eni, groups);
        self.count(Action::ModifyNetworkInterfaceAttribute, call)
            .await
    }

    async fn assign_private_ip_addresses(
        &self,
        eni: &str,
        count: u32,
    ) -> Result<Vec<Ipv4Addr>, Ec2Error> {
        let call = self.inner.assign_private_ip_addresses(eni, count);
        self.count(Action::AssignPrivateIpAddresses, call).await
    }

    async fn assign_ipv4_prefixes(&self, eni: &str, count: u32) -> Result<Vec<Ipv4Net>, Ec2Error> {
        let call = self.inner.assign_ipv4_prefixes(eni, count);
        self.count(Action::AssignPrivateIpAddresses, call).await
    }

    async fn unassign_private_ip_addresses(
        &self,
        eni: &str,
        addresses: &[Ipv4Addr],
        prefixes: &[Ipv4Net],
    ) -> Result<(), Ec2Error> {
        let call = self
            .inner
            .unassign_private_ip_addresses(eni, addresses, prefixes);
        self.count(Action::UnassignPrivateIpAddresses, call).await
    }

    async fn detach_network_interface(&self, attachment: &str) -> Result<(), Ec2Error> {
        let call = self.inner.detach_network_interface(attachment);
        self.count(Action::DetachNetworkInterface, call).await
    }

    async fn delete_network_interface(&self, eni: &str) -> Result<(), Ec2Error> {
        let call = self.inner.delete_network_interface(eni);
        self.count(Action::DeleteNetworkInterface, call).await
    }

    async fn describe_network_interfaces(
        &self,
        what: &Describe,
    ) -> Result<Vec<NetworkInterface>, Ec2Error> {
        let call = self.inner.describe_network_interfaces(what);
        self.count(Action::DescribeNetworkInterfaces, call).await
    }

    async fn describe_instance_type(
        &self,
        instance_type: &str,
    ) -> Result<InstanceLimits, Ec2Error> {
        let call = self.inner.describe_instance_type(instance_type);
        self.count(Action::DescribeInstanceTypes, call).await
    }

    async fn describe_subnet(&self, subnet: &str) -> Result<u32, Ec2Error> {
        let call = self.inner.describe_subnet(subnet);
        self.count(Action::DescribeSubnets, call).await
    }
}
