//! The call as the environment tells it: the verb and the variables that it needs, checked. CNI_ARGS is only carried
//! (`args` reads it), CNI_NETNS is only named (`netns` opens it).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::error::{Error, code};

/// The longest interface name in bytes: IFNAMSIZ less the terminating zero.
const IFNAME_MAX: usize = 15;

/// What CNI_COMMAND asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Add,
    Del,
    Check,
    Status,
    Gc,
    Version,
    /// Refused, but only after the configuration was judged, as the reference does.
    Unknown(String),
}

impl Verb {
    /// The verb of that exact name.
    fn named(name: &str) -> Self {
        match name {
            "ADD" => Self::Add,
            "DEL" => Self::Del,
            "CHECK" => Self::Check,
            "STATUS" => Self::Status,
            "GC" => Self::Gc,
            "VERSION" => Self::Version,
            other => Self::Unknown(other.into()),
        }
    }

    /// How long a call may take from the start of the process. All lie below kubelet's 30 s for a runtime that does not
    /// answer; STATUS holds go-cni's lock and has no timeout of its own there.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(match self {
            Self::Add => 25,
            Self::Del | Self::Check | Self::Gc | Self::Unknown(_) => 10,
            Self::Status | Self::Version => 1,
        })
    }

    /// The variables that must be there and valid, in the order in which they are reported (CNI spec, "Parameters").
    fn required(&self) -> &'static [&'static str] {
        match self {
            Self::Add | Self::Check => &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
            Self::Del => &["CNI_CONTAINERID", "CNI_IFNAME"],
            Self::Gc => &["CNI_PATH"],
            Self::Status | Self::Version | Self::Unknown(_) => &[],
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Status => "STATUS",
            Self::Gc => "GC",
            Self::Version => "VERSION",
            Self::Unknown(name) => name,
        })
    }
}

/// What the environment says. Fields that the verb does not require are as found, or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    pub(crate) verb: Verb,
    pub(crate) container_id: String,
    pub(crate) ifname: String,
    /// CNI_NETNS as bytes, since DEL takes what it gets.
    pub(crate) netns: Vec<u8>,
    pub(crate) args: Vec<u8>,
    /// CNI_NETNS_OVERRIDE: CNI_NETNS may be the plugin's own namespace.
    pub(crate) own_netns_allowed: bool,
}

impl Environment {
    /// Reads and checks the variables that the verb requires; set but empty counts as unset, as libcni sets all of them
    /// always.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Self, Error> {
        let value = |name: &str| lookup(name).unwrap_or_default();
        let command = value("CNI_COMMAND");
        if command.is_empty() {
            return Err(missing(&["CNI_COMMAND"]));
        }
        let verb = Verb::named(&text("CNI_COMMAND", command)?);
        let required = verb.required();
        let absent: Vec<&str> = required
            .iter()
            .copied()
            .filter(|name| value(name).is_empty())
            .collect();
        if !absent.is_empty() {
            return Err(missing(&absent));
        }
        let wanted = |name: &str| {
            if required.contains(&name) {
                text(name, value(name))
            } else {
                Ok(String::new())
            }
        };
        let container_id = wanted("CNI_CONTAINERID")?;
        let ifname = wanted("CNI_IFNAME")?;
        wanted("CNI_NETNS")?;
        if required.contains(&"CNI_CONTAINERID") && !is_identifier(&container_id) {
            return Err(
                Error::new(code::ENVIRONMENT, "invalid characters in CNI_CONTAINERID")
                    .details(container_id),
            );
        }
        if required.contains(&"CNI_IFNAME") {
            check_ifname(&ifname)?;
        }
        let allowed = value("CNI_NETNS_OVERRIDE");
        let own_netns_allowed = allowed == b"1" || allowed.eq_ignore_ascii_case(b"true");
        let (netns, args) = (value("CNI_NETNS"), value("CNI_ARGS"));
        Ok(Self {
            verb,
            container_id,
            ifname,
            netns,
            args,
            own_netns_allowed,
        })
    }
}

/// Whether a container id or network name has the form that the specification demands:
/// an ASCII letter or digit, then these and `_`, `.`, `-`.
pub(crate) fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn missing(names: &[&str]) -> Error {
    Error::new(
        code::ENVIRONMENT,
        format!("required env variables [{}] missing", names.join(",")),
    )
}

fn text(name: &str, value: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(value).map_err(|odd| {
        Error::new(code::ENVIRONMENT, format!("{name} is not UTF-8"))
            .details(String::from_utf8_lossy(odd.as_bytes()))
    })
}

/// The kernel's rule for names (net/core/dev.c, `dev_valid_name`), in the reference's words.
fn check_ifname(name: &str) -> Result<(), Error> {
    let invalid = |msg: &str| Error::new(code::ENVIRONMENT, msg);
    if name.len() > IFNAME_MAX {
        return Err(invalid("interface name is too long")
            .details("interface name should be less than 16 characters"));
    }
    if name == "." || name == ".." {
        return Err(invalid("interface name is . or .."));
    }
    if name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace()) {
        return Err(
            invalid("interface name contains / or : or whitespace characters").details(name),
        );
    }
    Ok(())
}
