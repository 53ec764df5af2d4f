//! Everything that can happen to a node, as values that proptest makes up and shortens.

use std::time::Duration;

use ipam::policy::WarmTargets;
use ipam::{FailureKind, Layout};
use proptest::prelude::*;

use crate::node::{End, Node};

/// One thing that happens. Indices count modulo what is there.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    Ask(u32),
    GiveUp,
    Answer(usize),
    Remove(usize, u64),
    Advance(u64),
    Effect(usize),
    End(usize, End),
    Stale(u64),
    Save,
    Crash {
        done: u64,
        same_boot: bool,
    },
    OthersTake(usize),
    OthersGive(usize),
    Fragment(usize),
    Reconfigure {
        layout: Layout,
        targets: WarmTargets,
        done: u64,
    },
    Foreign(&'static str, bool),
    ForeignLeaves(usize),
}

impl Op {
    pub fn run(self, node: &mut Node) {
        match self {
            Self::Ask(pods) => node.ask(pods),
            Self::GiveUp => node.waiting = node.waiting.saturating_sub(1),
            Self::Answer(which) => node.answer(which),
            Self::Remove(which, link) => node.remove(which, Duration::from_millis(link)),
            Self::Advance(millis) => node.advance(Duration::from_millis(millis)),
            Self::Effect(which) => node.effect(which),
            Self::End(which, end) => node.end(which, end),
            Self::Stale(millis) => node.stale(Duration::from_millis(millis)),
            Self::Save => node.save(),
            Self::Crash { done, same_boot } => node.crash(done, same_boot),
            Self::OthersTake(count) => node.cloud.others_take(count),
            Self::OthersGive(count) => node.cloud.others_give(count),
            Self::Fragment(spared) => node.cloud.fragment(spared),
            Self::Reconfigure {
                layout,
                targets,
                done,
            } => {
                node.settings.layout = layout;
                node.settings.targets = targets;
                node.crash(done, true);
            }
            Self::Foreign(interface_type, tagged) => node.cloud.foreign(interface_type, tagged),
            Self::ForeignLeaves(which) => node.cloud.foreign_leaves(which),
        }
    }
}

fn index() -> impl Strategy<Value = usize> {
    0usize..64
}

fn refusal() -> impl Strategy<Value = FailureKind> {
    prop::sample::select(vec![
        FailureKind::Throttled,
        FailureKind::AccessDenied,
        FailureKind::CredentialsRefused,
        FailureKind::SubnetFull,
        FailureKind::NoContiguousBlock,
        FailureKind::AddressLimit,
        FailureKind::EniLimit,
        FailureKind::NotFound,
        FailureKind::WrongState,
        FailureKind::Refused,
        FailureKind::Unreachable,
        FailureKind::Local,
    ])
}

pub fn layout() -> impl Strategy<Value = Layout> {
    prop::sample::select(vec![Layout::Singles, Layout::Prefixes, Layout::Hybrid])
}

/// Mostly none, as it should be; else such as a small node can meet.
pub fn targets() -> impl Strategy<Value = WarmTargets> {
    let some = (
        prop::option::of(0u32..8),
        prop::option::of(0u32..20),
        prop::option::of(0u32..3),
        prop::option::of(0u32..3),
    );
    let some = some.prop_map(|(addresses, minimum, enis, prefixes)| WarmTargets {
        addresses,
        minimum,
        enis,
        prefixes,
    });
    prop_oneof![Just(WarmTargets::default()), some]
}

/// Pods come and go, time passes, calls have their effect and their answer in any order.
pub fn ordinary() -> BoxedStrategy<Op> {
    // A dead pod's link is reaped within a second (at most ten here); cooldowns and quarantines are 30 s.
    prop_oneof![
        4 => (1u32..5).prop_map(Op::Ask),
        1 => Just(Op::GiveUp),
        4 => index().prop_map(Op::Answer),
        5 => (index(), 0u64..10_000).prop_map(|(which, link)| Op::Remove(which, link)),
        4 => (1u64..2_000).prop_map(Op::Advance),
        4 => (1_000u64..60_000).prop_map(Op::Advance),
        4 => index().prop_map(Op::Effect),
        12 => index().prop_map(|which| Op::End(which, End::Answer)),
    ]
    .boxed()
}

/// All that, and everything that can go wrong.
pub fn anything() -> BoxedStrategy<Op> {
    prop_oneof![
        60 => ordinary(),
        8 => (index(), refusal()).prop_map(|(which, kind)| Op::End(which, End::Refuse(kind))),
        8 => (index(), any::<bool>()).prop_map(|(which, done)| Op::End(which, End::Lose { done })),
        6 => (0u64..20_000).prop_map(Op::Stale),
        2 => Just(Op::Save),
        2 => (any::<u64>(), prop::bool::weighted(0.8)).prop_map(|(done, same_boot)| Op::Crash { done, same_boot }),
        2 => (1usize..40).prop_map(Op::OthersTake),
        2 => (1usize..40).prop_map(Op::OthersGive),
        1 => (0usize..3).prop_map(Op::Fragment),
        1 => (layout(), targets(), any::<u64>())
            .prop_map(|(layout, targets, done)| Op::Reconfigure { layout, targets, done }),
        1 => (prop::sample::select(vec!["interface", "trunk", "efa-only"]), any::<bool>())
            .prop_map(|(kind, tagged)| Op::Foreign(kind, tagged)),
        1 => index().prop_map(Op::ForeignLeaves),
    ]
    .boxed()
}
