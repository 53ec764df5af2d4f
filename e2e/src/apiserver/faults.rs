//! Faults that are asked for: which of the coming requests go wrong, and how.

use serde::{Deserialize, Serialize};

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// One object.
    Get,
    /// All of them.
    List,
    /// What changes.
    Watch,
}

/// A fault and the requests it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// All, if none.
    #[serde(default)]
    pub verb: Option<Verb>,
    /// `pods` or `nodes`; both, if none.
    #[serde(default)]
    pub resource: Option<String>,
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// How many requests it hits; none means until it is cleared.
    #[serde(default)]
    pub times: Option<u32>,
}

/// What goes wrong. In JSON: `{"kind":"status","code":403}`, `{"kind":"slow","ms":3000}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// This HTTP status, with a `Status` in the body: 401, 403, 410, 429, 500, 503, ...
    Status {
        /// The status.
        code: u16,
        /// `Retry-After`, seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// The watch begins well; its first event is an ERROR with this code (410, as when etcd has compacted meanwhile).
    ErrorEvent {
        /// The code.
        code: u16,
    },
    /// The answer begins so much later; a watch goes on without delay then.
    Slow {
        /// Milliseconds.
        ms: u64,
    },
    /// No answer, and no end.
    Hang,
    /// A good answer begins and says nothing ever: a watch without changes and bookmarks.
    Mute,
    /// The connection ends in the middle of the answer.
    Cut,
    /// Status 200 and an answer that is none.
    Garbage {
        /// Which.
        shape: Garbage,
    },
}

/// An answer that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Garbage {
    /// A page of something in between.
    Html,
    /// Nothing at all.
    Empty,
    /// JSON of another kind.
    OtherKind,
    /// Half a JSON document.
    Truncated,
    /// A line without end, 64 MiB of it.
    Endless,
}

impl Fault {
    /// A fault for all requests until it is cleared.
    #[must_use]
    pub fn always(kind: FaultKind) -> Self {
        Self {
            verb: None,
            resource: None,
            kind,
            times: None,
        }
    }

    /// A fault for the next request.
    #[must_use]
    pub fn once(kind: FaultKind) -> Self {
        Self {
            times: Some(1),
            ..Self::always(kind)
        }
    }

    /// Narrows it to a verb.
    #[must_use]
    pub fn of(self, verb: Verb) -> Self {
        Self {
            verb: Some(verb),
            ..self
        }
    }

    /// Narrows it to a resource.
    #[must_use]
    pub fn on(self, resource: &str) -> Self {
        Self {
            resource: Some(resource.to_owned()),
            ..self
        }
    }

    fn is_for(&self, verb: Verb, resource: &str) -> bool {
        self.verb.is_none_or(|wanted| wanted == verb)
            && (self.resource.as_deref()).is_none_or(|wanted| wanted == resource)
    }
}

impl Garbage {
    pub(super) fn body(self) -> Vec<u8> {
        match self {
            Self::Html => b"<html><body>502 Bad Gateway</body></html>".to_vec(),
            Self::Empty => Vec::new(),
            Self::OtherKind => br#"{"kind":"ConfigMap","apiVersion":"v1","data":{}}"#.to_vec(),
            Self::Truncated => {
                br#"{"kind":"PodList","metadata":{"resourceVersion":"7"},"items":[{"me"#.to_vec()
            }
            Self::Endless => vec![b'x'; 64 << 20],
        }
    }
}

/// The faults that are set, oldest first.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn set(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that hits this request, used up by it.
    pub(super) fn strike(&mut self, verb: Verb, resource: &str) -> Option<FaultKind> {
        let index = self
            .0
            .iter()
            .position(|fault| fault.is_for(verb, resource))?;
        let fault = self.0.get_mut(index)?;
        let kind = fault.kind.clone();
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.0.remove(index);
            }
        }
        Some(kind)
    }
}
