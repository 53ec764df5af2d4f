//! Link-layer addresses, and how the two ends of a pod's veth get theirs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

/// A 48-bit link-layer address, shown in lower case with colons.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// A locally administered unicast address (IEEE 802: second-lowest bit set, lowest clear) from a name, so that an
    /// ADD that is repeated asks for the same link. Setting it keeps udev's MACAddressPolicy from writing another.
    pub fn from_name(name: &str) -> Self {
        let digest = Sha1::digest(name.as_bytes());
        let mut octets = [0; 6];
        octets.copy_from_slice(&digest[..6]);
        octets[0] = (octets[0] & 0xfc) | 0x02;
        Self(octets)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no link-layer address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a MAC address")]
pub struct BadMac(String);

impl FromStr for Mac {
    type Err = BadMac;

    fn from_str(text: &str) -> Result<Self, BadMac> {
        let bad = || BadMac(text.to_owned());
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().filter(|p| p.len() == 2).ok_or_else(bad)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        parts
            .next()
            .is_none()
            .then_some(Self(octets))
            .ok_or_else(bad)
    }
}

impl TryFrom<String> for Mac {
    type Error = BadMac;

    fn try_from(text: String) -> Result<Self, BadMac> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_in_lower_case() {
        let mac: Mac = "0A:ff:00:01:02:03".parse().unwrap();
        assert_eq!(mac.to_string(), "0a:ff:00:01:02:03");
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "254",
            "0a:ff:00:01:02",
            "0a:ff:00:01:02:03:04",
            "0a:ff:00:01:02:zz",
            "+a:ff:00:01:02:3",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_named_address_is_local_and_unicast() {
        for name in ["a", "b", "berth:1/eth0"] {
            assert_eq!(Mac::from_name(name).0[0] & 3, 2);
        }
    }
}
