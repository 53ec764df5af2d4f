//! The versions of the CNI specification that are spoken, which verb needs which, and the answer to VERSION. How the
//! versions shape a result is `result`'s.

use alloc::format;

use serde_json::{Value, json};

use crate::env::Verb;
use crate::error::{Error, code};

/// The newest version: what an answer carries when the configuration's is not known.
pub(crate) const NEWEST: &str = "1.1.0";

/// A version that a configuration may ask for. 0.3.0 differs from 0.3.1 by a correction of the text only; before it
/// there was no chaining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V0_3_0,
    V0_3_1,
    V0_4_0,
    V1_0_0,
    V1_1_0,
}

impl Version {
    /// Ascending; runtimes compare the strings one by one.
    pub(crate) const ALL: [Self; 5] = [
        Self::V0_3_0,
        Self::V0_3_1,
        Self::V0_4_0,
        Self::V1_0_0,
        Self::V1_1_0,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => NEWEST,
        }
    }

    /// The version of that exact name: `1.0` is not `1.0.0`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == name)
    }

    /// The version of a call, or why this verb cannot be answered in it.
    pub(crate) fn negotiate(configured: &str, verb: &Verb) -> Result<Self, Error> {
        gate(configured, verb)?;
        Self::named(configured).ok_or_else(|| {
            Error::new(code::INCOMPATIBLE_VERSION, "incompatible CNI versions").details(format!(
                "config is {configured:?}, plugin supports {:?}",
                Self::ALL.map(Self::as_str)
            ))
        })
    }
}

/// The answer to VERSION: the input's version is echoed where there is one.
pub(crate) fn answer(stdin: &[u8]) -> Value {
    let input: Value = serde_json::from_slice(stdin).unwrap_or_default();
    let echoed = input["cniVersion"]
        .as_str()
        .filter(|version| !version.is_empty());
    json!({
        "cniVersion": echoed.unwrap_or(NEWEST),
        "supportedVersions": Version::ALL.map(Version::as_str),
    })
}

/// CHECK came with 0.4.0, GC and STATUS with 1.1.0.
fn gate(configured: &str, verb: &Verb) -> Result<(), Error> {
    let since = match verb {
        Verb::Check => [0, 4, 0],
        Verb::Gc | Verb::Status => [1, 1, 0],
        Verb::Add | Verb::Del | Verb::Version | Verb::Unknown(_) => return Ok(()),
    };
    let Some(numbers) = numbers(configured) else {
        return Err(Error::new(
            code::DECODING,
            format!("cniVersion {configured:?} is not a version"),
        ));
    };
    if numbers < since {
        return Err(Error::new(
            code::INCOMPATIBLE_VERSION,
            format!("config version does not allow {verb}"),
        )
        .details(format!("config is {configured:?}")));
    }
    Ok(())
}

/// Major, minor and micro; missing ones are 0.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut numbers = [0; 3];
    for (at, part) in version.split('.').enumerate() {
        *numbers.get_mut(at)? = part.parse().ok()?;
    }
    Some(numbers)
}
