//! Between the words of the contract, of the cloud and of the core. No decision is made here.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use berth_cni::contract::{AddRequest, AttachmentId, CheckRequest, Interface};
use ec2::{Ec2Error, Kind, NetworkInterface, NicStatus};
use ipam::action::{CreatedEni, DescribedAttachment, DescribedEni};
use ipam::desired::check::Remembered;
use ipam::{
    Attachment, AttachmentKey, EniId, Failure, FailureKind, Mac, Outcome, PodInterface, PodName,
    Timestamp, desired,
};
use ipnet::Ipv4Net;

use crate::dataplane::{DataplaneError, PodRemoval};
use crate::node::NodeFacts;
use crate::store::checkpoint::{self, Allocation};

pub(super) fn key(id: &AttachmentId) -> AttachmentKey {
    AttachmentKey {
        network: id.network.clone(),
        container_id: id.container_id.clone(),
        ifname: id.ifname.clone(),
    }
}

pub(super) fn id(key: &AttachmentKey) -> AttachmentId {
    AttachmentId {
        network: key.network.clone(),
        container_id: key.container_id.clone(),
        ifname: key.ifname.clone(),
    }
}

/// What of it cannot be understood is as good as not remembered, which CHECK then says.
pub(super) fn remembered(request: &CheckRequest) -> Remembered {
    let addresses = request.addresses.iter();
    Remembered {
        mac: request.mac.as_ref().and_then(|mac| mac.parse().ok()),
        addresses: addresses
            .filter_map(|listed| Ipv4Net::new(listed.address, listed.prefix_len).ok())
            .collect(),
    }
}

pub(super) fn attachment(
    request: &AddRequest,
    invocation: &str,
    (address, eni): (Ipv4Addr, EniId),
    (since, wall): (Timestamp, Duration),
) -> Attachment {
    let pod = request.pod.as_ref().map(|pod| PodName {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
    });
    Attachment {
        key: key(&request.id),
        pod,
        invocation: invocation.to_owned(),
        interface: match request.interface {
            Interface::Create => PodInterface::Created,
            Interface::Existing => PodInterface::Existing,
        },
        veth_prefix: request.veth_prefix.clone(),
        mtu: request.mtu,
        netns: request.netns.clone(),
        address,
        eni,
        since,
        wall_nanos: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
        answered: false,
        host_ifindex: None,
    }
}

pub(super) fn removal(attachment: &Attachment) -> PodRemoval {
    PodRemoval {
        alias: desired::pod::alias_of(&attachment.key),
        host_ifindex: attachment.host_ifindex,
        interface: attachment.interface,
        ifname: attachment.key.ifname.clone(),
        address: attachment.address,
    }
}

pub(super) fn allocation(attachment: &Attachment) -> Allocation {
    let pod = attachment.pod.clone();
    Allocation {
        network_name: attachment.key.network.clone(),
        container_id: attachment.key.container_id.clone(),
        if_name: attachment.key.ifname.clone(),
        ipv4: Some(attachment.address),
        ipv6: None,
        allocation_timestamp: i64::try_from(attachment.wall_nanos).unwrap_or(i64::MAX),
        metadata: checkpoint::Metadata {
            namespace: pod
                .as_ref()
                .map(|p| p.namespace.clone())
                .unwrap_or_default(),
            name: pod.map(|p| p.name).unwrap_or_default(),
            ..checkpoint::Metadata::default()
        },
    }
}

pub(super) fn failure(error: &Ec2Error) -> Failure {
    let kind = match error.kind {
        Kind::Throttled => FailureKind::Throttled,
        Kind::AccessDenied => FailureKind::AccessDenied,
        Kind::CredentialsRefused => FailureKind::CredentialsRefused,
        Kind::SubnetFull => FailureKind::SubnetFull,
        Kind::NoContiguousBlock => FailureKind::NoContiguousBlock,
        Kind::AddressLimit => FailureKind::AddressLimit,
        Kind::EniLimit => FailureKind::EniLimit,
        Kind::NotFound => FailureKind::NotFound,
        Kind::WrongState => FailureKind::WrongState,
        Kind::Refused => FailureKind::Refused,
        Kind::Unreachable => FailureKind::Unreachable,
        Kind::Doubtful => FailureKind::Doubtful,
    };
    Failure {
        kind,
        message: error.to_string(),
    }
}

pub(super) fn local(message: String) -> Failure {
    Failure {
        kind: FailureKind::Local,
        message,
    }
}

/// Why an ENI is not connected.
pub(super) fn unlinked(error: &DataplaneError) -> Failure {
    let kind = match error {
        DataplaneError::NoLink { .. } => FailureKind::NoLink,
        _ => FailureKind::Local,
    };
    Failure {
        kind,
        message: error.to_string(),
    }
}

fn mac(eni: &NetworkInterface) -> Result<Mac, Failure> {
    eni.mac.parse().map_err(|error| Failure {
        kind: FailureKind::Doubtful,
        message: format!("EC2's answer on {}: {error}", eni.id),
    })
}

pub(super) fn created(eni: &NetworkInterface, facts: &NodeFacts) -> Result<Outcome, Ec2Error> {
    let bad = |why: &str| Ec2Error {
        action: ec2::Action::CreateNetworkInterface,
        kind: Kind::Doubtful,
        code: "BadAnswer".to_owned(),
        message: format!("{}: {why}", eni.id),
    };
    let mac = eni.mac.parse();
    let primary_address = eni.primary_address;
    Ok(Outcome::Created(Box::new(CreatedEni {
        id: EniId(eni.id.clone()),
        mac: mac.map_err(|error: ipam::mac::BadMac| bad(&error.to_string()))?,
        primary_address: primary_address.ok_or_else(|| bad("it has no IPv4 address"))?,
        subnet: facts.primary.subnet,
        addresses: eni.secondary_addresses.clone(),
        prefixes: eni.prefixes.clone(),
    })))
}

pub(super) fn described(
    eni: &NetworkInterface,
    facts: &NodeFacts,
    subnets: &BTreeMap<String, Ipv4Net>,
) -> Result<DescribedEni, Failure> {
    let own = (eni.subnet_id == facts.primary.subnet_id).then_some(facts.primary.subnet);
    let attachment = eni
        .attachment
        .as_ref()
        .filter(|at| at.instance_id == facts.instance_id && eni.status != NicStatus::Available)
        .map(|at| DescribedAttachment {
            id: at.id.clone(),
            device_index: at.device_index,
            network_card: at.network_card,
            delete_on_termination: at.delete_on_termination,
        });
    Ok(DescribedEni {
        id: EniId(eni.id.clone()),
        mac: mac(eni)?,
        primary_address: eni.primary_address,
        subnet: subnets.get(&eni.id).copied().or(own),
        addresses: eni.secondary_addresses.clone(),
        prefixes: eni.prefixes.clone(),
        interface_type: eni.interface_type.clone(),
        description: eni.description.clone(),
        security_groups: eni.security_groups.clone(),
        tags: eni.tags.clone(),
        attachment,
    })
}
