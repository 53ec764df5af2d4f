//! The API server is away, hangs, or does not let us: pods are served all the same, and it is said why and once.

use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::apiserver::{Fault, FaultKind, Verb};
use e2e::cluster::DAEMON_PATIENCE;
use serde_json::Value;

use crate::fixture::{add_pods, answer, logged};
use crate::site::{SEEN, Site};

/// The lines of the log about what is seen.
fn said(site: &Site) -> anyhow::Result<Vec<Value>> {
    let mut lines = logged(&site.member().node, "WARN")?;
    lines.extend(logged(&site.member().node, "ERROR")?);
    lines.retain(|line| {
        let target = line["target"].as_str().unwrap_or_default();
        line["feature"] == "bound-pods" || target.starts_with("kube")
    });
    Ok(lines)
}

#[test]
fn away_at_the_start_and_later() -> anyhow::Result<()> {
    let Some(mut site) = Site::without_daemon("absent")? else {
        return Ok(());
    };
    site.start_daemon()?;
    site.blinded("Connection refused")?;
    ensure!(site.expected()?.is_null());
    answer(site.member(), &add_pods(site.member(), "early", 3)?)?;
    site.bind("web", 4);
    site.come()?;
    site.prepares(4)?;
    site.sees()?;
    ensure!(said(&site)?.len() == 1, "{:?}", said(&site)?);
    site.go();
    site.blinded("Connection refused")?;
    // What was seen is believed for some minutes.
    ensure!(site.expected()? == 4);
    answer(site.member(), &add_pods(site.member(), "web", 4)?)?;
    site.expects(0)
}

#[test]
fn nobody_has_said_which_node_this_is_or_where_the_api_server_is() -> anyhow::Result<()> {
    let Some(mut site) = Site::without_daemon("unset")? else {
        return Ok(());
    };
    let node = &mut site.cluster.members[0].node;
    node.set("MY_NODE_NAME", "");
    site.start_daemon()?;
    let told = site.blinded("MY_NODE_NAME is not set")?;
    ensure!(told["remedy"].to_string().contains("KUBECONFIG"), "{told}");
    answer(site.member(), &add_pods(site.member(), "pod", 3)?)?;
    ensure!(said(&site)?.len() == 1, "{:?}", said(&site)?);
    let node = &mut site.cluster.members[0].node;
    node.stop_daemon(DAEMON_PATIENCE)?;
    node.set("MY_NODE_NAME", crate::site::NODE);
    node.set("KUBECONFIG", "");
    site.start_daemon()?;
    site.blinded("no KUBECONFIG and no service account")
        .map(drop)
}

#[test]
fn not_allowed_then_not_known() -> anyhow::Result<()> {
    let Some(mut site) = Site::without_daemon("denied")? else {
        return Ok(());
    };
    site.come()?;
    let status = |code| FaultKind::Status {
        code,
        retry_after: None,
    };
    site.api.fault(Fault::always(status(403)).on("pods"));
    site.start_daemon()?;
    let told = site.blinded("403 Forbidden")?;
    ensure!(told["remedy"].to_string().contains("ClusterRole"), "{told}");
    answer(site.member(), &add_pods(site.member(), "pod", 3)?)?;
    ensure!(said(&site)?.len() == 1, "{:?}", said(&site)?);
    site.api.clear_faults();
    site.bind("web", 2);
    site.prepares(2)?;
    site.sees()?;
    site.lasts();
    site.api.fault(Fault::always(status(401)));
    site.api.disconnect();
    let told = site.blinded("401 Unauthorized")?;
    ensure!(told["remedy"].to_string().contains("token"), "{told}");
    site.api.clear_faults();
    site.sees()?;
    site.lasts();
    // Who may see pods but no nodes sees pods.
    site.api.fault(Fault::always(status(403)).on("nodes"));
    site.api.compact();
    site.api.disconnect();
    site.blinded("get of the node: 403")?;
    site.bind("more", 2);
    site.expects(4)
}

#[test]
fn overloaded() -> anyhow::Result<()> {
    let Some(mut site) = Site::without_daemon("busy")? else {
        return Ok(());
    };
    site.come()?;
    let busy = FaultKind::Status {
        code: 429,
        retry_after: Some(4),
    };
    site.api.fault(Fault::always(busy));
    site.start_daemon()?;
    site.blinded("429 Too Many Requests")?;
    let before = site.api.asked().len();
    std::thread::sleep(Duration::from_secs(8));
    let asked = site.api.asked().len() - before;
    ensure!(
        asked <= 2,
        "asked {asked} times in 8 s, each 4 s at most were wished"
    );
    site.api.clear_faults();
    site.bind("web", 3);
    site.prepares(3)?;
    ensure!(said(&site)?.len() == 1, "{:?}", said(&site)?);
    site.sees()
}

/// Half a minute long: that is how patient it is with one question.
#[test]
fn it_hangs() -> anyhow::Result<()> {
    let Some(mut site) = Site::without_daemon("hangs")? else {
        return Ok(());
    };
    site.come()?;
    site.api.fault(Fault::always(FaultKind::Hang));
    site.start_daemon()?;
    answer(site.member(), &add_pods(site.member(), "pod", 3)?)?;
    site.blinded("no word from the API server for 30 s")?;
    site.api.clear_faults();
    site.bind("web", 3);
    site.prepares(3)?;
    // Slow is not away.
    let slow = FaultKind::Slow { ms: 3000 };
    site.api.fault(Fault::always(slow).of(Verb::Watch));
    site.api.disconnect();
    site.bind("late", 2);
    site.prepares(5)?;
    let told = site.blindness()?;
    ensure!(told.is_none(), "{told:?}");
    Ok(())
}

#[test]
fn it_lists_once_and_watches_with_a_selector() -> anyhow::Result<()> {
    let Some(site) = Site::start("asks")? else {
        return Ok(());
    };
    site.bind("web", 20);
    site.expects(20)?;
    site.api.disconnect();
    site.bind("more", 5);
    crate::fixture::eventually("all", SEEN, || {
        // 29 at most, and none of them has an address yet.
        let expected = site.expected()?;
        ensure!(expected == 25, "{expected}");
        Ok(())
    })?;
    let asked = site.api.asked();
    let of = |verb: Verb| asked.iter().filter(move |asked| asked.verb == verb);
    ensure!(of(Verb::List).count() == 1, "{asked:?}");
    ensure!((1..=4).contains(&of(Verb::Watch).count()), "{asked:?}");
    let selected = format!("fieldSelector=spec.nodeName%3D{}", crate::site::NODE);
    for request in of(Verb::List).chain(of(Verb::Watch)) {
        ensure!(request.uri.contains(&selected), "{}", request.uri);
    }
    let watch = of(Verb::Watch).next().context("no watch")?;
    ensure!(
        watch.uri.contains("allowWatchBookmarks=true"),
        "{}",
        watch.uri
    );
    ensure!(watch.uri.contains("timeoutSeconds="), "{}", watch.uri);
    let list = of(Verb::List).next().context("no list")?;
    ensure!(list.uri.contains("resourceVersion=0"), "{}", list.uri);
    Ok(())
}
