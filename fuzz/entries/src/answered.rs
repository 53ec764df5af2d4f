//! What must hold of every answer of the plugin, whatever it was asked.

use berth_cni::contract::{Ask, PROTOCOL, Request, decode};
use berth_cni::frame::encode;
use berth_cni::rehearsal::Rehearsal;
use serde_json::Value;

use crate::sample::VERSIONS;

/// The longest text of an error, in characters: it ends in an event of Kubernetes, whose limit is 1,024 bytes.
const LONGEST: usize = 1024;

/// Codes that a runtime may be told: the specification's, libcni's 8 and 999, and plugin specific ones.
fn is_code(code: u64) -> bool {
    matches!(code, 1..=8 | 11 | 50 | 51 | 100..=999)
}

/// At most one JSON document, an error with a CNI code or a result of the right verb, and a question that the daemon
/// understands.
pub(crate) fn check(verb: &str, rehearsal: &Rehearsal) {
    check_from(true, verb, rehearsal);
}

/// The same, by the word of a daemon that may be nobody's.
pub(crate) fn check_from(honest: bool, verb: &str, rehearsal: &Rehearsal) {
    let answer = &rehearsal.answer;
    if let Some(document) = &answer.document {
        let printed = document.to_string();
        assert!(!printed.contains('\n'), "more than one line: {printed}");
        let read: Value = serde_json::from_str(&printed).expect("stdout is JSON");
        assert_eq!(read, *document, "stdout reads as something else");
    }
    match (answer.success, &answer.document) {
        (false, Some(error)) => check_error(honest, verb, error),
        (false, None) => panic!("{verb} failed without a word"),
        (true, Some(result)) => {
            assert!(matches!(verb, "ADD" | "VERSION"), "{verb} printed {result}");
        }
        (true, None) => assert!(!matches!(verb, "ADD" | "VERSION"), "{verb} is mute"),
    }
    if let Some(asked) = &rehearsal.asked {
        check_asked(asked);
    }
}

fn check_error(honest: bool, verb: &str, error: &Value) {
    let version = error["cniVersion"].as_str().expect("cniVersion");
    assert!(VERSIONS.contains(&version), "{error}");
    let code = error["code"].as_u64().expect("a code");
    // A daemon that is not honest may have its own idea of codes, but not that nothing failed.
    assert!(code != 0 && u32::try_from(code).is_ok(), "{error}");
    assert!(!honest || is_code(code), "{error}");
    let msg = error["msg"].as_str().expect("msg");
    assert!(!msg.is_empty(), "{error}");
    for text in [msg, error["details"].as_str().unwrap_or_default()] {
        let length = text.chars().count();
        assert!(length <= LONGEST, "a text of {length} characters");
        assert!(!text.contains(char::is_control), "{error}");
        if verb == "DEL" {
            // go-cni takes these for success.
            let text = text.to_lowercase();
            assert!(!text.contains("not found"), "{error}");
            assert!(!text.contains("no such file or directory"), "{error}");
        }
    }
}

/// What is asked arrives as it was sent.
fn check_asked(asked: &Ask) {
    let request = Request {
        protocol: PROTOCOL,
        invocation: "5eed".to_owned(),
        ask: asked.clone(),
    };
    let frame = encode(&request).expect("a request fits a frame");
    let read: Request = decode(&frame[4..]).expect("the daemon understands the request");
    assert_eq!(read, request);
    let id = match asked {
        Ask::Add(add) => &add.id,
        Ask::Del(del) => &del.id,
        Ask::Check(check) => &check.id,
        Ask::Gc(_) | Ask::Status | Ask::State | Ask::Explain => return,
    };
    assert!((1..=15).contains(&id.ifname.len()), "{id:?}");
    assert!(
        !id.container_id.is_empty() && !id.network.is_empty(),
        "{id:?}"
    );
    // It is also the name of a file.
    let file = berth_cni::tombstone::file_name(id);
    assert!(!file.contains('/') && !file.starts_with('.'), "{file}");
}
