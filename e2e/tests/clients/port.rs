//! `ec2-port`, the adapter as a program: a call a line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, ensure};
use e2e::node::programs::find;
use serde_json::Value;

use crate::venv;

/// The adapter, connected to one endpoint.
pub struct Port {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Port {
    pub fn to(ec2: &str, imds: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(find("ec2-port")?);
        venv::credentials(&mut command)
            .env("AWS_ENDPOINT_URL_EC2", ec2)
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("start ec2-port")?;
        let input = child.stdin.take().context("no input")?;
        let output = child.stdout.take().context("no output")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    /// Makes a call; `{"ok":...}` or `{"error":...}`.
    pub fn call(&mut self, request: &Value) -> anyhow::Result<Value> {
        writeln!(self.input, "{request}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let reply: Value = serde_json::from_str(&line).context("ec2-port ended")?;
        ensure!(reply["bad"].is_null(), "{request}: {reply}");
        Ok(reply)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // both fail only if it is gone already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
