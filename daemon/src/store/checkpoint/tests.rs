//! The checkpoint against its golden file, aws-node's own files, and broken ones.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Berth {
    schema: u32,
}

const GOLDEN: &str = include_str!("golden.json");

fn golden() -> Vec<Allocation> {
    let allocation =
        |container_id: &str, last, allocation_timestamp, namespace: &str, name: &str| Allocation {
            network_name: "aws-cni".into(),
            container_id: container_id.into(),
            if_name: "eth0".into(),
            ipv4: Some(Ipv4Addr::new(10, 0, 1, last)),
            ipv6: None,
            allocation_timestamp,
            metadata: Metadata {
                namespace: namespace.into(),
                name: name.into(),
                interfaces_count: 1,
            },
        };
    vec![
        allocation(
            "9b1c1c2a",
            23,
            1_754_900_000_123_456_789,
            "default",
            "web-0",
        ),
        allocation("0f00", 24, 1_754_900_001_000_000_000, "", ""),
    ]
}

fn berth(_: &[Allocation], berth: Berth) -> Result<Berth, String> {
    Ok(berth)
}

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn with(document: impl AsRef<[u8]>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ipam.json"), document).unwrap();
        Self { dir }
    }

    fn load(&self) -> Loaded<Berth> {
        load(&self.dir.path().join("ipam.json")).unwrap()
    }
}

#[test]
fn the_document_is_the_golden_file_and_back() {
    let mut encoded = Vec::new();
    encode(&golden(), &Berth { schema: 1 }, &mut encoded).unwrap();
    assert_eq!(String::from_utf8(encoded).unwrap(), GOLDEN.trim_end());
    let loaded = Home::with(GOLDEN).load();
    let (allocations, berth) = (golden(), Berth { schema: 1 });
    assert_eq!(loaded, Loaded::Ours { allocations, berth });
}

#[test]
fn no_file_is_a_fresh_node() {
    let home = tempfile::tempdir().unwrap();
    let loaded: Loaded<Berth> = load(&home.path().join("ipam.json")).unwrap();
    assert_eq!(loaded, Loaded::Fresh);
}

#[test]
fn a_file_without_our_member_is_aws_nodes() {
    let theirs = r#"{"version":"vpc-cni-ipam/1","allocations":[{"networkName":"aws-cni","containerID":"c",
        "ifName":"eth0","ipv4":"10.0.0.9","allocationTimestamp":5,"metadata":{"k8sPodName":"p","new":1}},
        {"networkName":"aws-cni","containerID":"d","ifName":"eth0","ipv6":"2600::1"}]}"#;
    let Loaded::Foreign { allocations } = Home::with(theirs).load() else {
        panic!()
    };
    assert_eq!(allocations[0].ipv4, Some(Ipv4Addr::new(10, 0, 0, 9)));
    assert_eq!(allocations[0].metadata.interfaces_count, 1);
    assert_eq!(
        (allocations[1].ipv4, allocations[1].allocation_timestamp),
        (None, 0)
    );
    for empty in [r#","allocations":null"#, r#","allocations":[]"#, ""] {
        let file = format!(r#"{{"version":"vpc-cni-ipam/1"{empty}}}"#);
        let allocations = Vec::new();
        assert_eq!(Home::with(file).load(), Loaded::Foreign { allocations });
    }
}

#[test]
fn a_file_that_cannot_be_used_is_set_aside_whole() {
    for (document, word) in [
        ("", "EOF"),
        ("not json", "expected"),
        (
            r#"{"version":"vpc-cni-ipam/2","allocations":[]}"#,
            "vpc-cni-ipam/2",
        ),
        (r#"{"allocations":[]}"#, "version"),
        (
            r#"{"version":"vpc-cni-ipam/1","allocations":[{"ipv4":"10.0.0.300"}]}"#,
            "",
        ),
        (
            r#"{"version":"vpc-cni-ipam/1","allocations":[],"berth":{"schema":-1}}"#,
            "berth",
        ),
        (
            r#"{"version":"vpc-cni-ipam/1","allocations":[],"berth":null}"#,
            "berth",
        ),
    ] {
        let home = Home::with(document);
        let Loaded::Corrupt { set_aside, error } = home.load() else {
            panic!("{document}")
        };
        assert!(error.contains(word), "{error}");
        assert_eq!(std::fs::read_to_string(&set_aside).unwrap(), document);
        let name = set_aside.file_name().unwrap().to_str().unwrap();
        let seconds = name.strip_prefix("ipam.json.corrupt-").unwrap();
        assert!(seconds.parse::<u64>().unwrap() > 1_700_000_000, "{name}");
        assert_eq!(home.load(), Loaded::Fresh);
    }
}

#[test]
fn a_member_that_does_not_belong_to_the_allocations_is_corrupt() {
    let home = Home::with(GOLDEN);
    let path = home.dir.path().join("ipam.json");
    let refuse = |allocations: &[Allocation], _: Berth| -> Result<(), String> {
        Err(format!("not of {}", allocations.len()))
    };
    let Loaded::Corrupt { error, .. } = load_with(&path, refuse).unwrap() else {
        panic!()
    };
    assert_eq!(error, "its member \"berth\": not of 2");
    assert_eq!(home.load(), Loaded::Fresh);
}

#[test]
fn two_corrupt_files_of_one_second_are_both_kept() {
    let home = Home::with("one");
    home.load();
    std::fs::write(home.dir.path().join("ipam.json"), "two").unwrap();
    home.load();
    assert_eq!(std::fs::read_dir(home.dir.path()).unwrap().count(), 2);
}

#[test]
fn a_file_that_cannot_be_read_stops_the_start_and_stays() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("ipam.json");
    std::fs::create_dir(&path).unwrap();
    let error = load::<Berth>(&path).unwrap_err();
    assert!(matches!(error, CheckpointError::Read { .. }), "{error}");
    assert!(path.exists());
}

#[test]
fn no_truncation_is_taken_for_a_checkpoint() {
    let document = GOLDEN.trim_end().as_bytes();
    for end in 0..document.len() {
        assert!(decode(&document[..end], berth).is_err(), "{end} bytes");
    }
    assert!(decode(document, berth).is_ok());
}

prop_compose! {
    fn allocation()(
        names in prop::array::uniform5(".*"),
        ipv4 in prop::option::of(any::<Ipv4Addr>()),
        ipv6 in prop::option::of(any::<Ipv6Addr>()),
        allocation_timestamp in any::<i64>(),
        interfaces_count in any::<u32>(),
    ) -> Allocation {
        let [network_name, container_id, if_name, namespace, name] = names;
        let metadata = Metadata { namespace, name, interfaces_count };
        Allocation { network_name, container_id, if_name, ipv4, ipv6, allocation_timestamp, metadata }
    }
}

proptest! {
    #[test]
    fn decode_undoes_encode(
        allocations in prop::collection::vec(allocation(), 0..4),
        berth in prop::collection::btree_map(".*", any::<u64>(), 0..4),
    ) {
        let mut document = Vec::new();
        encode(&allocations, &berth, &mut document).unwrap();
        let decoded = decode(&document, |_, berth: BTreeMap<String, u64>| Ok(berth)).unwrap();
        prop_assert_eq!(decoded, (allocations, Some(berth)));
    }

    #[test]
    fn one_wrong_byte_never_panics(at in 0..GOLDEN.len(), byte in any::<u8>()) {
        let mut document = GOLDEN.as_bytes().to_vec();
        document[at] = byte;
        let _ = decode(&document, berth);
    }
}
