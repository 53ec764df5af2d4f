//! The settings of HTTP: what listens where. aws-node's names where it has them.

use std::net::SocketAddr;

use super::reader::Reader;
use super::values::boolean;

const INTROSPECTION: &str = "INTROSPECTION_BIND_ADDRESS";

/// What listens where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// `/livez`, `/readyz` and `/metrics` (BERTH_METRICS_BIND_ADDRESS).
    pub watchers: WatchersAddress,
    /// Whether `/metrics` is among them (DISABLE_METRICS).
    pub metrics: bool,
    /// `/v1/enis` (INTROSPECTION_BIND_ADDRESS); none with DISABLE_INTROSPECTION.
    pub introspection: Option<SocketAddr>,
}

/// Where metrics and probes are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchersAddress {
    /// On the node's own address, which instance metadata tells, and this port.
    OfNode(u16),
    /// Here.
    Fixed(SocketAddr),
}

/// aws-node's ports.
const METRICS_PORT: u16 = 61678;
const INTROSPECTION_DEFAULT: &str = "127.0.0.1:61679";

pub(super) fn read(reader: &mut Reader<'_>) -> HttpSettings {
    let address = reader.value(
        "BERTH_METRICS_BIND_ADDRESS",
        WatchersAddress::OfNode(METRICS_PORT),
        watchers_address,
        |address| match address {
            WatchersAddress::OfNode(port) => format!(":{port}"),
            WatchersAddress::Fixed(address) => address.to_string(),
        },
    );
    let disabled = reader.value("DISABLE_METRICS", false, boolean, bool::to_string);
    let introspection = introspection(reader);
    let hidden = reader.value("DISABLE_INTROSPECTION", false, boolean, bool::to_string);
    HttpSettings {
        watchers: address,
        metrics: !disabled,
        introspection: introspection.filter(|_| !hidden),
    }
}

fn watchers_address(text: &str) -> Result<WatchersAddress, String> {
    let parsed = match text.strip_prefix(':') {
        Some(port) => port.parse().map(WatchersAddress::OfNode).ok(),
        None => text.parse().map(WatchersAddress::Fixed).ok(),
    };
    parsed.ok_or_else(|| {
        "must be :PORT, on the node's address, or ADDRESS:PORT, such as 0.0.0.0:61678".to_owned()
    })
}

/// aws-node's `unix:/path` is the one form that berth does not have: its own socket tells more.
fn introspection(reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let address = reader.value(
        INTROSPECTION,
        INTROSPECTION_DEFAULT.parse::<SocketAddr>().ok(),
        |text| match text.strip_prefix("unix:") {
            Some(_) => Ok(None),
            None => text
                .parse()
                .map(Some)
                .map_err(|_| format!("must be ADDRESS:PORT, such as {INTROSPECTION_DEFAULT}")),
        },
        |address| address.map_or_else(|| "none".to_owned(), |address| address.to_string()),
    );
    if address.is_none() {
        reader.warn(format!(
            "{INTROSPECTION}: berth does not serve /v1/enis on a unix socket, see `berthd status`"
        ));
    }
    address
}
