//! A result of one version as a result of another, as libcni's converters have it: a list may be raised or lowered while
//! containers of it run, and their cached results go to plugins in the list's new version.

use serde_json::{Value, json};

use super::conflist::Version;
use super::outcome::AddResult;

/// `result` as one of version `to`; `None` if it says no version that is known, or is no result of it.
#[must_use]
pub fn convert(result: &Value, to: Version) -> Option<Value> {
    let from = Version::named(result["cniVersion"].as_str()?)?;
    let mut result = AddResult::parse(&result.to_string(), from)
        .ok()?
        .json()
        .clone();
    result["cniVersion"] = json!(to.as_str());
    if to < Version::V1_0_0 && from >= Version::V1_0_0 {
        for ip in result["ips"].as_array_mut().into_iter().flatten() {
            let is_v6 = ip["address"].as_str()?.contains(':');
            ip["version"] = json!(if is_v6 { "6" } else { "4" });
        }
    }
    // what the new version does not know is dropped
    Some(
        AddResult::parse(&result.to_string(), to)
            .ok()?
            .json()
            .clone(),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn newest() -> Value {
        json!({"cniVersion": "1.1.0",
            "interfaces": [{"name": "eni1"}, {"name": "eth0", "mac": "254", "mtu": 9001, "pciID": "0", "sandbox": "/run/netns/p"}],
            "ips": [{"address": "10.0.0.2/32", "gateway": "169.254.1.1", "interface": 1}, {"address": "2001:db8::2/128", "interface": 0}],
            "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1", "mtu": 1400, "table": 7}],
            "dns": {"nameservers": ["192.0.2.53"]}})
    }

    #[test]
    fn down_adds_the_family_and_drops_what_is_new() {
        let old = convert(&newest(), Version::V0_4_0).unwrap();
        let expected = json!({"cniVersion": "0.4.0",
            "interfaces": [{"name": "eni1"}, {"name": "eth0", "mac": "254", "sandbox": "/run/netns/p"}],
            "ips": [{"version": "4", "address": "10.0.0.2/32", "gateway": "169.254.1.1", "interface": 1},
                {"version": "6", "address": "2001:db8::2/128", "interface": 0}],
            "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}],
            "dns": {"nameservers": ["192.0.2.53"]}});
        assert_eq!(old, expected);
    }

    #[test]
    fn up_drops_the_family_and_keeps_the_rest() {
        let old = convert(&newest(), Version::V0_3_1).unwrap();
        let new = convert(&old, Version::V1_1_0).unwrap();
        assert_eq!(new["cniVersion"], "1.1.0");
        assert!(new["ips"][0].get("version").is_none());
        assert_eq!(new["ips"][1]["interface"], 0);
        assert_eq!(new["interfaces"], old["interfaces"]);
    }

    #[test]
    fn to_its_own_version_it_stays_and_of_no_version_it_is_none() {
        assert_eq!(convert(&newest(), Version::V1_1_0).unwrap(), newest());
        for unknown in [
            json!({"ips": []}),
            json!({"cniVersion": "0.2.0"}),
            json!({"cniVersion": 1}),
            json!(7),
        ] {
            assert_eq!(convert(&unknown, Version::V1_0_0), None);
        }
        let broken = json!({"cniVersion": "1.0.0", "ips": [{"address": 5}]});
        assert_eq!(convert(&broken, Version::V0_4_0), None);
    }
}
