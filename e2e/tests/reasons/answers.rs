//! EC2 answers with an error of its own, with nonsense, late, or not at all.

use e2e::mock::{Fault, FaultKind, Garbage};

use crate::told::{ASSIGN, Case, error};

const AWAY: &str = "EC2 does not answer";

#[test]
fn an_error_of_the_server() -> anyhow::Result<()> {
    let case = Case {
        call: Some((ASSIGN, "Doubtful")),
        remedy: "EC2 endpoint",
        code: "InternalError",
        ..Case::refused("e500", ASSIGN, "ApiUnreachable", AWAY)
    };
    case.under(&[Fault::always("*", error("InternalError", 500))])
}

#[test]
fn a_service_that_is_unavailable_for_a_moment() -> anyhow::Result<()> {
    Case::served("e503", ASSIGN, "Doubtful", "Unavailable").under(&[Fault::times(
        ASSIGN,
        error("Unavailable", 503),
        2,
    )])
}

#[test]
fn an_error_after_the_effect() -> anyhow::Result<()> {
    let late = FaultKind::ErrorAfter {
        code: "InternalError".to_owned(),
        status: 500,
    };
    Case::served("late500", ASSIGN, "Doubtful", "InternalError")
        .under(&[Fault::times(ASSIGN, late, 2)])
}

#[test]
fn a_reply_that_is_lost() -> anyhow::Result<()> {
    Case::served("lost", ASSIGN, "Doubtful", "NoAnswer")
        .under(&[Fault::once(ASSIGN, FaultKind::LostReply)])
}

/// The call is given up after 10 s; the ADD has 20.
#[test]
fn a_call_that_is_never_answered() -> anyhow::Result<()> {
    Case::served("timeout", ASSIGN, "Doubtful", "NoAnswer")
        .under(&[Fault::once(ASSIGN, FaultKind::Timeout)])
}

#[test]
fn a_call_that_takes_too_long() -> anyhow::Result<()> {
    let case = Case {
        call: None,
        remedy: "the runtime tries again",
        ..Case::refused(
            "slow",
            ASSIGN,
            "Timeout",
            "the address did not come in time",
        )
    };
    let Some(cluster) = case.start()? else {
        return Ok(());
    };
    let slow = Fault::once(ASSIGN, FaultKind::Slow { ms: 8000 });
    cluster.cloud().fault(slow);
    let _pods = crate::told::use_reserve(&cluster.members[0])?;
    case.is_told_at_once(&cluster.members[0])?;
    crate::told::recovers(&cluster, &cluster.members[0])
}

fn garbage(name: &'static str, shape: Garbage) -> anyhow::Result<()> {
    let garbage = FaultKind::Garbage { shape };
    Case::served(name, ASSIGN, "Doubtful", "BadAnswer").under(&[Fault::times(ASSIGN, garbage, 2)])
}

#[test]
fn half_an_answer() -> anyhow::Result<()> {
    garbage("half", Garbage::Truncated)
}

#[test]
fn another_services_answer() -> anyhow::Result<()> {
    garbage("other", Garbage::WrongRoot)
}

#[test]
fn an_empty_answer() -> anyhow::Result<()> {
    garbage("empty", Garbage::Empty)
}

#[test]
fn a_proxys_page_for_every_call() -> anyhow::Result<()> {
    let case = Case {
        call: Some((ASSIGN, "Doubtful")),
        remedy: "EC2 endpoint",
        code: "BadAnswer",
        ..Case::refused("proxy", ASSIGN, "ApiUnreachable", AWAY)
    };
    let page = FaultKind::Garbage {
        shape: Garbage::Html,
    };
    case.under(&[Fault::always("*", page)])
}
