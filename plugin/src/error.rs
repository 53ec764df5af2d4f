//! What the runtime is told when something fails: the CNI error object, its codes, and what a panic comes to. It does not
//! decide what is a failure.

use alloc::format;
use alloc::string::String;
use core::fmt::{self, Write};
use core::panic::Location;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use serde_json::{Map, Value, json};

use crate::cause::Cause;
use crate::contract::Failure;
use crate::version::NEWEST;

/// Error codes: 1 to 99 are the CNI specification's ("Error"), 8 and 999 libcni's, 100 and up ours.
pub(crate) mod code {
    /// The configuration's `cniVersion` is not one of ours, or too old for the verb.
    pub(crate) const INCOMPATIBLE_VERSION: u32 = 1;
    /// An environment variable is missing or invalid; the message names it.
    pub(crate) const ENVIRONMENT: u32 = 4;
    /// Reading or writing failed.
    pub(crate) const IO: u32 = 5;
    /// stdin is not the JSON it must be.
    pub(crate) const DECODING: u32 = 6;
    /// The network configuration is well-formed and wrong.
    pub(crate) const CONFIG: u32 = 7;
    /// CNI_NETNS is the plugin's own namespace.
    pub(crate) const OWN_NETNS: u32 = 8;
    /// Nothing is wrong that time does not mend.
    pub(crate) const TRY_AGAIN: u32 = 11;
    /// STATUS only: no ADD can be served.
    pub(crate) const UNAVAILABLE: u32 = 50;
    /// Plugin and daemon do not understand each other.
    pub(crate) const PROTOCOL: u32 = 100;
    /// A bug of ours.
    pub(crate) const INTERNAL: u32 = 999;
}

/// A failure as the runtime sees it: it prints `<msg>; <details>` into the pod's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    pub(crate) code: u32,
    pub(crate) msg: String,
    pub(crate) details: String,
}

impl Error {
    /// A failure without details.
    pub(crate) fn new(code: u32, msg: impl Into<String>) -> Self {
        Self {
            code,
            msg: msg.into(),
            details: String::new(),
        }
    }

    /// The same failure with the reason, the value or the remedy.
    pub(crate) fn details(self, details: impl Into<String>) -> Self {
        Self {
            details: details.into(),
            ..self
        }
    }

    /// The error object. `version` is the configuration's as far as it is known and supported.
    pub(crate) fn to_json(&self, version: Option<&str>) -> Value {
        let mut object = Map::new();
        object.insert("cniVersion".into(), json!(version.unwrap_or(NEWEST)));
        object.insert("code".into(), json!(self.code));
        object.insert("msg".into(), json!(one_line(&self.msg)));
        if !self.details.is_empty() {
            object.insert("details".into(), json!(one_line(&self.details)));
        }
        Value::Object(object)
    }

    /// The same failure in words that a runtime does not mistake for a success: go-cni from 1.1.6 on takes a DEL whose
    /// error contains one of these phrases for done, and what it held would leak.
    pub(crate) fn for_del(self) -> Self {
        let reword = |text: &str| {
            // Made one line first, which may put a phrase together.
            let text = one_line(text);
            let text = replace_ignoring_case(&text, "no such file or directory", "ENOENT");
            replace_ignoring_case(&text, "not found", "missing")
        };
        Self {
            code: self.code,
            msg: reword(&self.msg),
            details: reword(&self.details),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.msg, self.code)?;
        if self.details.is_empty() {
            Ok(())
        } else {
            write!(f, "; {}", self.details)
        }
    }
}

impl core::error::Error for Error {}

impl From<Failure> for Error {
    /// 0 is no code (it would say that nothing failed), and an error has words.
    fn from(failure: Failure) -> Self {
        let wordless = failure.msg.is_empty();
        Self {
            code: match failure.code {
                0 => code::PROTOCOL,
                code => code,
            },
            msg: if wordless {
                failure.reason
            } else {
                failure.msg
            },
            details: failure.details,
        }
    }
}

/// Makes a panic an answer: the runtime gets an error object instead of nothing. Who catches it exits with status 1. Takes no
/// memory, since there may be none left: that is a panic too.
pub fn answer_panic(place: Option<&Location<'_>>, output: BorrowedFd<'_>) {
    let mut answer = Line::default();
    let code = code::INTERNAL;
    let _ = write!(
        answer,
        r#"{{"cniVersion":"{NEWEST}","code":{code},"msg":"berth-cni panicked","details":""#
    );
    if let Some(place) = place {
        // The path of a source file: nothing that JSON would have otherwise.
        let _ = write!(answer, "{place}");
    }
    answer.end("\"}\n");
    let _ = write_all(output, answer.bytes());
}

/// A text of limited length that takes no memory.
struct Line {
    bytes: [u8; 512],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            bytes: [0; 512],
            length: 0,
        }
    }
}

impl Line {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Puts the end behind what there is, or in the place of its end.
    fn end(&mut self, end: &str) {
        let at = self.length.min(self.bytes.len() - end.len());
        self.length = at + end.len();
        self.bytes[at..self.length].copy_from_slice(end.as_bytes());
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let free = &mut self.bytes[self.length..];
        let fitting = text.len().min(free.len());
        free[..fitting].copy_from_slice(&text.as_bytes()[..fitting]);
        self.length += fitting;
        Ok(())
    }
}

/// Writes one JSON document and a newline in one go. A closed stdout is an error, never a panic.
pub(crate) fn print(output: BorrowedFd<'_>, document: &Value) -> Result<(), Cause> {
    Ok(write_all(output, format!("{document}\n").as_bytes())?)
}

/// One line for the runtime's log, for what is odd and does not fail the call.
pub(crate) fn note(errors: BorrowedFd<'_>, text: &str) {
    let line = format!("berth-cni: {}\n", one_line(text));
    let _ = write_all(errors, line.as_bytes());
}

/// Writes all of it, however often that takes.
pub(crate) fn write_all(output: impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(&output, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The longest text that is told, in characters: events of Kubernetes have 1,024 bytes, and a configuration that is quoted
/// may have megabytes.
const TEXT_MAX: usize = 1000;

/// Events show the text as one line, and not more than its begin.
fn one_line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .take(TEXT_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(TEXT_MAX).is_some() {
        line.push('…');
    }
    line
}

/// `phrase` must be lower-case ASCII: then both strings have the same length in bytes and the same boundaries.
fn replace_ignoring_case(text: &str, phrase: &str, replacement: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut replaced = String::with_capacity(text.len());
    let mut copied = 0;
    for (at, _) in lower.match_indices(phrase) {
        replaced.push_str(&text[copied..at]);
        replaced.push_str(replacement);
        copied = at + phrase.len();
    }
    replaced.push_str(&text[copied..]);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_has_its_end_still() {
        for length in [0, 1, 508, 509, 510, 511, 512, 513, 2000] {
            let mut line = Line::default();
            let _ = write!(line, "{:a<length$}", "");
            line.end("b}\n");
            let kept = length.min(509);
            assert_eq!(line.bytes(), format!("{:a<kept$}b}}\n", "").as_bytes());
        }
    }

    #[test]
    fn del_errors_lose_the_phrases_that_mean_success() {
        let error = Error::new(11, "pod Not Found, eth0 not found")
            .details("open é: No such file or directory (os error 2)");
        let reworded = error.for_del();
        assert_eq!(reworded.msg, "pod missing, eth0 missing");
        assert_eq!(reworded.details, "open é: ENOENT (os error 2)");
        let split = Error::new(4, "pod not\u{1b}found").for_del();
        assert_eq!(split.msg, "pod missing");
    }

    #[test]
    fn an_error_is_one_line() {
        let json = Error::new(7, "a\nb")
            .details("c\td\u{85}e")
            .to_json(Some("0.4.0"));
        assert_eq!(
            json,
            json!({"cniVersion": "0.4.0", "code": 7, "msg": "a b", "details": "c d e"})
        );
    }

    #[test]
    fn an_error_is_short() {
        let json = Error::new(7, "ä".repeat(5000)).to_json(None);
        assert_eq!(json["msg"], format!("{}…", "ä".repeat(TEXT_MAX)));
    }
}
