//! The actions that change something: from parameters to an operation on the state, and back to XML.

use std::net::Ipv4Addr;
use std::time::SystemTime;

use ipnet::Ipv4Net;

use super::params::Params;
use super::xml::Xml;
use super::{Effect, Reply, shapes};
use crate::mock::error::{Code, Refusal};
use crate::mock::state::{Assign, CreateEni, State};

pub(super) fn create_network_interface(state: &mut State, mut p: Params) -> Result<Reply, Refusal> {
    let prefixes = p.prefix_specifications()?;
    let secondary = asked_for(&mut p, Vec::new(), prefixes)?.filter(|what| what.count() > 0);
    let request = CreateEni {
        subnet_id: p.required("SubnetId")?,
        description: p.optional("Description").unwrap_or_default(),
        groups: p.list("SecurityGroupId"),
        tags: p.tag_specifications()?,
        primary: p.parsed("PrivateIpAddress")?,
        secondary,
        client_token: p.optional("ClientToken"),
    };
    p.finish()?;
    let eni = state.create_eni(&request)?;
    let mut x = Xml::default();
    x.node("networkInterface", |x| {
        // A new one is always pending in the answer, and available when next seen.
        shapes::network_interface(x, state, &eni, "pending");
    });
    x.text_if("clientToken", request.client_token);
    Ok(Reply::text(x))
}

pub(super) fn attach_network_interface(state: &mut State, mut p: Params) -> Result<Reply, Refusal> {
    let eni = p.required("NetworkInterfaceId")?;
    let instance = p.required("InstanceId")?;
    let index: u32 = p
        .parsed("DeviceIndex")?
        .ok_or_else(|| missing("DeviceIndex"))?;
    let card: u32 = p.parsed("NetworkCardIndex")?.unwrap_or(0);
    p.finish()?;
    if card != 0 {
        return Err(Code::InvalidParameterValue.because(format!(
            "Network card index {card} is not supported by the mock, which has card 0 only"
        )));
    }
    let attachment = state.attach(&eni, &instance, index, SystemTime::now())?;
    let mut x = Xml::default();
    x.text("attachmentId", &attachment);
    x.text("networkCardIndex", 0);
    Ok(Reply::with(x, Effect::Attach { eni, attachment }))
}

pub(super) fn modify_network_interface_attribute(
    state: &mut State,
    mut p: Params,
) -> Result<Reply, Refusal> {
    let eni = p.required("NetworkInterfaceId")?;
    let attachment = p.optional("Attachment.AttachmentId");
    let on_termination: Option<bool> = p.parsed("Attachment.DeleteOnTermination")?;
    let groups = p.list("SecurityGroupId");
    p.finish()?;
    match (attachment, on_termination, groups.is_empty()) {
        (Some(attachment), Some(value), true) => {
            state.set_delete_on_termination(&eni, &attachment, value)?;
        }
        (None, None, false) => state.set_groups(&eni, &groups)?,
        (Some(_), None, true) => return Err(missing("Attachment.DeleteOnTermination")),
        (None, Some(_), true) => return Err(missing("Attachment.AttachmentId")),
        (None, None, true) => return Err(missing("Attachment or SecurityGroupId")),
        _ => {
            return Err(Code::InvalidParameterCombination
                .because("Fields for multiple attribute types specified"));
        }
    }
    Ok(done())
}

pub(super) fn assign_private_ip_addresses(
    state: &mut State,
    mut p: Params,
) -> Result<Reply, Refusal> {
    let eni = p.required("NetworkInterfaceId")?;
    let addresses = p.addresses("PrivateIpAddress")?;
    let prefixes = p.prefixes("Ipv4Prefix")?;
    let what = asked_for(&mut p, addresses, prefixes)?;
    let reassign: bool = p.parsed("AllowReassignment")?.unwrap_or(false);
    p.finish()?;
    if reassign {
        return Err(Code::InvalidParameterValue
            .because("The mock does not move addresses between ENIs (AllowReassignment)"));
    }
    let what = what.ok_or_else(|| {
        missing("SecondaryPrivateIpAddressCount, Ipv4PrefixCount, PrivateIpAddress or Ipv4Prefix")
    })?;
    let (addresses, prefixes) = state.assign(&eni, &what)?;
    let mut x = Xml::default();
    x.text("networkInterfaceId", &eni);
    x.list("assignedPrivateIpAddressesSet", addresses, |x, address| {
        x.text("privateIpAddress", address);
    });
    shapes::prefixes(&mut x, "assignedIpv4PrefixSet", &prefixes);
    x.text("return", true);
    Ok(Reply::with(x, Effect::Addresses { eni }))
}

pub(super) fn unassign_private_ip_addresses(
    state: &mut State,
    mut p: Params,
) -> Result<Reply, Refusal> {
    let eni = p.required("NetworkInterfaceId")?;
    let addresses = p.addresses("PrivateIpAddress")?;
    let prefixes = p.prefixes("Ipv4Prefix")?;
    p.finish()?;
    if addresses.is_empty() && prefixes.is_empty() {
        return Err(missing("PrivateIpAddress or Ipv4Prefix"));
    }
    state.unassign(&eni, &addresses, &prefixes)?;
    let mut reply = done();
    reply.effect = Some(Effect::Addresses { eni });
    Ok(reply)
}

pub(super) fn detach_network_interface(state: &mut State, mut p: Params) -> Result<Reply, Refusal> {
    let attachment = p.required("AttachmentId")?;
    // Force makes no difference to a machine that always lets go.
    let _: Option<bool> = p.parsed("Force")?;
    p.finish()?;
    let eni = state.detach(&attachment)?;
    let mut reply = done();
    reply.effect = Some(Effect::Detach { eni, attachment });
    Ok(reply)
}

pub(super) fn delete_network_interface(state: &mut State, mut p: Params) -> Result<Reply, Refusal> {
    let eni = p.required("NetworkInterfaceId")?;
    p.finish()?;
    state.delete_eni(&eni)?;
    Ok(done())
}

pub(super) fn create_tags(state: &mut State, mut p: Params) -> Result<Reply, Refusal> {
    let resources = p.list("ResourceId");
    let tags = p.tags()?;
    p.finish()?;
    if resources.is_empty() || tags.is_empty() {
        return Err(missing("ResourceId and Tag"));
    }
    state.create_tags(&resources, &tags)?;
    Ok(done())
}

/// Addresses or prefixes, by their number or by themselves: one of the four, which is all that EC2 takes.
fn asked_for(
    p: &mut Params,
    addresses: Vec<Ipv4Addr>,
    prefixes: Vec<Ipv4Net>,
) -> Result<Option<Assign>, Refusal> {
    let mut asked = [
        p.parsed("SecondaryPrivateIpAddressCount")?
            .map(Assign::Count),
        p.parsed("Ipv4PrefixCount")?.map(Assign::Prefixes),
        (!addresses.is_empty()).then_some(Assign::These(addresses)),
        (!prefixes.is_empty()).then_some(Assign::ThesePrefixes(prefixes)),
    ]
    .into_iter()
    .flatten();
    let what = asked.next();
    match asked.next() {
        None => Ok(what),
        Some(_) => Err(Code::InvalidParameterCombination.because(
            "SecondaryPrivateIpAddressCount, Ipv4PrefixCount, PrivateIpAddress and Ipv4Prefix exclude each other",
        )),
    }
}

fn done() -> Reply {
    let mut x = Xml::default();
    x.text("return", true);
    Reply::text(x)
}

fn missing(name: &str) -> Refusal {
    Code::MissingParameter.because(format!("The request must contain the parameter {name}"))
}
