//! The network configuration.

use berth_cni::contract::Ask;
use berth_cni::rehearsal::{Rehearsal, rehearse};
use serde_json::Value;

use crate::answered;
use crate::result::Added;
use crate::sample::{self, IFNAME, NETNS, VERBS};

/// Every verb with this on stdin. VERSION succeeds always; a DEL does not care for what is only a hint.
pub fn stdin(data: &[u8]) {
    for verb in VERBS {
        let rehearsal = call(verb, data);
        answered::check(verb, &rehearsal);
        match verb {
            "ADD" if rehearsal.answer.success => added(data, &rehearsal),
            "DEL" => hints_do_not_matter(data, &rehearsal),
            "VERSION" => assert!(rehearsal.answer.success),
            _ => {}
        }
    }
}

fn call(verb: &str, stdin: &[u8]) -> Rehearsal {
    rehearse(sample::environment(verb), stdin, sample::reply)
}

fn added(data: &[u8], rehearsal: &Rehearsal) {
    let conf: Value = serde_json::from_slice(data).expect("an ADD succeeded with it");
    assert!(matches!(rehearsal.asked, Some(Ask::Add(_))));
    let added = Added {
        version: conf["cniVersion"].as_str().expect("a version"),
        ifname: IFNAME,
        netns: NETNS,
        previous: conf
            .get("prevResult")
            .filter(|previous| !previous.is_null()),
        result: rehearsal.answer.document.as_ref().expect("a result"),
    };
    added.check();
}

fn hints_do_not_matter(data: &[u8], rehearsal: &Rehearsal) {
    let Ok(Value::Object(mut conf)) = serde_json::from_slice(data) else {
        return;
    };
    for hint in ["prevResult", "args", "runtimeConfig"] {
        conf.remove(hint);
    }
    let without = call("DEL", Value::Object(conf).to_string().as_bytes());
    assert_eq!(without.answer, rehearsal.answer);
}
