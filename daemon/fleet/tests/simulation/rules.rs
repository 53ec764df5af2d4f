//! What no pool may do, however good its figures would be.

use std::net::Ipv4Addr;
use std::time::Duration;

use fleet::engine::Broken;
use fleet::node::{Input, Output};
use fleet::scenario::Scenario;
use ipam::{Action, AddressMode, Outcome};

use crate::cluster::{M5_2XLARGE, cluster, pod};
use crate::scripted::{Script, run};

/// Two pods on one node: the first from 10 s to 40 s, the second from `second` on.
fn two_pods(second: u64) -> Scenario {
    let mut scenario = cluster("10.0.0.0/24", 1, M5_2XLARGE, 600);
    scenario.pods = vec![pod(0, 10, 30), pod(0, second, 30)];
    scenario
}

fn broken(
    scenario: &Scenario,
    cooldown: Option<Duration>,
    script: fn(&mut Script<'_>, Input),
) -> Option<String> {
    let result = run(scenario, cooldown, 2, || {
        move |node: &mut Script<'_>, input, _| script(node, input)
    });
    match result {
        Ok(_) => None,
        Err(Broken::Rule { what, node: 0, .. }) => Some(what),
        Err(other) => panic!("{other}"),
    }
}

fn serve_first(node: &mut Script<'_>, input: Input) {
    if let Input::Add { pod } = input {
        node.serve(pod, node.addresses[0]);
    }
}

#[test]
fn an_address_has_one_pod_at_a_time() {
    let what = broken(&two_pods(20), None, serve_first).expect("broken");
    assert!(what.contains("to pod 1, which pod 0 has"), "{what}");
    assert_eq!(broken(&two_pods(50), None, serve_first), None);
}

#[test]
fn who_promises_rest_keeps_it() {
    let rest = Some(Duration::from_secs(30));
    // The first pod has its address at 10.2 s and goes at 40.2 s.
    for (second, fails) in [(41, true), (69, true), (70, false), (71, false)] {
        let what = broken(&two_pods(second), rest, serve_first);
        assert_eq!(what.is_some(), fails, "{second}: {what:?}");
    }
}

#[test]
fn only_what_a_ready_eni_has_is_given() {
    let elsewhere = |node: &mut Script<'_>, input| {
        if let Input::Add { pod } = input {
            node.serve(pod, Ipv4Addr::new(10, 0, 0, 3));
        }
    };
    let what = broken(&two_pods(50), None, elsewhere).expect("broken");
    assert!(what.contains("no ready ENI"), "{what}");
    // Given back before, or on a call that is not answered yet.
    let given_back = |node: &mut Script<'_>, input| match input {
        Input::Ended { .. } if node.addresses.len() == 2 => {
            let (eni, addresses) = (node.primary(), vec![node.addresses[0]]);
            node.addresses.push(addresses[0]);
            node.begin(Action::Unassign {
                eni,
                addresses,
                prefixes: vec![],
            });
        }
        input => serve_first(node, input),
    };
    let what = broken(&two_pods(50), None, given_back).expect("broken");
    assert!(what.contains("no ready ENI"), "{what}");
}

#[test]
fn an_eni_without_a_link_serves_no_pod() {
    // The pod asks at 10.2 s; the ENI is made then.
    let mut scenario = cluster("10.0.0.0/24", 1, M5_2XLARGE, 600);
    scenario.pods = vec![pod(0, 10, 30)];
    let result = |connects: bool| {
        let script = move || {
            let mut second = None;
            move |node: &mut Script<'_>, input, _| match input {
                Input::Add { .. } => node.begin(Action::Create {
                    token: "t".to_owned(),
                    device_index: 1,
                    mode: AddressMode::Secondary,
                    count: 1,
                }),
                Input::Ended { outcome, .. } => match outcome {
                    Outcome::Created(made) => {
                        node.begin(Action::Attach {
                            eni: made.id.clone(),
                            device_index: 1,
                        });
                        second = Some(made);
                    }
                    Outcome::Attached { .. } if connects => {
                        let eni = second.as_ref().expect("made").id.clone();
                        node.begin(Action::Connect { eni });
                    }
                    _ => node.serve(0, second.as_ref().expect("made").addresses[0]),
                },
                _ => {}
            }
        };
        run(&scenario, None, 0, script)
    };
    let early = result(false).expect_err("no link").to_string();
    assert!(early.contains("no ready ENI"), "{early}");
    let waits = result(true).expect("a link").row.wait_ms;
    assert!((1_200.0..10_000.0).contains(&waits.max), "{waits:?}");
}

#[test]
fn nothing_is_taken_from_a_pod() {
    for detaches in [false, true] {
        let take = move |node: &mut Script<'_>, input: Input, _| {
            let runs = matches!(input, Input::Add { .. });
            serve_first(node, input);
            if runs && detaches {
                let eni = node.primary();
                node.begin(Action::Detach { eni });
            } else if runs {
                let (eni, addresses) = (node.primary(), vec![node.addresses[0]]);
                node.begin(Action::Unassign {
                    eni,
                    addresses,
                    prefixes: vec![],
                });
            }
        };
        let result = run(&two_pods(50), None, 2, || take);
        let what = result.err().map(|error| error.to_string());
        let taken = what.as_ref().is_some_and(|what| what.contains("took"));
        // EC2 itself does not detach a primary ENI.
        assert_eq!(taken, !detaches, "{what:?}");
    }
}

#[test]
fn only_who_asks_is_answered() {
    let early = |node: &mut Script<'_>, input| {
        if let Input::Bound { pod } = input {
            node.serve(pod, node.addresses[0]);
        }
    };
    let what = broken(&two_pods(50), None, early).expect("broken");
    assert!(what.contains("not there"), "{what}");
    let twice = |node: &mut Script<'_>, input| {
        if let Input::Add { pod } = input {
            node.refuse(pod);
            node.refuse(pod);
        }
    };
    assert!(broken(&two_pods(50), None, twice).is_some());
}

#[test]
fn a_contradiction_ends_the_run() {
    let contradict = |node: &mut Script<'_>, input| {
        if let Input::Add { .. } = input {
            let what = "two owners".to_owned();
            node.output(Output::Contradiction { what });
        }
    };
    let what = broken(&two_pods(50), None, contradict);
    assert_eq!(what.as_deref(), Some("two owners"));
}
