//! Whose an ENI is that Describe shows on this instance.

use crate::action::DescribedEni;
use crate::eni::Ownership;

/// Tag that keeps every CNI's hands off an ENI, as aws-node reads it.
pub const NO_MANAGE_TAG: &str = "node.k8s.amazonaws.com/no_manage";
/// Tag with the instance an ENI was made for, as aws-node writes it.
pub const INSTANCE_TAG: &str = "node.k8s.amazonaws.com/instance_id";
/// What the description of an ENI made by aws-node or berth begins with.
pub const DESCRIPTION_PREFIX: &str = "aws-K8S-";

/// What an operator says of ENIs that nobody in particular made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Attached plain interfaces without a tag or description of a CNI are ours (MANAGE_UNTAGGED_ENI).
    pub untagged: bool,
    /// Available ENIs that were made for this node and that it does not know are deleted (DISABLE_LEAKED_ENI_CLEANUP).
    pub leaked: bool,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            untagged: false,
            leaked: true,
        }
    }
}

/// Ours are those that a CNI made for this node, by tag or description; the first one is the primary; everything else is
/// somebody else's: tagged `no_manage`, of a type that is no plain interface, without an IPv4 address, on another card,
/// or not claimed.
pub fn ownership(eni: &DescribedEni, claims: Claims) -> Ownership {
    let Some(attachment) = &eni.attachment else {
        return Ownership::Foreign;
    };
    if attachment.device_index == 0 && attachment.network_card == 0 {
        return Ownership::Primary;
    }
    let ours = (is_made(eni) || claims.untagged) && may_be_ours(eni);
    if ours && attachment.network_card == 0 && eni.primary_address.is_some() {
        return Ownership::Ours;
    }
    Ownership::Foreign
}

/// Whether an ENI that is not attached was made for pods and may be deleted.
pub fn is_leftover(eni: &DescribedEni) -> bool {
    eni.attachment.is_none() && is_made(eni) && may_be_ours(eni)
}

/// Made by a CNI for pods.
fn is_made(eni: &DescribedEni) -> bool {
    eni.tags.contains_key(INSTANCE_TAG) || eni.description.starts_with(DESCRIPTION_PREFIX)
}

/// A plain interface, and not put under another's hand.
fn may_be_ours(eni: &DescribedEni) -> bool {
    let no_manage = eni
        .tags
        .get(NO_MANAGE_TAG)
        .is_some_and(|value| value == "true");
    matches!(eni.interface_type.as_str(), "interface" | "efa" | "") && !no_manage
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
            primary_address: Some(Ipv4Addr::new(10, 0, 1, 5)),
            subnet: None,
            addresses: vec![],
            prefixes: vec![],
            interface_type: interface_type.into(),
            description: String::new(),
            security_groups: vec![],
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
            assert_eq!(ownership(&eni, Claims::default()), whose, "{eni:?}");
        }
        let described = DescribedEni {
            description: "aws-K8S-i-1".into(),
            ..eni(2, 0, &[], "interface")
        };
        assert_eq!(ownership(&described, Claims::default()), Ownership::Ours);
        let available = DescribedEni {
            attachment: None,
            ..eni(1, 0, &[made], "interface")
        };
        assert_eq!(ownership(&available, Claims::default()), Ownership::Foreign);
        assert!(is_leftover(&available));
        let theirs = DescribedEni {
            attachment: None,
            ..eni(1, 0, &[made, (NO_MANAGE_TAG, "true")], "interface")
        };
        assert!(!is_leftover(&theirs));
    }

    #[test]
    fn who_claims_untagged_enis_gets_the_plain_ones() {
        let claims = Claims {
            untagged: true,
            ..Claims::default()
        };
        let no_ipv4 = DescribedEni {
            primary_address: None,
            ..eni(1, 0, &[(INSTANCE_TAG, "i-1")], "interface")
        };
        let cases = [
            (eni(1, 0, &[], "interface"), Ownership::Ours),
            (
                eni(1, 0, &[(NO_MANAGE_TAG, "true")], "interface"),
                Ownership::Foreign,
            ),
            (eni(1, 0, &[], "trunk"), Ownership::Foreign),
            (eni(1, 1, &[], "interface"), Ownership::Foreign),
            (no_ipv4, Ownership::Foreign),
        ];
        for (eni, whose) in cases {
            assert_eq!(ownership(&eni, claims), whose, "{eni:?}");
            let available = DescribedEni {
                attachment: None,
                ..eni
            };
            assert_eq!(is_leftover(&available), is_made(&available));
        }
    }
}
