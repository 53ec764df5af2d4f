//! `prevResult`: what the plugins before us left.

use berth_cni::contract::{Ask, Interface};
use berth_cni::rehearsal::{Rehearsal, rehearse};
use serde_json::{Value, json};

use crate::answered;
use crate::result::Added;
use crate::sample::{self, IFNAME, NETNS, VERSIONS};

/// This as `prevResult` of an ADD, a CHECK and a DEL in each version. ADD refuses it or keeps all that is in it, CHECK
/// accepts what ADD made of it, DEL succeeds.
pub fn prev_result(data: &[u8]) {
    let Ok(previous) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    for version in VERSIONS {
        let added = call("ADD", version, &previous);
        if added.answer.success {
            let result = added.answer.document.as_ref().expect("a result");
            let check = Added {
                version,
                ifname: IFNAME,
                netns: NETNS,
                previous: Some(&previous).filter(|previous| !previous.is_null()),
                result,
            };
            check.check();
            follow(version, result, &added);
        }
        call("CHECK", version, &previous);
        assert!(call("DEL", version, &previous).answer.success);
    }
}

/// What the runtime remembers comes back with the next calls.
fn follow(version: &str, result: &Value, added: &Rehearsal) {
    let Some(Ask::Add(request)) = &added.asked else {
        panic!("an ADD asked {:?}", added.asked);
    };
    // A sandbox that an earlier plugin has named may be another one.
    let is_ours = request.interface == Interface::Create;
    let checked = call("CHECK", version, result);
    if version >= "0.4.0" && is_ours {
        assert!(checked.answer.success, "{:?}", checked.answer);
        let Some(Ask::Check(request)) = checked.asked else {
            panic!("a CHECK asked {:?}", checked.asked);
        };
        let ours = request.addresses.last().expect("our address");
        assert_eq!(ours.address.octets(), [10, 0, 3, 7]);
    }
    assert!(call("DEL", version, result).answer.success);
}

fn call(verb: &str, version: &str, previous: &Value) -> Rehearsal {
    let conf = json!({"cniVersion": version, "name": "aws-cni", "type": "berth-cni", "prevResult": previous});
    let conf = conf.to_string();
    let rehearsal = rehearse(sample::environment(verb), conf.as_bytes(), sample::reply);
    answered::check(verb, &rehearsal);
    rehearsal
}
