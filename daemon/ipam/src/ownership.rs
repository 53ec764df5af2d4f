//! Whose an ENI is that Describe shows on this instance.

use crate::action::DescribedEni;
use crate::eni::Ownership;

/// Tag that keeps every CNI's hands off an ENI, as aws-node reads it.
pub const NO_MANAGE_TAG: &str = "node.k8s.amazonaws.com/no_manage";
/// Tag with the instance an ENI was made for, as aws-node writes it.
pub const INSTANCE_TAG: &str = "node.k8s.amazonaws.com/instance_id";
/// What the description of an ENI made by aws-node or berth begins with.
pub const DESCRIPTION_PREFIX: &str = "aws-K8S-";

/// Ours are those that a CNI made for this node, by tag or description; the first one is the primary; everything else is
/// somebody else's: tagged `no_manage`, of a type that is no plain interface, on another card, or simply not ours.
pub fn ownership(eni: &DescribedEni) -> Ownership {
    let Some(attachment) = &eni.attachment else {
        return Ownership::Foreign;
    };
    if attachment.device_index == 0 && attachment.network_card == 0 {
        return Ownership::Primary;
    }
    if attachment.network_card != 0 || !is_made_for_pods(eni) {
        return Ownership::Foreign;
    }
    Ownership::Ours
}

/// Whether an ENI that is not attached was made for pods and may be deleted.
pub fn is_leftover(eni: &DescribedEni) -> bool {
    eni.attachment.is_none() && is_made_for_pods(eni)
}

/// Made by a CNI for pods, a plain interface, and not put under another's hand since.
fn is_made_for_pods(eni: &DescribedEni) -> bool {
    let no_manage = eni
        .tags
        .get(NO_MANAGE_TAG)
        .is_some_and(|value| value == "true");
    let plain = matches!(eni.interface_type.as_str(), "interface" | "efa" | "");
    let made =
        eni.tags.contains_key(INSTANCE_TAG) || eni.description.starts_with(DESCRIPTION_PREFIX);
    made && plain && !no_manage
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::action::DescribedAttachment;
    use crate::eni::EniId;
    use crate::mac::Mac;

    fn eni(
        device_index: u32,
        network_card: u32,
        tags: &[(&str, &str)],
        interface_type: &str,
    ) -> DescribedEni {
        DescribedEni {
            id: EniId("eni-1".into()),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            primary_address: Ipv4Addr::new(10, 0, 1, 5),
            subnet: None,
            addresses: vec![],
            prefixes: vec![],
            interface_type: interface_type.into(),
            description: String::new(),
            tags: tags
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            attachment: Some(DescribedAttachment {
                id: "eni-attach-1".into(),
                device_index,
                network_card,
                delete_on_termination: true,
            }),
        }
    }

    #[test]
    fn table() {
        let made = (INSTANCE_TAG, "i-1");
        let cases = [
            (eni(0, 0, &[], "interface"), Ownership::Primary),
            (
                eni(0, 0, &[(NO_MANAGE_TAG, "true")], "interface"),
                Ownership::Primary,
            ),
            (eni(1, 0, &[made], "interface"), Ownership::Ours),
            (
                eni(1, 0, &[made, (NO_MANAGE_TAG, "false")], "interface"),
                Ownership::Ours,
            ),
            (
                eni(1, 0, &[made, (NO_MANAGE_TAG, "true")], "interface"),
                Ownership::Foreign,
            ),
            (eni(1, 0, &[made], "trunk"), Ownership::Foreign),
            (eni(1, 0, &[made], "branch"), Ownership::Foreign),
            (eni(1, 0, &[made], "efa-only"), Ownership::Foreign),
            (eni(1, 1, &[made], "interface"), Ownership::Foreign),
            (eni(1, 0, &[], "interface"), Ownership::Foreign),
        ];
        for (eni, whose) in cases {
            assert_eq!(ownership(&eni), whose, "{eni:?}");
        }
        let described = DescribedEni {
            description: "aws-K8S-i-1".into(),
            ..eni(2, 0, &[], "interface")
        };
        assert_eq!(ownership(&described), Ownership::Ours);
        let available = DescribedEni {
            attachment: None,
            ..eni(1, 0, &[made], "interface")
        };
        assert_eq!(ownership(&available), Ownership::Foreign);
        assert!(is_leftover(&available));
        let theirs = DescribedEni {
            attachment: None,
            ..eni(1, 0, &[made, (NO_MANAGE_TAG, "true")], "interface")
        };
        assert!(!is_leftover(&theirs));
    }
}
