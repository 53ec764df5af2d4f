//! The kernel's errors in words. rustix has only numbers without the standard library, and the words end up in a pod's events.

use core::fmt;

use rustix::io::Errno;

/// An error of a system call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cause(Errno);

impl Cause {
    /// Its number.
    pub fn errno(self) -> Errno {
        self.0
    }
}

impl From<Errno> for Cause {
    fn from(errno: Errno) -> Self {
        Self(errno)
    }
}

/// strerror(3)'s words for what files and sockets answer, and the number, as the standard library has both.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self.0 {
            Errno::PERM => "Operation not permitted",
            Errno::NOENT => "No such file or directory",
            Errno::INTR => "Interrupted system call",
            Errno::IO => "Input/output error",
            Errno::BADF => "Bad file descriptor",
            Errno::AGAIN => "Resource temporarily unavailable",
            Errno::NOMEM => "Cannot allocate memory",
            Errno::ACCESS => "Permission denied",
            Errno::EXIST => "File exists",
            Errno::NOTDIR => "Not a directory",
            Errno::ISDIR => "Is a directory",
            Errno::INVAL => "Invalid argument",
            Errno::NFILE => "Too many open files in system",
            Errno::MFILE => "Too many open files",
            Errno::NOSPC => "No space left on device",
            Errno::ROFS => "Read-only file system",
            Errno::PIPE => "Broken pipe",
            Errno::NAMETOOLONG => "File name too long",
            Errno::LOOP => "Too many levels of symbolic links",
            Errno::NOTSOCK => "Socket operation on non-socket",
            Errno::PROTOTYPE => "Protocol wrong type for socket",
            Errno::CONNRESET => "Connection reset by peer",
            Errno::NOTCONN => "Transport endpoint is not connected",
            Errno::TIMEDOUT => "Connection timed out",
            Errno::CONNREFUSED => "Connection refused",
            Errno::DQUOT => "Disk quota exceeded",
            _ => return write!(f, "os error {}", self.0.raw_os_error()),
        };
        write!(f, "{words} (os error {})", self.0.raw_os_error())
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Cause {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn the_words_are_the_standard_librarys() {
        let mut worded = 0;
        for number in 1..134 {
            let cause = Cause(Errno::from_raw_os_error(number)).to_string();
            if cause.contains('(') {
                worded += 1;
                assert_eq!(cause, std::io::Error::from_raw_os_error(number).to_string());
            }
        }
        assert_eq!(worded, 26);
    }
}
