//! `mock-ec2` as boto3 sees it: `clients/drive_mock.py` makes every call that the mock has.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::process::Mock;
use crate::venv;

#[test]
fn boto3_drives_the_mock() -> anyhow::Result<()> {
    let Some(python) = venv::python()? else {
        return Ok(());
    };
    let mock = Mock::start(&[])?;
    let mut suite = Command::new(python);
    suite.arg(venv::script("drive_mock.py"));
    suite.args([&mock.ec2, &mock.imds, &mock.instance]);
    // its modules are in the repository
    suite.env("PYTHONDONTWRITEBYTECODE", "1");
    let ended = venv::credentials(&mut suite).output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "{said}");
    // unittest's own count: a suite that finds no test succeeds
    let ran = said
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("Ran "));
    let ran = ran
        .and_then(|ran| ran.split(' ').next())
        .context("no count")?;
    ensure!(ran.parse::<u32>()? > 30, "only {ran} tests ran:\n{said}");
    Ok(())
}
