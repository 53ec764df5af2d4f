//! An error answer of EC2: its code on the first line, its status on the second, its message on the others. Whole
//! answers need the SDK, which is compiled in release only: the end-to-end tests spoil those.

use ec2::classify::{classify, message};
use ec2::{Action, Kind};

const ACTIONS: [Action; 10] = [
    Action::CreateNetworkInterface,
    Action::AttachNetworkInterface,
    Action::ModifyNetworkInterfaceAttribute,
    Action::AssignPrivateIpAddresses,
    Action::UnassignPrivateIpAddresses,
    Action::DetachNetworkInterface,
    Action::DeleteNetworkInterface,
    Action::DescribeNetworkInterfaces,
    Action::DescribeInstanceTypes,
    Action::DescribeSubnets,
];

/// Longest message, in characters, with its ellipsis.
const LONGEST: usize = 501;

/// An error of this code, status and message. A message is one short line; and what nobody can know is in doubt.
pub fn ec2_error(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(3, '\n');
    let code = parts.next().unwrap_or_default();
    let status = parts
        .next()
        .and_then(|status| status.parse().ok())
        .unwrap_or(400);
    let said = message(parts.next().unwrap_or_default());
    assert!(!said.is_empty() && !said.contains('\n'), "{said:?}");
    assert!(said.chars().count() <= LONGEST, "{said}");
    for action in ACTIONS {
        let kind = classify(action, code, status);
        assert_ne!(kind, Kind::Unreachable, "EC2 has answered");
        // The side at fault, which some write before the code, changes nothing.
        for side in ["Client.", "Server."] {
            if !code.starts_with("Client.") && !code.starts_with("Server.") {
                assert_eq!(classify(action, &format!("{side}{code}"), status), kind);
            }
        }
        // Refused is what was certainly not done, which only a 4xx says.
        if kind == Kind::Refused {
            assert!((400..500).contains(&status) && status != 408, "{status}");
        }
    }
}
