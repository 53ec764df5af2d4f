//! Fields of a group or a subnet, from a flag (`type=m5.large,count=3`) or an object of JSON: the same names, the same
//! mistakes. A reader takes field after field; what is wrong is noted and reading goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};

use super::nearest::nearest;
use super::problem::Problem;

/// What is left to read of a group or a subnet.
pub(super) struct Fields<'p> {
    place: String,
    values: Vec<(String, Value)>,
    /// Those too that stand there without a value: an empty list.
    names: BTreeSet<String>,
    asked: Vec<&'static str>,
    problems: &'p mut Vec<Problem>,
}

impl<'p> Fields<'p> {
    /// From a flag. `leading` is the field that may stand first without its name.
    pub(super) fn of_flag(
        place: String,
        text: &str,
        leading: Option<&str>,
        problems: &'p mut Vec<Problem>,
    ) -> Self {
        let mut values = Vec::new();
        for (index, part) in text.split(',').map(str::trim).enumerate() {
            match (part.split_once('='), leading) {
                (Some((name, value)), _) if !name.is_empty() && !value.is_empty() => {
                    values.push((name.to_owned(), Value::from(value)));
                }
                (None, Some(leading)) if index == 0 && !part.is_empty() => {
                    values.push((leading.to_owned(), Value::from(part)));
                }
                _ => problems.push(Problem::NotAField {
                    place: place.clone(),
                    text: part.to_owned(),
                }),
            }
        }
        Self::new(place, values, problems)
    }

    /// From an object of JSON. A list is the same as a field that stands there several times.
    pub(super) fn of_object(
        place: String,
        object: Map<String, Value>,
        problems: &'p mut Vec<Problem>,
    ) -> Self {
        let each = |(name, value): (String, Value)| match value {
            Value::Array(values) => {
                let fields = values.into_iter().map(|value| (name.clone(), value));
                fields.collect::<Vec<_>>()
            }
            value => vec![(name, value)],
        };
        let names = object.keys().cloned().collect();
        let values = object.into_iter().flat_map(each).collect();
        Self {
            names,
            ..Self::new(place, values, problems)
        }
    }

    fn new(place: String, values: Vec<(String, Value)>, problems: &'p mut Vec<Problem>) -> Self {
        Self {
            place,
            names: values.iter().map(|(name, _)| name.clone()).collect(),
            values,
            asked: Vec::new(),
            problems,
        }
    }

    /// Where they stand.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// A whole number.
    pub(super) fn number(&mut self, field: &'static str) -> Option<u32> {
        let read = |value: &Value| match value {
            Value::Number(number) => number.as_u64()?.try_into().ok(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        self.one(field, "a whole number (0 or more)", read)
    }

    /// A number with a fraction.
    pub(super) fn share(&mut self, field: &'static str) -> Option<f64> {
        let read = |value: &Value| match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        self.one(field, "a number such as 0.5", read)
    }

    /// A name, say.
    pub(super) fn text(&mut self, field: &'static str) -> Option<String> {
        self.one(field, "text", text)
    }

    /// True or false.
    pub(super) fn truth(&mut self, field: &'static str) -> Option<bool> {
        let read = |value: &Value| match value {
            Value::Bool(truth) => Some(*truth),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        self.one(field, "true or false", read)
    }

    /// `90s`, `5m`, `1h 30m`.
    pub(super) fn duration(&mut self, field: &'static str) -> Option<Duration> {
        let read = |value: &Value| humantime::parse_duration(value.as_str()?).ok();
        self.one(field, "a duration such as 30s, 5m or 1h", read)
    }

    /// What reads itself from text.
    pub(super) fn parsed<T: std::str::FromStr>(
        &mut self,
        field: &'static str,
        wanted: &'static str,
    ) -> Option<T> {
        self.one(field, wanted, |value| value.as_str()?.parse().ok())
    }

    /// A field that may stand there several times.
    pub(super) fn texts(&mut self, field: &'static str) -> Vec<String> {
        let values = self.take(field);
        let read = values
            .iter()
            .filter_map(|value| self.read(field, value, "text", text));
        read.collect()
    }

    /// Objects, such as the groups of a file.
    pub(super) fn objects(&mut self, field: &'static str) -> Vec<Map<String, Value>> {
        let read = |value: &Value| value.as_object().cloned();
        let values = self.take(field);
        let objects = values
            .iter()
            .filter_map(|value| self.read(field, value, "a list of objects", read));
        objects.collect()
    }

    /// Notes that `field` is not there.
    pub(super) fn missing(&mut self, field: &'static str, example: &'static str) {
        // One that was there and wrong has been noted.
        let place = self.place.clone();
        let noted = |problem: &Problem| {
            matches!(problem, Problem::WrongValue { place: at, field: name, .. } | Problem::Twice { place: at, field: name }
                if *at == place && name == field)
        };
        if !self.problems.iter().any(noted) {
            self.problems.push(Problem::Missing {
                place,
                field,
                example,
            });
        }
    }

    /// The end: what nobody asked for is a mistake.
    pub(super) fn finish(self) {
        for field in self.names {
            if self.asked.contains(&field.as_str()) {
                continue;
            }
            self.problems.push(Problem::UnknownField {
                place: self.place.clone(),
                nearest: nearest(&field, self.asked.iter().copied()),
                known: self.asked.join(", "),
                field,
            });
        }
    }

    fn one<T>(
        &mut self,
        field: &'static str,
        wanted: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let values = self.take(field);
        if values.len() > 1 {
            self.problems.push(Problem::Twice {
                place: self.place.clone(),
                field: field.to_owned(),
            });
            return None;
        }
        let value = values.first()?;
        self.read(field, value, wanted, read)
    }

    fn read<T>(
        &mut self,
        field: &'static str,
        value: &Value,
        wanted: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let read = read(value);
        if read.is_none() {
            let shown = value.as_str().map(str::to_owned);
            self.problems.push(Problem::WrongValue {
                place: self.place.clone(),
                field: field.to_owned(),
                value: shown.unwrap_or_else(|| value.to_string()),
                wanted,
            });
        }
        read
    }

    fn take(&mut self, field: &'static str) -> Vec<Value> {
        self.asked.push(field);
        let taken = self.values.extract_if(.., |(name, _)| name == field);
        taken.map(|(_, value)| value).collect()
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
