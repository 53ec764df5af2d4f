//! Sees which functions a process enters: a breakpoint on each, taken away when it is met, so that every function costs
//! one stop. Children that the process forks inherit the breakpoints and are followed until they run another program.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::libc::PTRACE_EVENT_EXEC;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::functions::Functions;

/// `int3` (Intel's manual, volume 2): one byte, and the processor is behind it when the tracer is told.
const BREAKPOINT: u8 = 0xcc;
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Traces the stopped process `pid` from its exec on, until `enough`; the functions in the order of their first run. It
/// is left as it stands, to be killed.
pub(super) fn trace(
    pid: u32,
    functions: &Functions,
    enough: &AtomicBool,
) -> anyhow::Result<Vec<u64>> {
    let leader = Pid::from_raw(i32::try_from(pid)?);
    stopped(pid)?;
    let follow = Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(leader, follow).context("cannot trace the daemon")?;
    nix::sys::signal::kill(leader, Signal::SIGCONT)?;
    let mut tracer = Tracer {
        functions,
        code: Vec::new(),
        base: 0,
        leader,
        ran: Vec::new(),
    };
    while !enough.load(Ordering::Relaxed) {
        // Only what this thread traces: others wait for children of their own.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD | WaitPidFlag::WNOHANG;
        match waitpid(None, Some(flags)) {
            Ok(WaitStatus::StillAlive) => thread::sleep(LOOK_AGAIN),
            Ok(status) => tracer.step(status)?,
            Err(Errno::ECHILD) => bail!("the daemon ended"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(tracer.ran)
}

struct Tracer<'a> {
    functions: &'a Functions,
    /// The code as it is without breakpoints, from the first function on.
    code: Vec<u8>,
    /// Where the program is loaded.
    base: u64,
    leader: Pid,
    ran: Vec<u64>,
}

impl Tracer<'_> {
    fn step(&mut self, status: WaitStatus) -> anyhow::Result<()> {
        let goes_on = match status {
            WaitStatus::PtraceEvent(pid, _, PTRACE_EVENT_EXEC) if pid == self.leader => {
                self.prepare()?;
                ptrace::cont(pid, None)
            }
            WaitStatus::PtraceEvent(pid, ..) => ptrace::cont(pid, None),
            WaitStatus::Stopped(pid, Signal::SIGTRAP) => {
                self.met(pid)?;
                ptrace::cont(pid, None)
            }
            WaitStatus::Stopped(pid, signal) => ptrace::cont(pid, signal),
            _ => Ok(()),
        };
        match goes_on {
            // It was killed meanwhile.
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets all breakpoints.
    fn prepare(&mut self) -> anyhow::Result<()> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.leader))?;
        let base = maps.split('-').next().context("no mappings")?;
        self.base = u64::from_str_radix(base, 16)?;
        let (first, length) = self.functions.span();
        let memory = memory(self.leader)?;
        self.code = vec![0; length];
        memory.read_exact_at(&mut self.code, self.base + first)?;
        let mut broken = self.code.clone();
        for address in self.functions.addresses() {
            if let Some(byte) = broken.get_mut(usize::try_from(address - first)?) {
                *byte = BREAKPOINT;
            }
        }
        Ok(memory.write_all_at(&broken, self.base + first)?)
    }

    /// A function was entered: its first byte is put back, and run.
    fn met(&mut self, pid: Pid) -> anyhow::Result<()> {
        let mut registers = ptrace::getregs(pid)?;
        let address = registers.rip.wrapping_sub(1).wrapping_sub(self.base);
        if !self.functions.contains(address) {
            return Ok(());
        }
        let (first, _) = self.functions.span();
        let byte = self.code.get(usize::try_from(address - first)?);
        let byte = byte.copied().context("no function")?;
        memory(pid)?.write_all_at(&[byte], self.base + address)?;
        registers.rip -= 1;
        ptrace::setregs(pid, registers)?;
        self.ran.push(address);
        Ok(())
    }
}

/// Writable also where the process itself may not write.
fn memory(pid: Pid) -> anyhow::Result<File> {
    let path = format!("/proc/{pid}/mem");
    let opened = OpenOptions::new().read(true).write(true).open(&path);
    opened.with_context(|| format!("open {path}"))
}

/// Waits until the process has stopped itself.
fn stopped(pid: u32) -> anyhow::Result<()> {
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
        match state.and_then(|rest| rest.chars().next()) {
            Some('T') => return Ok(()),
            Some('Z' | 'X') | None => bail!("the daemon ended before it began"),
            Some(_) => thread::sleep(LOOK_AGAIN),
        }
    }
}
