//! What is asked for ahead of the ADDs, and what is not.

use std::time::Duration;

use anyhow::ensure;
use e2e::node::POD_NAMESPACE;
use serde_json::json;

use crate::fixture::{RESERVE, add_pods, answer, calls, eventually};
use crate::site::{SEEN, Site, pod};

/// Addresses are given back after 60 s without use.
const GIVEN_BACK: Duration = Duration::from_secs(120);
const ASSIGN: &str = "AssignPrivateIpAddresses";

#[test]
fn bound_pods_find_their_addresses_and_others_wait() -> anyhow::Result<()> {
    let Some(site) = Site::start("ahead")? else {
        return Ok(());
    };
    let member = site.member();
    site.bind("web", 6);
    site.prepares(6)?;
    let pods = add_pods(member, "web", 6)?;
    ensure!(
        site.waits()? == (6.0, 6.0),
        "{:?} did not wait",
        site.waits()?
    );
    site.expects(0)?;
    answer(member, &pods)?;
    // The same number without the scheduler's word is more than the reserve, and waits for EC2.
    let free = f64::from(member.node.status()?.addresses.free);
    ensure!(free < 6.0, "{free} are free");
    let others = add_pods(member, "unseen", 6)?;
    let (at_once, all) = site.waits()?;
    ensure!(
        all == 12.0 && at_once < 12.0,
        "{at_once} of {all} did not wait"
    );
    answer(member, &others)
}

#[test]
fn pods_that_need_no_address_of_the_node_ask_for_none() -> anyhow::Result<()> {
    let Some(site) = Site::start("noneed")? else {
        return Ok(());
    };
    let (node, api) = (&site.member().node, &site.api);
    let (held, asked) = (
        node.status()?.addresses.held,
        calls(&site.cluster, ASSIGN).len(),
    );
    for n in 0..5 {
        api.bind(&pod(&format!("agent-{n}")).in_host_network());
    }
    let elsewhere = e2e::apiserver::PodSpec::new(POD_NAMESPACE, "elsewhere", "n2");
    api.bind(&elsewhere);
    for (name, pointer, value) in [
        ("done", "/status/phase", json!("Succeeded")),
        (
            "ends",
            "/metadata/deletionTimestamp",
            json!("2026-01-01T00:00:00Z"),
        ),
    ] {
        api.bind(&pod(name));
        ensure!(api.set(POD_NAMESPACE, name, pointer, value));
    }
    // Told after all of these.
    api.bind(&pod("real"));
    site.expects(1)?;
    ensure!(api.delete(POD_NAMESPACE, "real"));
    site.expects(0)?;
    ensure!(
        node.status()?.addresses.held <= held,
        "more than before are held"
    );
    ensure!(
        calls(&site.cluster, ASSIGN).len() == asked,
        "more was asked for"
    );
    Ok(())
}

/// What is too much is kept for minutes where the subnet has room; so somebody else takes the rest of it.
#[test]
fn pods_that_go_before_they_ask_give_their_addresses_back() -> anyhow::Result<()> {
    let Some(site) = Site::start("early")? else {
        return Ok(());
    };
    site.bind("gone", 8);
    site.prepares(8)?;
    for n in 0..8 {
        ensure!(site.api.delete(POD_NAMESPACE, &format!("gone-{n}")));
    }
    site.expects(0)?;
    site.cluster.fill_subnet()?;
    eventually("their addresses are given back", GIVEN_BACK, || {
        let held = site.member().holdings(site.cluster.cloud()).len();
        ensure!(held <= RESERVE, "{held} are held");
        Ok(())
    })
}

#[test]
fn a_daemon_that_is_killed_asks_for_nothing_twice() -> anyhow::Result<()> {
    let Some(site) = Site::start("killed")? else {
        return Ok(());
    };
    let member = site.member();
    site.bind("old", 4);
    site.prepares(4)?;
    let pods = add_pods(member, "old", 4)?;
    site.bind("new", 3);
    site.prepares(3)?;
    // With what it holds in reserve besides.
    member.settled(site.cluster.cloud(), SEEN)?;
    let asked = calls(&site.cluster, ASSIGN).len();
    member.node.kill_daemon()?;
    site.start_daemon()?;
    site.expects(3)?;
    member.settled(site.cluster.cloud(), SEEN)?;
    ensure!(
        calls(&site.cluster, ASSIGN).len() == asked,
        "more was asked for"
    );
    let new = add_pods(member, "new", 3)?;
    ensure!(
        site.waits()? == (3.0, 3.0),
        "{:?} did not wait",
        site.waits()?
    );
    answer(member, &pods)?;
    answer(member, &new)
}
