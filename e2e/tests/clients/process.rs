//! A server that a test starts and that ends with it, by its process id.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

/// A running server.
pub struct Server(Child);

impl Server {
    /// Starts it and waits until a line of its standard output, or of its standard error where that is what is
    /// `watched`, has what is looked for. The rest of that stream is read and dropped.
    pub fn start(
        command: &mut Command,
        watched: Watched,
        mut found: impl FnMut(&str) -> bool,
    ) -> anyhow::Result<Self> {
        match watched {
            Watched::Stdout => command.stdout(Stdio::piped()),
            Watched::Stderr => command.stderr(Stdio::piped()),
        };
        let mut child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        let output: Box<dyn Read + Send> = match watched {
            Watched::Stdout => Box::new(child.stdout.take().context("no standard output")?),
            Watched::Stderr => Box::new(child.stderr.take().context("no standard error")?),
        };
        let server = Self(child);
        let mut lines = BufReader::new(output).lines();
        loop {
            let Some(line) = lines.next() else {
                bail!("{command:?} ended before it was ready");
            };
            if found(&line?) {
                break;
            }
        }
        // a full pipe would stop it
        std::thread::spawn(move || lines.for_each(drop));
        Ok(server)
    }
}

/// Where a server says that it is ready.
#[derive(Clone, Copy)]
pub enum Watched {
    Stdout,
    Stderr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // both fail only if it is gone already
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A `mock-ec2` with one m5.large, without packets.
pub struct Mock {
    pub ec2: String,
    pub imds: String,
    pub instance: String,
    _server: Server,
}

impl Mock {
    pub fn start(options: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mock-ec2"));
        command.args(["--no-fabric", "--node", "m5.large", "--latency", "0"]);
        command.args(["--attach-delay", "50", "--imds-lag", "0"]);
        command.args(options);
        let (mut ec2, mut node) = (String::new(), Vec::new());
        let server = Server::start(&mut command, Watched::Stdout, |line| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            match words.as_slice() {
                [what, url] if what == "ec2" => ec2.clone_from(url),
                [what, ..] if what == "node" => node = words,
                _ => {}
            }
            !node.is_empty()
        })?;
        let imds = node.iter().find_map(|word| word.strip_prefix("imds="));
        Ok(Self {
            ec2,
            imds: imds.context("no imds= in the node's line")?.to_owned(),
            instance: node.get(1).context("no instance")?.clone(),
            _server: server,
        })
    }
}
