//! Which objects a request is about: its kind, its namespace and its field selector.

use serde_json::Value;

use super::world::{Entry, Resource};

/// The fields that the real one can select by, of pods and of nodes (Kubernetes documentation, "Field selectors").
const FIELDS: [(Resource, &[&str]); 2] = [
    (
        Resource::Pods,
        &[
            "metadata.name",
            "metadata.namespace",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.serviceAccountName",
            "status.phase",
        ],
    ),
    (Resource::Nodes, &["metadata.name"]),
];

/// A field that must, or must not, have a value.
#[derive(Clone, Debug)]
struct Term {
    field: String,
    value: String,
    equal: bool,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    pub resource: Resource,
    /// All of them, if none.
    namespace: Option<String>,
    terms: Vec<Term>,
}

/// What a watcher is told of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Added,
    Modified,
    Deleted,
}

impl Selector {
    /// Reads a field selector, for example `spec.nodeName=n1,status.phase!=Succeeded`; or says what is wrong with it.
    pub(super) fn new(
        resource: Resource,
        namespace: Option<String>,
        fields: &str,
    ) -> Result<Self, String> {
        let terms = fields.split(',').filter(|text| !text.is_empty());
        let terms = terms.map(term).collect::<Result<Vec<_>, _>>()?;
        let known = FIELDS.iter().find(|(of, _)| *of == resource);
        for term in &terms {
            if !known.is_some_and(|(_, fields)| fields.contains(&term.field.as_str())) {
                return Err(format!("field label not supported: {}", term.field));
            }
        }
        Ok(Self {
            resource,
            namespace,
            terms,
        })
    }

    pub(super) fn is_for(&self, object: &Value) -> bool {
        let in_namespace = self
            .namespace
            .as_deref()
            .is_none_or(|namespace| object["metadata"]["namespace"].as_str() == Some(namespace));
        in_namespace && self.terms.iter().all(|term| term.holds(object))
    }

    /// What it is told of a change: an object that ceases to be selected is deleted as far as it knows.
    pub(super) fn told(&self, entry: &Entry) -> Option<Told> {
        if entry.resource != self.resource {
            return None;
        }
        let before = entry
            .before
            .as_ref()
            .is_some_and(|before| self.is_for(before));
        let after = !entry.gone && self.is_for(&entry.after);
        match (before, after) {
            (false, false) => None,
            (false, true) => Some(Told::Added),
            (true, true) => Some(Told::Modified),
            (true, false) => Some(Told::Deleted),
        }
    }
}

impl Term {
    fn holds(&self, object: &Value) -> bool {
        let pointer = format!("/{}", self.field.replace('.', "/"));
        let value = object.pointer(&pointer).and_then(Value::as_str);
        (value.unwrap_or_default() == self.value) == self.equal
    }
}

fn term(text: &str) -> Result<Term, String> {
    let split = |separator, equal| {
        let (field, value): (&str, &str) = text.split_once(separator)?;
        Some(Term {
            field: field.to_owned(),
            value: value.to_owned(),
            equal,
        })
    };
    (split("!=", false)
        .or_else(|| split("==", true))
        .or_else(|| split("=", true)))
    .ok_or_else(|| format!("invalid field selector: {text:?}"))
}
