//! The port's types as JSON, field by field under their own names.

use ec2::{Ec2Error, Identity, InstanceLimits, MetadataError, MetadataInterface, NetworkInterface};
use serde_json::{Value, json};

pub fn error(error: &Ec2Error) -> Value {
    json!({
        "action": error.action.to_string(),
        "kind": format!("{:?}", error.kind),
        "code": error.code,
        "message": error.message,
    })
}

pub fn metadata_error(error: &MetadataError) -> Value {
    let kind = match error {
        MetadataError::Unavailable { .. } => "Unavailable",
        MetadataError::BadAnswer { .. } => "BadAnswer",
    };
    json!({ "action": "IMDS", "kind": kind, "code": "", "message": error.to_string() })
}

pub fn interface(eni: &NetworkInterface) -> Value {
    let attachment = eni.attachment.as_ref().map(|at| {
        json!({
            "id": at.id,
            "instance_id": at.instance_id,
            "device_index": at.device_index,
            "network_card": at.network_card,
            "delete_on_termination": at.delete_on_termination,
        })
    });
    json!({
        "id": eni.id,
        "mac": eni.mac,
        "subnet_id": eni.subnet_id,
        "interface_type": eni.interface_type,
        "description": eni.description,
        "status": format!("{:?}", eni.status),
        "primary_address": eni.primary_address,
        "secondary_addresses": eni.secondary_addresses,
        "prefixes": eni.prefixes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "tags": eni.tags,
        "attachment": attachment,
    })
}

pub fn limits(limits: InstanceLimits) -> Value {
    json!({
        "enis": limits.enis,
        "ipv4_per_eni": limits.ipv4_per_eni,
        "prefixes": limits.prefixes,
    })
}

pub fn identity(identity: &Identity) -> Value {
    json!({
        "instance_id": identity.instance_id,
        "instance_type": identity.instance_type,
        "region": identity.region,
        "primary_mac": identity.primary_mac,
        "primary_address": identity.primary_address,
    })
}

pub fn metadata_interface(eni: &MetadataInterface) -> Value {
    json!({
        "mac": eni.mac,
        "id": eni.id,
        "device_index": eni.device_index,
        "network_card": eni.network_card,
        "subnet_id": eni.subnet_id,
        "subnet_cidr": eni.subnet_cidr.map(|cidr| cidr.to_string()),
        "vpc_cidrs": eni.vpc_cidrs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "security_groups": eni.security_groups,
        "addresses": eni.addresses,
    })
}
