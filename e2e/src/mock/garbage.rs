//! Answers that are none: what a broken connection or a proxy between a client and EC2 makes of them.

use serde::{Deserialize, Serialize};

/// How an answer is spoilt. Its status stays 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Garbage {
    /// The call is done; half of the document comes.
    Truncated,
    /// The call is done; a well-formed document comes that answers something else.
    WrongRoot,
    /// The login page of a proxy that lets nothing through: nothing is done.
    Html,
    /// Nothing is done, and the answer has no body.
    Empty,
}

impl Garbage {
    /// Whether the call reached EC2, and only its answer broke on the way.
    pub(crate) fn is_done(self) -> bool {
        matches!(self, Self::Truncated | Self::WrongRoot)
    }

    /// What comes instead of `document`: its content type and itself.
    pub(crate) fn instead_of(self, document: &str) -> (&'static str, String) {
        match self {
            Self::Truncated => {
                let half = document.chars().count() / 2;
                (XML, document.chars().take(half).collect())
            }
            Self::WrongRoot => (
                XML,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                 <ListQueuesResponse><ListQueuesResult/></ListQueuesResponse>"
                    .to_owned(),
            ),
            Self::Html => (
                "text/html; charset=UTF-8",
                "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\
                 <body><form action=\"/login\"><input name=\"user\"></form></body></html>"
                    .to_owned(),
            ),
            Self::Empty => (XML, String::new()),
        }
    }
}

/// The content type of the Query API's answers.
pub(crate) const XML: &str = "text/xml;charset=UTF-8";
