//! The picture.

use super::super::drawing;
use super::{planned, understood};

#[test]
fn a_drawing_has_a_line_a_policy_and_the_subnets() {
    let cluster = understood(
        &["m5.large,count=3,pods=2"],
        &["10.0.0.0/27,name=demo"],
        &["berth", "aws-default"],
    );
    let svg = drawing(&planned(&cluster.unwrap())).unwrap();
    for told in [
        "Addresses held by 3 nodes",
        "demo: 27 addresses",
        "aws-default ",
        "berth ",
        "in the subnets",
    ] {
        assert!(svg.contains(told), "{told}");
    }
}
