//! The actions that only look. They see the state as it was `describe_lag` ago.

use super::params::Params;
use super::xml::Xml;
use super::{Reply, shapes};
use crate::mock::error::{Code, Refusal};
use crate::mock::state::{ACCOUNT, Page, State, all_limits};

/// What MaxResults may be (EC2 API Reference, DescribeNetworkInterfaces).
const PAGE_SIZES: std::ops::RangeInclusive<usize> = 5..=1000;

pub(super) fn network_interfaces(state: &State, mut p: Params) -> Result<Reply, Refusal> {
    let ids = p.list("NetworkInterfaceId");
    let filters = p.filters()?;
    let (max, token) = paging(&mut p, !ids.is_empty())?;
    p.finish()?;
    let all = state.select_enis(&ids, &filters)?;
    let page = Page::cut(&all, max, token.as_deref())?;
    let mut x = Xml::default();
    x.list("networkInterfaceSet", page.items, |x, eni| {
        shapes::network_interface(x, state, eni, eni.status());
    });
    x.text_if("nextToken", page.next);
    Ok(Reply::text(x))
}

pub(super) fn subnets(state: &State, mut p: Params) -> Result<Reply, Refusal> {
    let ids = p.list("SubnetId");
    let filters = p.filters()?;
    let (max, token) = paging(&mut p, !ids.is_empty())?;
    p.finish()?;
    let all = state.select_subnets(&ids, &filters)?;
    let page = Page::cut(&all, max, token.as_deref())?;
    let mut x = Xml::default();
    x.list("subnetSet", page.items, |x, subnet| {
        shapes::subnet(x, state, subnet)
    });
    x.text_if("nextToken", page.next);
    Ok(Reply::text(x))
}

pub(super) fn instances(state: &State, mut p: Params) -> Result<Reply, Refusal> {
    let ids = p.list("InstanceId");
    let filters = p.filters()?;
    let (max, token) = paging(&mut p, !ids.is_empty())?;
    p.finish()?;
    let all = state.select_instances(&ids, &filters)?;
    let page = Page::cut(&all, max, token.as_deref())?;
    let mut x = Xml::default();
    x.list("reservationSet", page.items, |x, instance| {
        x.text("reservationId", instance.id.replacen("i-", "r-", 1));
        x.text("ownerId", ACCOUNT);
        x.list("instancesSet", [instance], |x, i| {
            shapes::instance(x, state, i)
        });
    });
    x.text_if("nextToken", page.next);
    Ok(Reply::text(x))
}

pub(super) fn instance_types(mut p: Params) -> Result<Reply, Refusal> {
    let mut names = p.list("InstanceType");
    for filter in p.filters()? {
        if filter.name != "instance-type" {
            return Err(Code::InvalidParameterValue
                .because(format!("The filter '{}' is invalid", filter.name)));
        }
        names.extend(filter.values);
    }
    let (max, token) = paging(&mut p, !names.is_empty())?;
    p.finish()?;
    let mut chosen = Vec::new();
    for name in &names {
        let known = all_limits().get_key_value(name);
        chosen.push(known.ok_or_else(|| {
            Code::InvalidInstanceType.because(format!(
                "The following supplied instance types do not exist: [{name}]"
            ))
        })?);
    }
    if names.is_empty() {
        chosen.extend(all_limits());
    }
    // 100 a page at most (EC2 API Reference).
    let page = Page::cut(&chosen, Some(max.unwrap_or(100).min(100)), token.as_deref())?;
    let mut x = Xml::default();
    x.list("instanceTypeSet", page.items, |x, (name, limits)| {
        shapes::instance_type(x, name, limits);
    });
    x.text_if("nextToken", page.next);
    Ok(Reply::text(x))
}

/// MaxResults and NextToken; the former not together with ids (EC2 API Reference).
fn paging(p: &mut Params, has_ids: bool) -> Result<(Option<usize>, Option<String>), Refusal> {
    let max: Option<usize> = p.parsed("MaxResults")?;
    let token = p.optional("NextToken");
    match max {
        Some(_) if has_ids => Err(Code::InvalidParameterCombination
            .because("The parameter MaxResults cannot be used with ids in the same request")),
        Some(n) if !PAGE_SIZES.contains(&n) => Err(Code::InvalidParameterValue.because(
            format!("Value ( {n} ) for parameter maxResults is invalid. Expecting a value between 5 and 1000."),
        )),
        _ => Ok((max, token)),
    }
}
