//! What answers instead of instance metadata.

use ec2::MetadataError;
use ec2::imds_parse as parse;

const PATH: &str = "meta-data/x";

/// Longest quotation in an error, in characters, with its ellipsis.
const QUOTE: usize = 81;

/// This as the answer on every path. It is read as what it says, or refused with a short quotation.
pub fn imds(data: &[u8]) {
    // The client refuses what is not UTF-8.
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(document) = sane(parse::document(PATH, text)) {
        assert!(document.instance_id.starts_with("i-") && is_word(&document.instance_id));
        assert!(is_word(&document.instance_type) && is_word(&document.region));
    }
    if let Some(mac) = sane(parse::mac(PATH, text)) {
        assert_eq!(sane(parse::mac(PATH, &mac)).as_ref(), Some(&mac));
        assert!(mac.len() == 17 && mac.to_ascii_lowercase() == mac);
    }
    if let Some(macs) = sane(parse::macs(PATH, text)) {
        assert_eq!(sane(parse::macs(PATH, &macs.join("/\n"))), Some(macs));
    }
    for prefix in ["eni-", "subnet-"] {
        if let Some(id) = sane(parse::id(PATH, text, prefix, "an id")) {
            assert!(id.starts_with(prefix) && is_word(&id));
        }
    }
    same(text, parse::number);
    same(text, parse::address);
    same(text, parse::cidr);
    if let Some(addresses) = sane(parse::addresses(PATH, text)) {
        assert!(!addresses.is_empty());
    }
    if let Some(cidrs) = sane(parse::cidrs(PATH, text)) {
        assert!(!cidrs.is_empty());
    }
    if let Some(groups) = sane(parse::security_groups(PATH, text)) {
        assert!(
            groups
                .iter()
                .all(|group| group.starts_with("sg-") && is_word(group))
        );
    }
}

/// What was read and written again reads as the same.
fn same<T: PartialEq + std::fmt::Debug + ToString>(
    text: &str,
    read: fn(&str, &str) -> Result<T, MetadataError>,
) {
    if let Some(value) = sane(read(PATH, text)) {
        assert_eq!(sane(read(PATH, &value.to_string())), Some(value));
    }
}

fn sane<T>(read: Result<T, MetadataError>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(MetadataError::BadAnswer { value, path, .. }) => {
            assert_eq!(path, PATH);
            assert!(
                value.chars().count() <= QUOTE && !value.contains('\n'),
                "{value}"
            );
            None
        }
        Err(error) => panic!("no call was made: {error}"),
    }
}

fn is_word(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}
