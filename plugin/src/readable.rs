//! Waiting for something to read until a deadline.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;

use crate::cause::Cause;
use crate::clock::Instant;

const A_SECOND: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Waits for bytes or the end; false when the deadline passes first.
pub(crate) fn wait(input: &impl AsFd, deadline: Instant) -> Result<bool, Cause> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Longer than the kernel counts: it is asked again.
        let left = Timespec::try_from(left).unwrap_or(A_SECOND);
        match poll(&mut [PollFd::new(input, PollFlags::IN)], Some(&left)) {
            Ok(0) if Instant::now() >= deadline => return Ok(false),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(errno.into()),
        }
    }
}
