//! More than one attachment to a container, and attachments of aws-node's: each is told apart, and a DEL takes its own.

use berth_cni::contract::{AddRequest, AttachmentId, AwsNodeLink, DelRequest, Outcome};
use tokio::time::sleep;

use super::invariants::{Live, live};
use super::node::{A_WHILE, Node, added, failed, request};
use crate::dataplane::fake::{Fault, Operation, Verb};
use crate::server::Service;

/// ADD for the sandbox p0 in a network, under an interface's name.
fn in_network(network: &str, ifname: &str) -> AddRequest {
    AddRequest {
        id: AttachmentId {
            network: network.to_owned(),
            container_id: "p0".to_owned(),
            ifname: ifname.to_owned(),
        },
        ..request("p0", "p0")
    }
}

async fn del(node: &Node, id: AttachmentId, aws_node: Vec<AwsNodeLink>) -> Outcome {
    let request = DelRequest {
        id,
        pod: None,
        aws_node,
    };
    node.handle().del(request, None).await
}

#[tokio::test(start_paused = true)]
async fn two_networks_on_one_container_have_an_address_and_a_link_each() {
    let node = Node::ready().await;
    let first = added(node.ask(in_network("aws-cni", "eth0"), "1").await.unwrap());
    let other = in_network("other", "net1");
    let second = added(node.ask(other.clone(), "2").await.unwrap());
    assert_ne!(first.address, second.address);
    assert_ne!(first.host_ifname, second.host_ifname);
    assert_eq!(node.kernel.pods().len(), 2);
    // A DEL of a pair that was never added takes neither.
    let crossed = in_network("other", "eth0").id;
    assert_eq!(del(&node, crossed, Vec::new()).await, Outcome::Deleted);
    assert_eq!(node.kernel.pods().len(), 2);
    assert_eq!(del(&node, other.id, Vec::new()).await, Outcome::Deleted);
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..1, &[first])).await;
}

#[tokio::test(start_paused = true)]
async fn two_networks_cannot_share_an_interface() {
    let node = Node::ready().await;
    let first = added(node.ask(in_network("aws-cni", "eth0"), "1").await.unwrap());
    let other = in_network("other", "eth0");
    let failure = failed(node.ask(other.clone(), "2").await.unwrap());
    assert_eq!((failure.code, &*failure.reason), (102, "AttachmentExists"));
    assert!(failure.msg.contains("aws-cni/p0/eth0"), "{failure:?}");
    // The runtime undoes what failed.
    assert_eq!(del(&node, other.id, Vec::new()).await, Outcome::Deleted);
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..1, &[first])).await;
}

fn left() -> AwsNodeLink {
    AwsNodeLink {
        host_ifname: "eni1a2b3c4d5e6".to_owned(),
        address: [10, 0, 1, 99].into(),
        table: 254,
    }
}

#[tokio::test(start_paused = true)]
async fn what_aws_node_left_of_an_unknown_pod_is_removed_and_nothing_else() {
    let node = Node::ready().await;
    let answer = node.added("p1").await;
    let id = in_network("aws-cni", "eth0").id;
    for _ in 0..2 {
        assert_eq!(del(&node, id.clone(), vec![left()]).await, Outcome::Deleted);
    }
    let operations = node.kernel.operations();
    let asked = Operation::RemoveAwsNode(left());
    assert_eq!(operations.iter().filter(|o| **o == asked).count(), 2);
    let removal = |o: &Operation| matches!(o, Operation::RemovePod(_));
    assert!(!operations.iter().any(removal));
    sleep(A_WHILE).await;
    let live = Live::from([("p1".to_owned(), answer.address)]);
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn an_attachment_of_ours_goes_by_our_state_whatever_the_runtime_remembers() {
    let node = Node::ready().await;
    node.added("p0").await;
    let id = in_network("aws-cni", "eth0").id;
    assert_eq!(del(&node, id, vec![left()]).await, Outcome::Deleted);
    let asked = Operation::RemoveAwsNode(left());
    assert!(!node.kernel.operations().contains(&asked));
    sleep(A_WHILE).await;
    node.assert_sound(&Live::new()).await;
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_refuses_fails_the_del_of_aws_nodes_pod() {
    let node = Node::ready().await;
    node.kernel
        .fail_next(Verb::RemoveAwsNode, Fault::Refused, 1);
    let id = in_network("aws-cni", "eth0").id;
    let failure = failed(del(&node, id.clone(), vec![left()]).await);
    assert_eq!((failure.code, &*failure.reason), (101, "Kernel"));
    assert_eq!(del(&node, id, vec![left()]).await, Outcome::Deleted);
}
