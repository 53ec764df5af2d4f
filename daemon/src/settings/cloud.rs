//! The settings about EC2: how it is called, and which of the ENIs that it shows the node may take or delete.

use std::time::Duration;

use ipam::ownership::Claims;

use super::errors::SettingError;
use super::reader::Reader;
use super::values::{boolean, number};

/// The shortest time-out that aws-node takes; it ignores shorter ones.
const SHORTEST_TIMEOUT: u32 = 10;
/// The longest that is of use: an ADD waits 24 s at most.
const LONGEST_TIMEOUT: u32 = 60;

/// How EC2 is called.
#[derive(Clone, PartialEq, Eq)]
pub struct CloudSettings {
    /// One call as a whole, credentials included (HTTP_TIMEOUT).
    pub timeout: Duration,
    /// The proxy for calls over HTTPS, with its password (HTTPS_PROXY).
    pub https_proxy: Option<String>,
    /// Hosts that are called without the proxy (NO_PROXY).
    pub no_proxy: Option<String>,
}

impl std::fmt::Debug for CloudSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudSettings")
            .field("timeout", &self.timeout)
            .field("https_proxy", &shown(&self.https_proxy))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

pub(super) fn read(reader: &mut Reader<'_>) -> CloudSettings {
    CloudSettings {
        timeout: reader.value(
            "HTTP_TIMEOUT",
            Duration::from_secs(SHORTEST_TIMEOUT.into()),
            |text| {
                let seconds = number(SHORTEST_TIMEOUT..=LONGEST_TIMEOUT, "seconds")(text)?;
                Ok(Duration::from_secs(seconds.into()))
            },
            |timeout| timeout.as_secs().to_string(),
        ),
        https_proxy: https_proxy(reader),
        no_proxy: no_proxy(reader),
    }
}

fn https_proxy(reader: &mut Reader<'_>) -> Option<String> {
    let (name, text, source) = either(reader, ["HTTPS_PROXY", "https_proxy"]);
    let url = text.map(|text| proxy(&text)).transpose();
    let url = url.unwrap_or_else(|why| {
        // Not as it stands: it may have a password in it.
        let value = "...".to_owned();
        reader.error(SettingError::Invalid { name, value, why });
        None
    });
    reader.list(name, shown(&url), source);
    url
}

fn no_proxy(reader: &mut Reader<'_>) -> Option<String> {
    let (name, hosts, source) = either(reader, ["NO_PROXY", "no_proxy"]);
    reader.list(name, hosts.clone().unwrap_or_default(), source);
    hosts
}

/// People write these in capitals or in small letters; the capitals win.
fn either(
    reader: &mut Reader<'_>,
    [capitals, small]: [&'static str; 2],
) -> (&'static str, Option<String>, &'static str) {
    let of = |name, text: String| (name, Some(text), "environment");
    let in_capitals = reader.text(capitals).map(|text| of(capitals, text));
    in_capitals
        .or_else(|| reader.text(small).map(|text| of(small, text)))
        .unwrap_or((capitals, None, "default"))
}

pub(super) fn claims(reader: &mut Reader<'_>) -> Claims {
    let default = Claims::default();
    let untagged = reader.value(
        "MANAGE_UNTAGGED_ENI",
        default.untagged,
        boolean,
        bool::to_string,
    );
    let kept = reader.value(
        "DISABLE_LEAKED_ENI_CLEANUP",
        !default.leaked,
        boolean,
        bool::to_string,
    );
    Claims {
        untagged,
        leaked: !kept,
    }
}

/// As Go reads it: a URL, or a host and port for `http://`.
fn proxy(text: &str) -> Result<String, String> {
    let wrong = "must be the URL of a proxy, such as http://10.0.0.1:3128";
    let url = match text.split_once("://") {
        Some(("http" | "https", _)) => text.to_owned(),
        Some(_) => return Err(wrong.to_owned()),
        None => format!("http://{text}"),
    };
    let authority = url.split("://").nth(1).unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let sane = |c: char| c.is_ascii_graphic() && c != '"' && c != '<';
    if host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[') && url.chars().all(sane) {
        Ok(url)
    } else {
        Err(wrong.to_owned())
    }
}

/// Without who logs in to it: status and log are read by more people than the environment.
fn shown(proxy: &Option<String>) -> String {
    let Some(url) = proxy else {
        return String::new();
    };
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://...@{host}"),
        _ => url.clone(),
    }
}
