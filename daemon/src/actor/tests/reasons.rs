//! Why there is no address: the same typed reason in the ADD's failure, in what waits, and in the report.

use ec2::{Action, Kind};
use tokio::time::sleep;

use super::node::{A_WHILE, Node, SECOND, failed};

struct Case {
    action: Action,
    kind: Kind,
    reason: &'static str,
    /// In the message.
    msg: &'static str,
    /// In the remedy.
    details: &'static str,
}

const ASSIGN: Action = Action::AssignPrivateIpAddresses;
const CREATE: Action = Action::CreateNetworkInterface;
const ATTACH: Action = Action::AttachNetworkInterface;

const CASES: [Case; 9] = [
    Case {
        action: ASSIGN,
        kind: Kind::Throttled,
        reason: "Throttled",
        msg: "next try in",
        details: "quota",
    },
    Case {
        action: ASSIGN,
        kind: Kind::AccessDenied,
        reason: "AccessDenied",
        msg: "ec2:AssignPrivateIpAddresses",
        details: "AmazonEKS_CNI_Policy",
    },
    Case {
        action: ASSIGN,
        kind: Kind::CredentialsRefused,
        reason: "CredentialsRefused",
        msg: "AssignPrivateIpAddresses: ExpiredToken",
        details: "the node's clock",
    },
    Case {
        action: ASSIGN,
        kind: Kind::SubnetFull,
        reason: "SubnetFull",
        msg: "no free address",
        details: "free addresses in the node's subnet",
    },
    Case {
        action: ASSIGN,
        kind: Kind::Unreachable,
        reason: "ApiUnreachable",
        msg: "EC2 does not answer",
        details: "EC2 endpoint",
    },
    Case {
        action: CREATE,
        kind: Kind::Throttled,
        reason: "Throttled",
        msg: "next try in",
        details: "quota",
    },
    Case {
        action: CREATE,
        kind: Kind::AccessDenied,
        reason: "AccessDenied",
        msg: "ec2:CreateNetworkInterface",
        details: "AmazonEKS_CNI_Policy",
    },
    Case {
        action: CREATE,
        kind: Kind::SubnetFull,
        reason: "SubnetFull",
        msg: "no free address",
        details: "free addresses in the node's subnet",
    },
    Case {
        action: ATTACH,
        kind: Kind::AccessDenied,
        reason: "AccessDenied",
        msg: "ec2:AttachNetworkInterface",
        details: "AmazonEKS_CNI_Policy",
    },
];

#[tokio::test(start_paused = true)]
async fn an_add_that_gets_no_address_says_why() {
    for case in CASES {
        let name = format!("{:?} of {}", case.kind, case.action);
        let node = Node::ready().await;
        node.cloud.set_failing(case.action, Some(case.kind));
        // As many pods as the reserve serves, or the primary has room for.
        let there = if case.action == ASSIGN { 2 } else { 9 };
        node.added_at_once(0..there).await;
        sleep(A_WHILE).await;
        let add = node.add("waits");
        sleep(10 * SECOND).await;
        let report = node.report().await;
        let prefix = format!("{}: ", case.reason);
        assert_eq!(report.waiting.len(), 1, "{name}");
        let waiting = &report.waiting[0].reason;
        assert!(waiting.starts_with(&prefix), "{name}: {waiting}");
        let reasons = &report.reasons;
        assert!(
            reasons.iter().any(|r| r.to_string().starts_with(&prefix)),
            "{name}: {reasons:?}"
        );
        let failure = failed(add.await.unwrap());
        assert_eq!(
            (failure.code, failure.reason.as_str()),
            (11, case.reason),
            "{name}"
        );
        assert!(failure.msg.contains(case.msg), "{name}: {}", failure.msg);
        assert!(
            failure.details.contains(case.details),
            "{name}: {}",
            failure.details
        );
        assert!(!failure.msg.contains('\n'));
        let waits = format!(
            "berth_add_wait_seconds_count{{reason=\"{}\"}} 1\n",
            case.reason
        );
        assert!(
            node.metrics.text(&report).unwrap().contains(&waits),
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_eni_on_its_way_is_what_a_pod_waits_for() {
    let node = Node::ready().await;
    node.cloud.set_attach_delay(40 * SECOND);
    node.added_at_once(0..9).await;
    let add = node.add("waits");
    sleep(5 * SECOND).await;
    let report = node.report().await;
    assert!(report.waiting[0].reason.starts_with("Attaching: "));
    assert_eq!(report.enis[1].state, "attaching");
    let failure = failed(add.await.unwrap());
    assert_eq!((failure.code, failure.reason.as_str()), (11, "Attaching"));
}

#[tokio::test(start_paused = true)]
async fn a_satisfied_node_has_no_reasons() {
    let node = Node::ready().await;
    node.added_at_once(0..12).await;
    sleep(A_WHILE).await;
    let report = node.report().await;
    assert_eq!(report.reasons, []);
    assert_eq!(report.intents, Vec::<String>::new());
    assert!(report.waiting.is_empty());
}

#[tokio::test(start_paused = true)]
async fn denied_and_throttled_calls_are_not_hammered() {
    // Where pods wait, each 10 s at least, 2 to 4 s, or 4 to 8 s, once it has failed a few times.
    let most = [
        (Kind::AccessDenied, 6),
        (Kind::Throttled, 30),
        (Kind::SubnetFull, 18),
    ];
    for (kind, most) in most {
        let node = Node::ready().await;
        node.cloud.set_failing(ASSIGN, Some(kind));
        let before = node.cloud.count(ASSIGN);
        node.added_at_once(0..2).await;
        for _ in 0..30 {
            let add = node.add("waits");
            sleep(2 * SECOND).await;
            add.abort();
        }
        let calls = node.cloud.count(ASSIGN) - before;
        assert!(
            (2..=most).contains(&calls),
            "{calls} calls in a minute: {kind:?}"
        );
    }
}
