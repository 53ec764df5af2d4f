//! What came out of a call, and the questions that cases ask of it. They say what is wrong in terms of the protocol.

use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;

use crate::case::{Finding, Verdict, wrong};

/// How much of what a plugin printed is quoted in a finding, bytes.
const QUOTED: usize = 600;

/// A call that has ended.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) what: String,
    /// Exit status, or the signal.
    pub status: ExitStatus,
    /// All of stdout.
    pub stdout: Vec<u8>,
    /// All of stderr.
    pub stderr: String,
    /// How many bytes of stdin were written before the plugin closed it, in steps of 64 KiB.
    pub stdin_taken: usize,
    /// From before the start until the end.
    pub elapsed: Duration,
    /// It was killed since it did not end by itself.
    pub hung: bool,
}

/// An error document (CNI specification, "Error").
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorDocument {
    /// Numeric code.
    pub code: u64,
    /// Short message.
    pub msg: String,
    /// Long message, empty if there is none.
    pub details: String,
    /// The whole document.
    pub document: Value,
    quoted: String,
}

impl Answer {
    /// Whether it ended with status 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        !self.hung && self.status.success()
    }

    /// The result of a success: exactly one JSON object on stdout.
    ///
    /// # Errors
    /// It failed, or printed something else.
    pub fn result(&self) -> Result<Value, Finding> {
        self.success()?;
        self.document()
    }

    /// A success, whatever was printed.
    ///
    /// # Errors
    /// It failed.
    pub fn success(&self) -> Verdict {
        if self.succeeded() {
            Ok(())
        } else {
            wrong(format!("should succeed: {}", self.quote()))
        }
    }

    /// A success without a word on stdout.
    ///
    /// # Errors
    /// It failed, or printed something.
    pub fn silent(&self) -> Verdict {
        self.success()?;
        if self.stdout.is_empty() {
            return Ok(());
        }
        wrong(format!("should print nothing: {}", self.quote()))
    }

    /// The error of a failure: exit status other than 0 and exactly one error document on stdout.
    ///
    /// # Errors
    /// It succeeded, hung, was killed by a signal, or printed something else.
    pub fn failure(&self) -> Result<ErrorDocument, Finding> {
        if self.hung || self.status.success() || self.status.code().is_none() {
            return wrong(format!("should fail with an error: {}", self.quote()));
        }
        let document = self.document()?;
        let code = document["code"].as_u64();
        let Some((code, msg)) = code.zip(document["msg"].as_str()) else {
            return wrong(format!(
                "no error document (code and msg): {}",
                self.quote()
            ));
        };
        let details = document["details"].as_str().unwrap_or_default().to_owned();
        Ok(ErrorDocument {
            code,
            msg: msg.to_owned(),
            details,
            quoted: self.quote(),
            document,
        })
    }

    /// A failure with this code.
    ///
    /// # Errors
    /// As [`Answer::failure`], or the code is another.
    pub fn fails(&self, code: u64) -> Result<ErrorDocument, Finding> {
        self.fails_with_one_of(&[code])
    }

    /// A failure with one of these codes.
    ///
    /// # Errors
    /// As [`Answer::failure`], or the code is another.
    pub fn fails_with_one_of(&self, codes: &[u64]) -> Result<ErrorDocument, Finding> {
        let error = self.failure()?;
        if codes.contains(&error.code) {
            return Ok(error);
        }
        wrong(format!(
            "should have code {}: {}",
            list(codes),
            self.quote()
        ))
    }

    /// The only JSON object on stdout.
    ///
    /// # Errors
    /// There is none, more than one, or something else.
    pub fn document(&self) -> Result<Value, Finding> {
        match serde_json::from_slice(&self.stdout) {
            Ok(document @ Value::Object(_)) => Ok(document),
            Ok(_) => wrong(format!("stdout is no JSON object: {}", self.quote())),
            Err(error) => wrong(format!(
                "stdout is not one JSON object ({error}): {}",
                self.quote()
            )),
        }
    }

    /// All that is known of it, for a finding.
    #[must_use]
    pub fn quote(&self) -> String {
        let stdout = short(&String::from_utf8_lossy(&self.stdout));
        let stderr = short(&self.stderr);
        let end = if self.hung {
            format!("did not end and was killed after {:?}", self.elapsed)
        } else {
            format!("ended with {}", self.status)
        };
        format!("{} {end}, stdout {stdout:?}, stderr {stderr:?}", self.what)
    }
}

impl ErrorDocument {
    /// Message and details as runtimes show them.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}; {}", self.msg, self.details)
    }

    /// Message or details must contain each of `words`.
    ///
    /// # Errors
    /// One is missing.
    pub fn says(&self, words: &[&str]) -> Verdict {
        let text = self.text();
        match words.iter().find(|word| !text.contains(**word)) {
            None => Ok(()),
            Some(word) => wrong(format!("the error should name {word:?}: {}", self.quoted)),
        }
    }
}

fn list(codes: &[u64]) -> String {
    let codes: Vec<String> = codes.iter().map(u64::to_string).collect();
    codes.join(" or ")
}

fn short(text: &str) -> String {
    let text = text.trim_end();
    if text.len() <= QUOTED {
        return text.to_owned();
    }
    let end = (0..=QUOTED)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    format!("{}... ({} bytes)", &text[..end], text.len())
}
