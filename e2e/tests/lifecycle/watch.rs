//! Pings that go on while something happens to the daemon, and must all be answered.

use std::process::{Child, Stdio};

use anyhow::{Context, ensure};
use e2e::probe::sweep::Leg;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Between two pings of a leg, seconds.
const EVERY: &str = "0.2";

/// Running pings; killed when dropped.
pub struct Watch(Vec<Running>);

struct Running {
    name: String,
    child: Child,
}

impl Watch {
    /// Starts to ping along each of `legs`.
    pub fn start<'a>(legs: impl IntoIterator<Item = Leg<'a>>) -> anyhow::Result<Self> {
        let mut watch = Self(Vec::new());
        for leg in legs {
            let mut command = leg.from.command("ping");
            command.args(["-n", "-q", "-i", EVERY, &leg.to.to_string()]);
            let child = command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .context("cannot start ping")?;
            watch.0.push(Running {
                name: format!("{} -> {}", leg.name, leg.to),
                child,
            });
        }
        Ok(watch)
    }

    /// Ends all pings; answers how many were answered.
    ///
    /// # Errors
    /// One was not. The last one of each leg may still have been on its way.
    pub fn finish(mut self) -> anyhow::Result<u64> {
        let mut answered = 0;
        let mut lost = Vec::new();
        for running in self.0.drain(..) {
            let name = running.name.clone();
            let (sent, received, said) = running.finish()?;
            answered += received;
            if received == 0 || sent > received + 1 {
                lost.push(format!("{name}: {said}"));
            }
        }
        ensure!(lost.is_empty(), "pings were lost: {}", lost.join("; "));
        Ok(answered)
    }
}

impl Running {
    /// Sent, received, and the words of `ping`.
    fn finish(mut self) -> anyhow::Result<(u64, u64, String)> {
        // SIGINT makes ping print its summary
        kill(
            Pid::from_raw(i32::try_from(self.child.id())?),
            Signal::SIGINT,
        )?;
        let mut said = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            std::io::Read::read_to_string(&mut stdout, &mut said)?;
        }
        self.child.wait()?;
        let line = said.lines().find(|line| line.contains("transmitted"));
        let line = line.with_context(|| format!("{}: no summary in {said:?}", self.name))?;
        let number = |part: Option<&str>| -> Option<u64> {
            part?.split_whitespace().find_map(|word| word.parse().ok())
        };
        let mut parts = line.split(',');
        let counts = number(parts.next()).zip(number(parts.next()));
        let (sent, received) = counts.with_context(|| format!("{}: {line}", self.name))?;
        Ok((sent, received, line.to_owned()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // both fail only if it is gone already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
