//! Reading stdin to its end without waiting for ever: a runtime that does not close it costs the deadline, no more.

use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;

use crate::cause::Cause;
use crate::clock::Instant;
use crate::contract::MAX_FRAME;
use crate::error::{Error, code};
use crate::readable::wait;

/// How long VERSION waits for a configuration that it does not need: libcni writes it while we start.
const GLANCE: Duration = Duration::from_millis(20);

/// Room for the first read, which nearly every configuration fits into; later ones double what there is. A pipe's whole
/// capacity (64 KiB) made an ADD 0.1 ms longer, by the pages that were touched for nothing.
const ROOM: usize = 4 << 10;

/// Why reading ended.
#[derive(Debug)]
enum End {
    Eof,
    Full,
    Deadline,
    Failed(Cause),
}

/// The network configuration, up to [`MAX_FRAME`] bytes.
pub(crate) fn read(input: BorrowedFd<'_>, deadline: Instant) -> Result<Vec<u8>, Error> {
    let (bytes, end) = read_from(input, deadline);
    match end {
        End::Eof => Ok(bytes),
        End::Full => Err(Error::new(
            code::CONFIG,
            format!("network config larger than {MAX_FRAME} bytes"),
        )),
        End::Deadline => Err(Error::new(
            code::IO,
            "error reading from stdin: not closed before the deadline",
        )),
        End::Failed(error) => Err(Error::new(
            code::IO,
            format!("error reading from stdin: {error}"),
        )),
    }
}

/// What happens to be on stdin; for VERSION, which must answer also when nobody ever closes it.
pub(crate) fn glance(input: BorrowedFd<'_>) -> Vec<u8> {
    read_from(input, Instant::now() + GLANCE).0
}

fn read_from(input: impl AsFd, deadline: Instant) -> (Vec<u8>, End) {
    let mut bytes = Vec::new();
    loop {
        let filled = bytes.len();
        if filled > MAX_FRAME {
            return (bytes, End::Full);
        }
        match wait(&input, deadline) {
            Ok(true) => {}
            Ok(false) => return (bytes, End::Deadline),
            Err(error) => return (bytes, End::Failed(error)),
        }
        bytes.resize(filled + filled.max(ROOM), 0);
        let read = rustix::io::read(&input, &mut bytes[filled..]);
        bytes.truncate(filled + read.unwrap_or(0));
        match read {
            Ok(0) => return (bytes, End::Eof),
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return (bytes, End::Failed(error.into())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_was_written_is_returned_when_the_writer_never_closes() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"{}").unwrap();
        let (bytes, end) = read_from(reader, Instant::now() + Duration::from_millis(30));
        assert_eq!(bytes, b"{}");
        assert!(matches!(end, End::Deadline), "{end:?}");
    }

    #[test]
    fn reading_ends_at_the_cap() {
        let (bytes, end) = read_from(
            std::fs::File::open("/dev/zero").unwrap(),
            Instant::now() + Duration::from_secs(60),
        );
        assert!(matches!(end, End::Full), "{end:?}");
        assert!(bytes.len() <= 2 * MAX_FRAME);
    }
}
