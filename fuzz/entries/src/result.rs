//! What must hold of the result of an ADD, alone or behind other plugins.

use serde_json::Value;

/// An ADD and what came of it.
pub(crate) struct Added<'a> {
    /// `cniVersion` of the configuration.
    pub version: &'a str,
    /// CNI_IFNAME.
    pub ifname: &'a str,
    /// CNI_NETNS.
    pub netns: &'a str,
    /// The configuration's `prevResult`, if there is one.
    pub previous: Option<&'a Value>,
    /// What was printed.
    pub result: &'a Value,
}

impl Added<'_> {
    /// It is of the configuration's version, its last address is on the pod's interface, every index is of an interface,
    /// and what others had written stands where it stood.
    pub(crate) fn check(&self) {
        let Self { result, .. } = self;
        assert_eq!(result["cniVersion"], self.version);
        let (interfaces, ips) = (list(result, "interfaces"), list(result, "ips"));
        for ip in ips {
            match ip.get("interface") {
                None | Some(Value::Null) => {}
                Some(index) => assert!(at(interfaces, index).is_some(), "dangling: {result}"),
            }
            assert!(
                ip.get("version").is_none() || self.version < "1.0.0",
                "{ip}"
            );
        }
        let ours = ips.last().expect("an address");
        assert_eq!(ours.get("version").is_some(), self.version < "1.0.0");
        let pod = at(interfaces, &ours["interface"]).expect("the address is on an interface");
        assert_eq!(pod["name"], self.ifname);
        assert!(pod["sandbox"].as_str().is_some_and(|s| !s.is_empty()));
        if let Some(previous) = self.previous {
            self.check_kept(previous);
        } else {
            assert_eq!(pod["sandbox"], self.netns);
            assert_eq!((interfaces.len(), ips.len()), (2, 1));
        }
    }

    fn check_kept(&self, previous: &Value) {
        for key in ["interfaces", "routes", "ips"] {
            let (before, after) = (list(previous, key), list(self.result, key));
            assert!(after.len() >= before.len(), "{key}: {}", self.result);
            for (before, after) in before.iter().zip(after) {
                assert_eq!(without_version(before), without_version(after));
            }
        }
        let others = previous.as_object().expect("an object").iter();
        for (key, value) in others.filter(|(key, _)| !is_merged(key)) {
            assert_eq!(self.result.get(key), Some(value), "{key}");
        }
    }
}

fn is_merged(key: &str) -> bool {
    matches!(key, "cniVersion" | "interfaces" | "ips" | "routes")
}

/// 1.0.0 took the member out of `ips`.
fn without_version(entry: &Value) -> Value {
    let mut entry = entry.clone();
    if entry.get("address").is_some()
        && let Some(entry) = entry.as_object_mut()
    {
        entry.remove("version");
    }
    entry
}

fn list<'a>(result: &'a Value, key: &str) -> &'a [Value] {
    result[key].as_array().map_or(&[], Vec::as_slice)
}

fn at<'a>(interfaces: &'a [Value], index: &Value) -> Option<&'a Value> {
    interfaces.get(usize::try_from(index.as_u64()?).ok()?)
}
