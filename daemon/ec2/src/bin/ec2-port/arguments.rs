//! A line of input, read piece by piece. What is missing or of another type is named; what is not asked for is ignored.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ec2::Describe;
use ipnet::Ipv4Net;
use serde_json::Value;

/// A line that cannot be understood, and why.
#[derive(Debug)]
pub struct Bad(pub String);

/// One call with its arguments.
#[derive(Debug)]
pub struct Arguments(Value);

impl Arguments {
    pub fn parse(line: &str) -> Result<Self, Bad> {
        serde_json::from_str(line)
            .map(Self)
            .map_err(|error| Bad(format!("no JSON: {error}")))
    }

    fn read<'a, T>(
        &'a self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, Bad> {
        self.0
            .get(name)
            .and_then(read)
            .ok_or_else(|| Bad(format!("{name} must be {wanted}")))
    }

    pub fn text(&self, name: &str) -> Result<&str, Bad> {
        self.read(name, "a text", Value::as_str)
    }

    pub fn number(&self, name: &str) -> Result<u32, Bad> {
        let read = |value: &Value| value.as_u64().and_then(|number| number.try_into().ok());
        self.read(name, "a number from 0 to 4294967295", read)
    }

    /// 0 if it is not there.
    pub fn number_or_none(&self, name: &str) -> Result<u32, Bad> {
        match self.0.get(name) {
            Some(_) => self.number(name),
            None => Ok(0),
        }
    }

    pub fn texts(&self, name: &str) -> Result<Vec<String>, Bad> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let read = |value: &Value| value.as_array()?.iter().map(text).collect();
        self.read(name, "a list of texts", read)
    }

    pub fn addresses(&self, name: &str) -> Result<Vec<Ipv4Addr>, Bad> {
        let texts = self.texts(name)?;
        let address = |text: &String| text.parse().ok();
        let addresses: Option<Vec<_>> = texts.iter().map(address).collect();
        addresses.ok_or_else(|| Bad(format!("{name} must be IPv4 addresses")))
    }

    /// None if it is not there.
    pub fn prefixes_or_none(&self, name: &str) -> Result<Vec<Ipv4Net>, Bad> {
        if self.0.get(name).is_none() {
            return Ok(Vec::new());
        }
        let texts = self.texts(name)?;
        let prefixes: Option<Vec<_>> = texts.iter().map(|text| text.parse().ok()).collect();
        prefixes.ok_or_else(|| Bad(format!("{name} must be IPv4 prefixes")))
    }

    pub fn tags(&self, name: &str) -> Result<BTreeMap<String, String>, Bad> {
        let tag = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        let read = |value: &Value| value.as_object()?.iter().map(tag).collect();
        self.read(name, "an object of texts", read)
    }

    /// `{"attached_to":"i-..."}`, `{"available_with_tag":["key","value"]}` or `{"ids":[...]}`.
    pub fn describe(&self) -> Result<Describe, Bad> {
        if let Ok(instance) = self.text("attached_to") {
            return Ok(Describe::AttachedTo(instance.to_owned()));
        }
        if let Ok(ids) = self.texts("ids") {
            return Ok(Describe::Ids(ids));
        }
        match self.texts("available_with_tag")?.as_slice() {
            [key, value] => Ok(Describe::AvailableWithTag {
                key: key.clone(),
                value: value.clone(),
            }),
            _ => Err(Bad(
                "available_with_tag must be a key and a value".to_owned()
            )),
        }
    }
}
