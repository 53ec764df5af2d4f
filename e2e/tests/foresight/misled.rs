//! Connections that break, history that is forgotten, answers that are none: what is seen in the end is right.

use anyhow::ensure;
use e2e::apiserver::{Fault, FaultKind, Garbage, Verb};
use e2e::node::POD_NAMESPACE;

use crate::fixture::{add_pods, answer};
use crate::site::{Site, pod};

/// The watch cannot go on, and meanwhile pods come and go.
fn behind_its_back(site: &Site, fault: Fault) -> anyhow::Result<()> {
    site.api.fault(fault);
    site.api.disconnect();
    ensure!(site.api.delete(POD_NAMESPACE, "web-0"));
    site.bind("new", 2);
    Ok(())
}

fn unavailable() -> Fault {
    let kind = FaultKind::Status {
        code: 503,
        retry_after: None,
    };
    Fault::always(kind).of(Verb::Watch)
}

#[test]
fn a_broken_watch_misses_nothing() -> anyhow::Result<()> {
    let Some(site) = Site::start("broken")? else {
        return Ok(());
    };
    site.bind("web", 3);
    site.expects(3)?;
    behind_its_back(&site, unavailable())?;
    site.api.clear_faults();
    site.prepares(4)?;
    ensure!(
        site.api.count(Verb::List, "pods") == 1,
        "it went on where it was"
    );
    answer(site.member(), &add_pods(site.member(), "new", 2)?)?;
    site.expects(2)
}

#[test]
fn a_history_that_is_forgotten_is_listed_again() -> anyhow::Result<()> {
    let Some(site) = Site::start("forgot")? else {
        return Ok(());
    };
    site.bind("web", 3);
    site.expects(3)?;
    behind_its_back(&site, unavailable())?;
    site.api.compact();
    site.api.clear_faults();
    site.prepares(4)?;
    ensure!(
        site.api.count(Verb::List, "pods") == 2,
        "{:?}",
        site.api.asked()
    );
    // The same, told in the midst of a watch.
    let expired = FaultKind::ErrorEvent { code: 410 };
    site.api.fault(Fault::once(expired).of(Verb::Watch));
    site.api.disconnect();
    site.api.bind(&pod("last"));
    site.expects(5)?;
    ensure!(
        site.api.count(Verb::List, "pods") == 3,
        "{:?}",
        site.api.asked()
    );
    Ok(())
}

/// Slow, because what goes wrong again and again is asked less and less.
#[test]
fn answers_that_are_none_are_not_believed() -> anyhow::Result<()> {
    let Some(site) = Site::start("garbage")? else {
        return Ok(());
    };
    site.bind("web", 3);
    site.prepares(3)?;
    let garbage = |shape| FaultKind::Garbage { shape };
    // Each of these makes it ask again, later and later, and meet the next.
    for (verb, kind) in [
        (Verb::List, garbage(Garbage::Html)),
        (Verb::List, garbage(Garbage::Truncated)),
        (Verb::Watch, garbage(Garbage::Endless)),
        (Verb::Watch, FaultKind::Cut),
    ] {
        site.api.fault(Fault::once(kind).of(verb));
    }
    let lists = site.api.count(Verb::List, "pods");
    site.api.compact();
    site.api.disconnect();
    site.blinded("no answer of an API server")?;
    ensure!(site.expected()? == 3, "what was seen is believed");
    answer(site.member(), &add_pods(site.member(), "web", 3)?)?;
    site.bind("new", 2);
    site.prepares(2)?;
    site.sees()?;
    let lists = site.api.count(Verb::List, "pods") - lists;
    ensure!((3..=4).contains(&lists), "{lists} lists");
    Ok(())
}
