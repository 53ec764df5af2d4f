//! EC2's and instance metadata's readers lie behind, in one direction, in the other, or show nonsense.

use e2e::cluster::DAEMON_PATIENCE;
use e2e::mock::{Fault, FaultKind, Garbage, IMDS};

use crate::fixture::{add_pods, answer, del_pods};
use crate::told::{ASSIGN, Case, DESCRIBE, SLOW, recovers};

/// A lost reply makes berth look, and what it sees is not there yet, or not there any more.
fn looks_while(name: &'static str, kind: FaultKind) -> anyhow::Result<()> {
    let case = Case::served(name, ASSIGN, "Doubtful", "NoAnswer");
    case.under(&[
        Fault::once(ASSIGN, FaultKind::LostReply),
        Fault::times(DESCRIBE, kind, 4),
    ])
}

#[test]
fn a_describe_that_does_not_show_yet_what_is_there() -> anyhow::Result<()> {
    looks_while("hides", FaultKind::Hides { ms: 1500 })
}

#[test]
fn a_describe_that_still_shows_what_has_gone() -> anyhow::Result<()> {
    looks_while("ghosts", FaultKind::Ghosts { ms: 200_000 })
}

#[test]
fn a_describe_of_a_moment_ago() -> anyhow::Result<()> {
    looks_while("stale", FaultKind::Stale { ms: 1500 })
}

/// Metadata is asked for at each start; what it shows of addresses is not believed.
#[test]
fn metadata_behind_in_both_directions_across_a_restart() -> anyhow::Result<()> {
    for (name, kind) in [
        ("imdslate", FaultKind::Hides { ms: 200_000 }),
        ("imdsghost", FaultKind::Ghosts { ms: 200_000 }),
    ] {
        let case = Case::served(name, ASSIGN, "Doubtful", "");
        let Some(cluster) = case.start()? else {
            return Ok(());
        };
        let member = &cluster.members[0];
        let pods = add_pods(member, "pod", 11)?;
        let mut stay = pods;
        let gone = stay.split_off(6);
        del_pods(member, gone)?;
        member.node.kill_daemon()?;
        cluster.cloud().fault(Fault::always(IMDS, kind));
        member.node.start_daemon(DAEMON_PATIENCE)?;
        stay.extend(add_pods(member, "more", 4)?);
        answer(member, &stay)?;
        cluster.cloud().clear_faults();
        member.settled(cluster.cloud(), SLOW)?;
    }
    Ok(())
}

/// A daemon that cannot make out who it is says so, and finds out when it can.
#[test]
fn metadata_that_is_a_proxys_page() -> anyhow::Result<()> {
    let case = Case {
        call: None,
        remedy: "the runtime tries again",
        ..Case::refused(
            "imdspage",
            "",
            "DaemonStarting",
            "still finding out about its node",
        )
    };
    let Some(cluster) = case.start()? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    member.node.kill_daemon()?;
    std::fs::remove_file(member.node.checkpoint())?;
    let page = FaultKind::Garbage {
        shape: Garbage::Html,
    };
    cluster.cloud().fault(Fault::always(IMDS, page));
    member.node.start_daemon(DAEMON_PATIENCE)?;
    // There is no address to serve metrics on before metadata has named it.
    case.is_told_but_for_metrics(member, SLOW)?;
    cluster.cloud().clear_faults();
    recovers(&cluster, member)?;
    case.metrics_say(member)
}
