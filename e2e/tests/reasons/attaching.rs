//! An ENI that comes late, not at all, or whose attachment fails.

use std::time::Duration;

use e2e::mock::{Fault, FaultKind};

use crate::fixture::{T3_NANO, eventually, status_json};
use crate::told::{ATTACH, Case, NO_LINK, SLOW, recovers, use_reserve};

fn case(name: &'static str, reason: &'static str, words: &'static str) -> Case {
    Case {
        // its primary ENI has room for one pod
        instance: T3_NANO,
        call: None,
        remedy: "nothing to do",
        ..Case::refused(name, ATTACH, reason, words)
    }
}

#[test]
fn a_link_that_comes_late() -> anyhow::Result<()> {
    let case = case("late", "Attaching", "an ENI is being attached, begun");
    case.under(&[Fault::once(ATTACH, FaultKind::SlowAttach { ms: 9000 })])
}

/// It has half a minute before it is not counted on any more; giving it up takes three minutes, which the actor's own
/// tests wait for under a clock of theirs.
#[test]
fn a_link_that_never_comes() -> anyhow::Result<()> {
    let case = Case {
        // the failed action is the wait for the link, which is no call to EC2
        call: Some(("no link with MAC", NO_LINK)),
        ..case(
            "nolink",
            "NoLink",
            "does not appear although EC2 has attached it",
        )
    };
    let Some(cluster) = case.start()? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    cluster
        .cloud()
        .fault(Fault::always(ATTACH, FaultKind::NoLink));
    let _pods = use_reserve(member)?;
    case.is_told_within(member, SLOW)
}

#[test]
fn an_attachment_that_fails() -> anyhow::Result<()> {
    let case = Case {
        call: Some(("no link with MAC", NO_LINK)),
        ..case("failed", "Attaching", "an ENI is being attached, begun")
    };
    let Some(cluster) = case.start()? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let fails = FaultKind::FailAttach { ms: 300 };
    cluster.cloud().fault(Fault::once(ATTACH, fails));
    let _pods = use_reserve(member)?;
    // then EC2 is asked, and another one is made
    eventually("an ENI comes after all", SLOW, || {
        let status = status_json(&member.node)?;
        let enis = status["enis"].as_array().map_or(0, Vec::len);
        let ready = member
            .node
            .status()?
            .enis
            .iter()
            .all(|eni| eni.state == "ready");
        std::thread::sleep(Duration::from_millis(200));
        anyhow::ensure!(enis == 2 && ready, "{}", status["enis"]);
        Ok(())
    })?;
    recovers(&cluster, member)?;
    case.log_says_of_call(member)
}
