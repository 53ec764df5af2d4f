//! MAC addresses as they come from EC2 and IMDS, in the one form that is used as a key.

/// Lower case with colons, or nothing if `text` is not six octets with colons.
pub(crate) fn normalize(text: &str) -> Option<String> {
    let mut octets = 0;
    for octet in text.split(':') {
        if octet.len() != 2 || !octet.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        octets += 1;
    }
    (octets == 6).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_six_octets_with_colons_are_a_mac() {
        assert_eq!(
            normalize("0A:ff:00:12:34:56").as_deref(),
            Some("0a:ff:00:12:34:56")
        );
        for wrong in [
            "",
            "0a:ff:00:12:34",
            "0a:ff:00:12:34:56:78",
            "0a-ff-00-12-34-56",
            "+a:ff:00:12:34:56",
            "a:ff:00:12:34:56",
        ] {
            assert_eq!(normalize(wrong), None, "{wrong:?}");
        }
    }
}
