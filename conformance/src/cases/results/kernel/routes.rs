//! R: the routes of a result and those of the sandbox.

use std::net::IpAddr;

use serde_json::Value;

use super::{list, own, text};
use crate::case::Source::{Plugins, Spec};
use crate::case::Versions::Each;
use crate::case::{Finding, Verdict, expect};
use crate::pod::Pod;
use crate::world::World;

cases! {
    Results;
    routes_are_there: Must, ["A13", "A14", "R04"], [Spec("Result types"), Plugins], Each, Each,
        "each route that the plugin lists is in the sandbox, by its gateway, with the metric, table, scope, mtu and advmss that it says, and metric 0 if it says none";
}

/// Numbers as `ip -N` shows them: some as texts.
fn number(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

/// The address that a text says: IPv6 has many texts for one.
fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// What the kernel makes of metric 0 for IPv6, and the metric of its routes to a link's own network.
const METRICS_OF_IPV6: [u64; 3] = [0, 1024, 256];

/// Whether `shown`, a route of the kernel, is what `route` says. A route without `gw` may go by a gateway of `ips`, which
/// the specification allows.
fn is_it(shown: &Value, route: &Value, gateways: &[IpAddr]) -> bool {
    let is_v6 = text(route, "dst").contains(':');
    let gateway = address(text(shown, "gateway"));
    let by_gateway = match (text(route, "gw"), gateway) {
        ("", None) => true,
        ("", Some(gateway)) => gateways.contains(&gateway),
        (gw, gateway) => gateway.is_some() && gateway == address(gw),
    };
    let metric = shown["metric"].as_u64().unwrap_or(0);
    let with_metric = match route["priority"].as_u64().unwrap_or(0) {
        0 if is_v6 => METRICS_OF_IPV6.contains(&metric),
        said => metric == said,
    };
    let in_table = route.get("table").is_none_or(|said| {
        // 0 is none, which is the main one
        let said = said.as_u64().map(|said| if said == 0 { 254 } else { said });
        said == number(&shown["table"])
    });
    // of IPv6 the kernel knows no scope
    let with_scope = route
        .get("scope")
        .is_none_or(|said| is_v6 || said.as_u64() == number(&shown["scope"]));
    let measured = ["mtu", "advmss"].into_iter().all(|key| {
        let said = route[key].as_u64().unwrap_or(0);
        said == 0 || shown["metrics"][0][key].as_u64() == Some(said)
    });
    by_gateway && with_metric && in_table && with_scope && measured
}

fn routes_are_there(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    listed_routes_are_there(&*world.pod()?, &result)
}

/// Each route that `result` lists beyond what was there before the plugin is in the sandbox.
///
/// # Errors
/// One is not.
pub(in crate::cases) fn listed_routes_are_there(pod: &Pod, result: &Value) -> Result<(), Finding> {
    let gateways: Vec<IpAddr> = list(result, "ips")
        .iter()
        .filter_map(|ip| address(text(ip, "gateway")))
        .collect();
    for route in own(pod, result, "routes") {
        let dst = text(&route, "dst");
        let family = if dst.contains(':') { "-6" } else { "-4" };
        let asked = [family, "-N", "-d", "-j", "route", "show", "exact", dst];
        let shown = pod.netns.ip(&[&asked[..], &["table", "all"]].concat())?;
        let routes: Value = serde_json::from_str(&shown).unwrap_or_default();
        let there = routes
            .as_array()
            .is_some_and(|routes| routes.iter().any(|one| is_it(one, &route, &gateways)));
        expect(there, || format!("{route} is not among {shown}"))?;
    }
    Ok(())
}
