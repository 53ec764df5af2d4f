//! `berthd plan` as a person runs it, without a node, a cloud or root.

use std::process::{Command, Output};

use anyhow::Context;
use e2e::node::programs::{BERTHD, find};

fn plan(args: &[&str]) -> anyhow::Result<Output> {
    let berthd = find(BERTHD)?;
    // Nothing of the environment is read, and nothing of it is needed.
    let mut command = Command::new(berthd);
    command.env_clear().arg("plan").args(args);
    command.output().context("run berthd plan")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_plan_says_what_it_means_and_a_mistake_what_to_do() -> anyhow::Result<()> {
    let huge = "type=m6a.32xlarge,count=45,pods=1,host-network=3";
    let done = plan(&["--group", huge, "--subnet", "10.0.0.0/20"])?;
    let page = text(&done.stdout);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(
        page.contains("aws-default    10.0.0.0/20 runs dry with its 41st node"),
        "{page}"
    );
    assert!(page.contains("berth          fits: "), "{page}");

    let json = plan(&[
        "--group",
        huge,
        "--subnet",
        "10.0.0.0/20",
        "--policy",
        "berth",
        "--json",
    ])?;
    let document: serde_json::Value = serde_json::from_slice(&json.stdout)?;
    assert_eq!(document["policies"][0]["fits"], true, "{document:#}");

    let wrong = plan(&["--group", "m5.larg,count=0", "--subnet", "10.0.0.0/30"])?;
    let told = text(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(1), "{told}");
    assert!(wrong.stdout.is_empty(), "{}", text(&wrong.stdout));
    assert!(
        told.starts_with("berthd: the plan has 2 mistakes:\n"),
        "{told}"
    );
    for each in ["did you mean m5.large", "which are /16 to /28"] {
        assert_eq!(told.matches(each).count(), 1, "{each} once in\n{told}");
    }

    let nothing = plan(&[])?;
    assert_eq!(nothing.status.code(), Some(2), "{}", text(&nothing.stderr));
    assert!(text(&nothing.stderr).contains("Usage: berthd plan"));
    Ok(())
}
