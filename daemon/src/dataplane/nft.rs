//! The nftables table `ip berth`: SNAT, the connection mark, and which ENI a veth's packets leave by.
//!
//! It is read and written by `nft -j`, the one program that the daemon runs, and never for an ADD or DEL. A standing table
//! is changed in place, in one transaction: replacing it whole misroutes packets.

mod change;
mod ruleset;
mod table;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use ipam::desired::NodeDesired;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::DataplaneError;
use ruleset::Ruleset;
use table::Table;

/// Name of the table.
pub(super) const TABLE: &str = "berth";
/// How long `nft` may take; it takes some 30 ms, more when other programs change large tables.
const LIMIT: Duration = Duration::from_secs(10);

/// The `nft` program.
#[derive(Debug)]
pub(super) struct Nft {
    program: PathBuf,
    /// What the table was last seen to contain. Only a notification can tell that it does no more.
    seen: Option<Ruleset>,
}

impl Nft {
    pub(super) fn new(program: PathBuf) -> Self {
        Self {
            program,
            seen: None,
        }
    }

    /// Makes the table as desired; what was not. Without a doubt about it a table that was seen to be so is not read
    /// again. `primary` is the name of the primary ENI's link, without which no connection from outside can be told from
    /// others, and nothing is written.
    pub(super) async fn apply(
        &mut self,
        desired: &NodeDesired,
        primary: Option<&str>,
        doubted: bool,
    ) -> Result<Vec<String>, DataplaneError> {
        let Some(primary) = primary else {
            return Ok(Vec::new());
        };
        let ruleset = Ruleset::of(desired, primary);
        if !doubted && self.seen.as_ref() == Some(&ruleset) {
            return Ok(Vec::new());
        }
        self.seen = None;
        let found = self.table().await?;
        let change = change::between(&found, &ruleset);
        if !change.what.is_empty() {
            self.run("apply", &["-j", "-f", "-"], &change.document().to_string())
                .await?;
        }
        self.seen = Some(ruleset);
        Ok(change.what)
    }

    /// The table as it stands. Its absence is looked up, not guessed from an error message.
    async fn table(&self) -> Result<Table, DataplaneError> {
        let tables = self.read("list tables", &["-j", "list", "tables"]).await?;
        if !table::is_listed(&tables) {
            return Ok(Table::default());
        }
        // -n: numbers instead of names that /etc/iproute2/group may give to groups.
        let arguments = ["-j", "-n", "list", "table", "ip", TABLE];
        let listing = self.read("list table", &arguments).await?;
        Ok(Table::parse(&listing))
    }

    async fn read(&self, step: &'static str, arguments: &[&str]) -> Result<Value, DataplaneError> {
        let output = self.run(step, arguments, "").await?;
        serde_json::from_slice(&output).map_err(|error| failed(step, error))
    }

    async fn run(
        &self,
        step: &'static str,
        arguments: &[&str],
        input: &str,
    ) -> Result<Vec<u8>, DataplaneError> {
        let child = Command::new(&self.program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(step, error))?;
        let output = timeout(LIMIT, converse(child, input)).await;
        let output = output
            .map_err(|_| failed(step, "no answer within 10 s"))?
            .map_err(|error| failed(step, error))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said.lines().next().unwrap_or_default();
        Err(failed(step, format!("{line} ({})", output.status)))
    }
}

async fn converse(mut child: Child, input: &str) -> std::io::Result<std::process::Output> {
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(input.as_bytes()).await {
            // It ended without reading; its exit status and message say why.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
    }
    child.wait_with_output().await
}

fn failed(step: &'static str, message: impl std::fmt::Display) -> DataplaneError {
    DataplaneError::Nft {
        step,
        message: message.to_string(),
    }
}
