//! A failure as the runtime is told it.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::rules::broken;

/// The CNI error object without its version.
#[derive(Clone, Debug)]
pub struct Failure {
    pub code: i64,
    pub msg: String,
    pub details: String,
}

impl Failure {
    pub fn new(code: i64, msg: impl Into<String>) -> Self {
        let (msg, details) = (msg.into(), String::new());
        Self { code, msg, details }
    }

    pub fn details(self, details: impl Into<String>) -> Self {
        let details = details.into();
        Self { details, ..self }
    }

    pub fn to_json(&self, version: &str) -> Value {
        let mut object = Map::new();
        object.insert("cniVersion".into(), json!(version));
        object.insert("code".into(), json!(self.code));
        object.insert("msg".into(), json!(one_line(&self.msg)));
        if !self.details.is_empty() {
            object.insert("details".into(), json!(one_line(&self.details)));
        }
        if broken("error-no-version") {
            object.remove("cniVersion");
        }
        if broken("error-newest-version") {
            object.insert("cniVersion".into(), json!("1.1.0"));
        }
        if broken("error-code-text") {
            object.insert("code".into(), json!(self.code.to_string()));
        }
        if broken("error-code-negative") {
            object.insert("code".into(), json!(-self.code));
        }
        if broken("error-no-msg") {
            object.remove("msg");
        }
        if broken("error-many-lines") {
            object.insert("msg".into(), json!(format!("{}\nand\nmore", self.msg)));
        }
        Value::Object(object)
    }

    /// go-cni takes a DEL whose error has one of these phrases for done.
    pub fn for_del(self) -> Self {
        let reword = |text: &str| {
            text.replace("not found", "missing")
                .replace("No such file or directory", "ENOENT")
                .replace("no such file or directory", "ENOENT")
        };
        let (msg, details) = (reword(&self.msg), reword(&self.details));
        if broken("del-not-found") {
            let msg = format!("{msg}: not found");
            return Self { msg, ..self };
        }
        if broken("del-no-such-file") {
            let details = format!("{details}: no such file or directory");
            return Self { details, ..self };
        }
        Self {
            msg,
            details,
            ..self
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(101, error.to_string())
    }
}

/// Events show the text as one line.
fn one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(shown).collect()
}

/// A line on stderr.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "broken-cni: {text}");
}
