//! One attachment's life as a runtime leads it: each verb that there is, once.

use serde_json::{Value, json};

use super::World;
use crate::answer::Answer;
use crate::call::Call;
use crate::case::Finding;
use crate::runtime::conflist::Version;

/// The verbs that read a configuration, in an order in which each of them must succeed, and since when there are such.
const VERBS: [(&str, Version); 5] = [
    ("STATUS", Version::V1_1_0),
    ("ADD", Version::V0_3_1),
    ("CHECK", Version::V0_4_0),
    ("GC", Version::V1_1_0),
    ("DEL", Version::V0_3_1),
];

impl World<'_> {
    /// The verbs with a configuration that this version has, but for those that the plugin declines.
    #[must_use]
    pub fn verbs(&self) -> Vec<&'static str> {
        let has = |(verb, since): &(&str, Version)| {
            let declined = &self.subject().description.declines;
            self.version() >= *since && !declined.contains_key(*verb)
        };
        VERBS
            .into_iter()
            .filter(has)
            .map(|(verb, _)| verb)
            .collect()
    }

    /// STATUS, ADD, CHECK, GC that names the attachment, and DEL of the first sandbox, as far as the version has them, each
    /// changed by `change`: all of them must succeed. Their answers, each with its verb.
    ///
    /// # Errors
    /// One of them failed.
    pub fn life(
        &self,
        change: impl Fn(Call) -> Call,
    ) -> Result<Vec<(&'static str, Answer)>, Finding> {
        let mut result = Value::Null;
        let mut answers = Vec::new();
        for verb in self.verbs() {
            let call = self.sound(verb, &result)?;
            let answer = self.run(&change(call))?;
            if verb == "ADD" {
                result = answer.result()?;
            }
            answer.success()?;
            answers.push((verb, answer));
        }
        Ok(answers)
    }

    /// The call that must succeed for the first sandbox, when `result` is that of its ADD.
    ///
    /// # Errors
    /// The sandbox cannot be made.
    pub fn sound(&self, verb: &str, result: &Value) -> anyhow::Result<Call> {
        let attachment = &self.pod()?.attachment;
        let valid = json!([{"containerID": attachment.container_id, "ifname": attachment.ifname}]);
        Ok(match verb {
            "CHECK" | "DEL" if !result.is_null() => self.call_after(verb, result)?,
            "GC" => self
                .call(verb)?
                .set("cni.dev/valid-attachments", valid.clone())
                .set("cni.dev/attachments", valid),
            _ => self.call(verb)?,
        })
    }
}
