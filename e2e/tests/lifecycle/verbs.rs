//! CHECK, STATUS and GC as a runtime calls them, with the built programs.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail, ensure};
use e2e::cluster::{DAEMON_PATIENCE, Member};
use e2e::netns::Netns;
use e2e::netns::snapshot::Snapshot;
use e2e::node::{NETWORK, POD_NAMESPACE};
use e2e::runtime::Runtime;
use e2e::runtime::attachment::{Attachment, random_container_id};
use e2e::runtime::conflist::Version;
use e2e::runtime::failure::{ChainFailure, CniError};

use crate::fixture::{M5_LARGE, SOON, TRY_AGAIN, as_before, config, eventually, start};

/// STATUS "cannot serve ADD" (CNI specification, "Error").
const UNAVAILABLE: u64 = 50;
/// berth's own: the kernel contradicts what was made.
pub const CONFLICT: u64 = 102;
/// The group of links that wait for the reaper (docs/architecture.md, "The host layout").
const REAPED: &str = "6999";
/// The second that STATUS may take, on a machine with much to do.
const IN_TIME: Duration = Duration::from_secs(5);

/// A sandbox and its attachment.
pub struct Sandbox {
    pub netns: Netns,
    pub attachment: Attachment,
}

pub fn sandbox(name: &str) -> anyhow::Result<Sandbox> {
    let netns = Netns::unique(&format!("verbs-{name}"))?;
    let (id, path) = (random_container_id()?, netns.path().to_owned());
    Ok(Sandbox {
        attachment: Attachment::of_pod(POD_NAMESPACE, name, id, path),
        netns,
    })
}

fn reported<T>(result: Result<T, ChainFailure>) -> anyhow::Result<CniError> {
    match result {
        Ok(_) => bail!("it succeeded"),
        Err(failure) => {
            let error = failure.reported().cloned();
            error.with_context(|| format!("no error of the plugin: {failure}"))
        }
    }
}

/// What is broken in the pod, and the word of CHECK for it.
const DAMAGES: [(&[&str], &str); 3] = [
    (
        &["neigh", "flush", "dev", "eth0", "nud", "permanent"],
        "neighbour 169.254.1.1",
    ),
    (&["route", "del", "default"], "route to 0.0.0.0/0"),
    (&["addr", "flush", "dev", "eth0"], "address "),
];

#[test]
fn check_passes_after_add_in_each_version_and_names_what_was_broken_since() -> anyhow::Result<()> {
    let Some(cluster) = start(config("check"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let host = member.node.netns();
    // with portmap behind it, as the shipped list
    let pod = member.node.add_pod("chain", &[])?;
    member.node.runtime().check(host, &pod.attachment)?;
    for version in [Version::V0_4_0, Version::V1_0_0, Version::V1_1_0] {
        check_in(&member.node.runtime_of(NETWORK, version)?, host)?;
    }
    member.node.stop_daemon(DAEMON_PATIENCE)?;
    let error = reported(member.node.runtime().check(host, &pod.attachment))?;
    ensure!(error.code == TRY_AGAIN, "without a daemon: {error}");
    member.node.start_daemon(DAEMON_PATIENCE)?;
    member.node.runtime().check(host, &pod.attachment)?;
    Ok(())
}

fn check_in(runtime: &Runtime, host: &Netns) -> anyhow::Result<()> {
    let pod = sandbox("one")?;
    let added = runtime.add(host, &pod.attachment)?;
    let before = (Snapshot::take(host)?, Snapshot::take(&pod.netns)?);
    runtime.check(host, &pod.attachment)?;
    let after = (Snapshot::take(host)?, Snapshot::take(&pod.netns)?);
    let changed = (before.0.changes(&after.0), before.1.changes(&after.1));
    ensure!(
        changed.0.is_empty() && changed.1.is_empty(),
        "CHECK changed something: {changed:?}"
    );
    // the host's side is mended without being asked
    let link = added.result.json()["interfaces"][0]["name"].clone();
    let link = link.as_str().context("no host link")?;
    let address = added.result.pod_address().context("no address")?;
    host.ip(&["link", "set", link, "group", "0"])?;
    host.ip(&["route", "del", &address.to_string(), "table", "20512"])?;
    eventually("mended", SOON, || Ok(runtime.check(host, &pod.attachment)?))?;
    for (damage, word) in DAMAGES {
        pod.netns.ip(damage)?;
        let error = reported(runtime.check(host, &pod.attachment))?;
        ensure!(
            error.code == CONFLICT && error.msg.contains(word),
            "{damage:?}: {error}"
        );
    }
    runtime.del(host, &pod.attachment)?;
    runtime.add(host, &pod.attachment)?;
    runtime.check(host, &pod.attachment)?;
    runtime.del(host, &pod.attachment)?;
    reaped(host)
}

/// The links of the DELs before this are deleted: the reaper comes a moment after the answer.
fn reaped(host: &Netns) -> anyhow::Result<()> {
    eventually("links of deleted pods gone", SOON, || {
        let links = host.ip(&["-o", "link", "show", "group", REAPED])?;
        ensure!(links.is_empty(), "{links}");
        Ok(())
    })
}

/// The daemon was last alive so long ago.
fn last_alive(member: &Member, ago: Duration) -> anyhow::Result<()> {
    let file = File::options().write(true).open(heartbeat(member))?;
    file.set_modified(SystemTime::now() - ago)?;
    Ok(())
}

fn heartbeat(member: &Member) -> PathBuf {
    member.node.socket().with_extension("alive")
}

fn status(runtime: &Runtime, member: &Member) -> anyhow::Result<()> {
    let times = runtime.status(member.node.netns())?;
    ensure!(times.len() == 1 && times[0].elapsed < IN_TIME, "{times:?}");
    Ok(())
}

#[test]
fn status_fails_only_when_no_daemon_was_alive_for_a_minute() -> anyhow::Result<()> {
    let Some(cluster) = start(config("status"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let runtime = member.node.runtime_of(NETWORK, Version::V1_1_0)?;
    let unavailable = || -> anyhow::Result<()> {
        let started = std::time::Instant::now();
        let error = reported(runtime.status(member.node.netns()))?;
        let took = started.elapsed();
        ensure!(
            error.code == UNAVAILABLE && took < IN_TIME,
            "{took:?}: {error}"
        );
        Ok(())
    };
    let minute = Duration::from_secs(70);
    status(&runtime, member)?;
    // hangs
    member.node.pause_daemon()?;
    status(&runtime, member)?;
    last_alive(member, minute)?;
    unavailable()?;
    member.node.resume_daemon()?;
    status(&runtime, member)?;
    // the time is renewed by itself
    eventually("the heartbeat is new", SOON, || {
        let age = std::fs::metadata(heartbeat(member))?
            .modified()?
            .elapsed()?;
        ensure!(age < Duration::from_secs(60), "{age:?}");
        Ok(())
    })?;
    // crashed, then away for long, then back
    member.node.kill_daemon()?;
    status(&runtime, member)?;
    last_alive(member, minute)?;
    unavailable()?;
    std::fs::remove_file(heartbeat(member))?;
    unavailable()?;
    member.node.start_daemon(DAEMON_PATIENCE)?;
    status(&runtime, member)?;
    member.node.stop_daemon(DAEMON_PATIENCE)?;
    status(&runtime, member)
}

#[test]
fn status_is_well_when_no_address_can_be_had() -> anyhow::Result<()> {
    let mut config = config("full");
    config.latency = e2e::mock::Latency::flat(Duration::from_millis(5));
    let wait = [("BERTH_ADD_WAIT_SECONDS", "1")];
    let Some(cluster) = start(config, crate::fixture::T3_NANO, 1, &wait)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let _pods = crate::fixture::add_pods(member, "pod", 2)?;
    let refused = crate::fixture::refusal(member.node.add_pod("one-more", &[]))?;
    ensure!(refused.code == TRY_AGAIN, "{refused}");
    status(&member.node.runtime_of(NETWORK, Version::V1_1_0)?, member)
}

#[test]
fn gc_releases_what_the_runtime_does_not_name_and_no_other_networks() -> anyhow::Result<()> {
    let Some(cluster) = start(config("gc"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let host = member.node.netns();
    let before = Snapshot::take(host)?;
    let runtime = member.node.runtime_of(NETWORK, Version::V1_1_0)?;
    let another = member.node.runtime_of("another", Version::V1_1_0)?;
    let pods = ["stays", "cached", "forgotten", "killed", "elsewhere"].map(sandbox);
    let [stays, cached, forgotten, killed, elsewhere] = pods;
    let (stays, cached, forgotten) = (stays?, cached?, forgotten?);
    let (killed, elsewhere) = (killed?, elsewhere?);
    for pod in [&stays, &cached, &forgotten, &killed] {
        runtime.add(host, &pod.attachment)?;
    }
    another.add(host, &elsewhere.attachment)?;
    // its result was never written; and one whose namespace went while nobody looked
    for pod in [&forgotten, &killed] {
        std::fs::remove_file(runtime.cache().path(runtime.conflist(), &pod.attachment))?;
    }
    let gone = killed.attachment.container_id.clone();
    drop(killed);
    ensure!(member.node.status()?.attachments.len() == 5);

    member.node.kill_daemon()?;
    let failures = runtime.gc(host, &[&stays.attachment]).err();
    let failures = failures.context("GC without a daemon succeeded")?;
    let error = failures.last().and_then(ChainFailure::reported);
    ensure!(
        failures.len() == 1 && error.is_some_and(|error| error.code == TRY_AGAIN),
        "{failures:?}"
    );
    member.node.start_daemon(DAEMON_PATIENCE)?;
    collect(&runtime, host, &[&stays.attachment])?;
    let left = member.node.status()?.attachments;
    let ids: Vec<_> = left.iter().map(|left| left.container_id.as_str()).collect();
    let kept = [&stays, &elsewhere].map(|pod| pod.attachment.container_id.as_str());
    ensure!(
        ids.len() == 2 && kept.iter().all(|id| ids.contains(id)) && !ids.contains(&gone.as_str()),
        "left: {ids:?}"
    );
    runtime.check(host, &stays.attachment)?;
    another.check(host, &elsewhere.attachment)?;
    // nothing is valid, in each network by itself
    collect(&runtime, host, &[])?;
    another.check(host, &elsewhere.attachment)?;
    collect(&another, host, &[])?;
    ensure!(member.node.status()?.attachments.is_empty());
    as_before(&member.node, &before, SOON)
}

fn collect(runtime: &Runtime, host: &Netns, valid: &[&Attachment]) -> anyhow::Result<()> {
    match runtime.gc(host, valid) {
        Ok(()) => Ok(()),
        Err(failures) => bail!("GC: {failures:?}"),
    }
}
