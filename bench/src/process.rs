//! What a running process takes, from /proc.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// `/proc/PID/stat` counts in USER_HZ, which is 100 on every architecture that Linux still has (proc(5)).
const TICK: Duration = Duration::from_millis(10);

/// Memory in MiB, by `/proc/PID/status` (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// All that is resident: `VmRSS`.
    pub resident: f64,
    /// Of that, what is its own: `RssAnon`.
    pub anonymous: f64,
    /// Of that, pages of files, shared with others that map them: `RssFile`.
    pub file: f64,
}

/// Memory of the process `pid`.
///
/// # Errors
/// It is gone.
pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let of = |name: &str| mebibytes(&text, name).with_context(|| format!("no {name} in {path}"));
    Ok(Memory {
        resident: of("VmRSS:")?,
        anonymous: of("RssAnon:")?,
        file: of("RssFile:")?,
    })
}

fn mebibytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes / 1024.0)
}

/// Processor time of `pid` so far, its ended threads included; in steps of 10 ms.
///
/// # Errors
/// It is gone.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    ticks(&text)
        .map(|ticks| TICK * ticks)
        .with_context(|| format!("{path} is not as proc(5) says"))
}

/// `utime` and `stime`, the 14th and 15th field. The second one is in parentheses and may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_prints() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 12 30 0 0 20 0 5 0 1 2 3";
        assert_eq!(ticks(stat), Some(42));
        let status = "Name:\tx\nVmRSS:\t    2048 kB\nRssAnon:\t 512 kB\n";
        assert_eq!(mebibytes(status, "VmRSS:"), Some(2.0));
        assert_eq!(mebibytes(status, "RssFile:"), None);
    }
}
