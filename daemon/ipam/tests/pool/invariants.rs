//! What must hold after each step, whatever happened: compared with the cloud as it is, not as the pool believes it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipam::{Action, Eni, EniId, EniState, IntentId, Layout, Plan, Pool, Snapshot, Verb};

use crate::cloud::{members, primary_id};
use crate::node::Node;

/// Nothing is given back in a plan that asks for something, nothing that is used or rests, and nothing too young; the same
/// node gets the same plan.
pub fn of_plan(node: &Node, plan: &Plan) {
    assert_eq!(node.plan(), *plan, "another plan for the same node");
    let new = (plan.actions.iter()).filter(|(id, _)| *id >= node.pool.next_intent());
    let new: Vec<&Action> = new.map(|(_, action)| action).collect();
    // A Create in doubt is repeated to find out what it did, not to ask.
    let asks = new.iter().any(|action| action.asks_for() > 0);
    let gives = |action: &&&Action| match action {
        Action::Unassign { .. } => true,
        // What drains already goes its way.
        Action::Detach { eni } => node.pool.eni(eni).is_some_and(Eni::is_ready),
        _ => false,
    };
    let given: Vec<&&Action> = new.iter().filter(gives).collect();
    assert!(!asks || given.is_empty(), "asks and gives back: {plan:?}");
    given
        .iter()
        .for_each(|action| gives_only_free(node, action));
    gives_only_old(node, &new);
    if let Some(wake) = plan.wake_at {
        assert!(wake > node.now, "woken in the past: {plan:?}");
    }
}

/// When nothing is left to do, nothing is the next time, and nothing is remembered otherwise.
pub fn of_rest(node: &Node, plan: &Plan) {
    assert_eq!(node.plan(), *plan, "another plan although nothing happened");
}

/// Neither an address of a pod nor one that rests goes back, by whatever action.
fn gives_only_free(node: &Node, action: &Action) {
    for (ip, address) in node.pool.addresses().filter(|(_, a)| a.is_held()) {
        let goes = match action {
            Action::Unassign {
                addresses,
                prefixes,
                ..
            } => addresses.contains(&ip) || prefixes.iter().any(|prefix| prefix.contains(&ip)),
            Action::Detach { eni } => address.eni == *eni,
            _ => false,
        };
        assert!(!goes || address.is_free(), "{action} takes {address:?}");
    }
}

/// Where the subnet has room, no level of surplus goes that is younger than half the age; of a prefix that is exchanged for
/// single addresses, some may be no surplus at all.
fn gives_only_old(node: &Node, actions: &[&Action]) {
    let standing = node.standing();
    if standing.need.pressure.is_felt() {
        return;
    }
    let old = (standing.levels.iter())
        .filter(|since| node.now.since(**since) >= standing.patience.along)
        .count();
    let (mut singles, mut prefixes_given) = (0, 0);
    for action in actions {
        if let Action::Unassign {
            addresses,
            prefixes,
            ..
        } = action
        {
            singles += addresses.len();
            prefixes_given += prefixes.len();
        }
    }
    let exchanged = match node.settings.layout_on(node.cloud.limits) {
        Layout::Singles => 15,
        Layout::Hybrid => 7,
        Layout::Prefixes => 0,
    };
    let needed = (singles + 16 * prefixes_given).saturating_sub(match prefixes_given {
        0 => 0,
        _ => exchanged,
    });
    assert!(needed <= old, "{needed} go, {old} are old: {standing:?}");
}

/// Before an action starts.
pub fn of_action(node: &Node, id: IntentId, action: &Action) {
    let repeated = node.pool.intents().find(|(open, _)| *open == id);
    match repeated {
        Some((_, intent)) => {
            assert_eq!(&intent.action, action, "repeated as something else");
            assert_eq!(action.verb(), Verb::Create, "{action} is no Create");
            assert!(intent.doubtful.is_some(), "{action} is under way already");
        }
        None => assert_eq!(id, node.pool.next_intent(), "{action} has a wrong name"),
    }
    if let Some(eni) = action.eni()
        && let Some(real) = node.cloud.enis.get(eni)
    {
        let primary = *eni == primary_id();
        assert!(real.is_ours() || primary, "{action} touches a foreign ENI");
        let whole = matches!(action.verb(), Verb::Detach | Verb::Delete | Verb::Attach);
        assert!(!(primary && whole), "{action} of the primary");
        let others = node.flights.iter().any(|f| f.action.eni() == Some(eni));
        let last = matches!(action.verb(), Verb::Detach | Verb::Delete);
        assert!(
            !(last && others),
            "{action} while another call is under way"
        );
    }
    match action {
        Action::Create { device_index, .. } if repeated.is_none() => {
            new_eni(node, action, *device_index);
        }
        Action::Assign { eni, .. } => {
            let doubt = node.doubts.get(eni);
            assert!(doubt.is_none(), "{action} in doubt since {doubt:?}");
        }
        _ => {}
    }
    spares_pods(node, action);
}

/// A new ENI takes a free place, within the limit, and only when no other can have been made unknown to us. One that is
/// off the instance has no place, but not for ever more of them are made.
fn new_eni(node: &Node, action: &Action, device_index: u32) {
    let limit = node.cloud.limits.enis as usize;
    let all = node.pool.enis().count();
    assert!(all < 2 * limit, "{action}: too many lie around");
    let there = || node.pool.enis().filter(|e| e.state != EniState::Detached);
    let taken = there().any(|e| e.device_index == device_index);
    assert!(!taken, "{action}: the place is taken");
    assert!(there().count() < limit, "{action}: no room");
    for (token, (id, ..)) in &node.cloud.tokens {
        let unknown = node.cloud.enis.contains_key(id) && !node.named_enis.contains(id);
        assert!(!unknown, "{action}, but {id} of {token} is not known yet");
    }
}

/// No pod loses its address by what we do.
fn spares_pods(node: &Node, action: &Action) {
    let lost: Vec<Ipv4Addr> = match action {
        Action::Unassign {
            addresses,
            prefixes,
            ..
        } => {
            let members = prefixes.iter().flat_map(|prefix| members(*prefix));
            members.chain(addresses.iter().copied()).collect()
        }
        Action::Detach { eni } | Action::Delete { eni } => node
            .cloud
            .enis
            .get(eni)
            .map_or_else(Vec::new, |e| e.pod_addresses().into_iter().collect()),
        _ => return,
    };
    for ip in lost {
        let pod = node.pods.values().any(|p| *p == ip);
        assert!(!pod, "{action} takes {ip} from a pod");
    }
}

/// Before a pod gets an address.
pub fn of_hand_out(node: &Node, address: Ipv4Addr, eni: &EniId) {
    let until = node.resting.get(&address);
    assert!(until.is_none(), "{address} rests until {until:?}");
    let owner = node.pods.iter().find(|(_, ip)| **ip == address);
    assert!(owner.is_none(), "{address} belongs to {owner:?}");
    let link = node.links.iter().find(|(ip, _)| *ip == address);
    assert!(link.is_none(), "{address} is still on a link: {link:?}");
    let holder = node.cloud.holder(address);
    assert_eq!(holder, Some(eni), "{address} is not there");
    let real = &node.cloud.enis[eni];
    assert!(real.is_ours() || *eni == primary_id(), "{eni} is foreign");
    let known = node.pool.eni(eni).expect("a known ENI");
    assert!(
        known.is_ready() && known.missed.is_none(),
        "{eni} is not ready"
    );
}

/// After each step.
pub fn of_state(node: &Node) {
    assert_eq!(node.violations, Vec::<String>::new());
    node.pool.check().expect("a sound pool");
    pods_are_safe(node);
    places_are_unique(node);
    actions_are_accounted_for(node);
    prefixes_are_ours(node);
    snapshot_round_trips(&node.pool);
}

fn pods_are_safe(node: &Node) {
    let owned: BTreeSet<Ipv4Addr> = node.pods.values().copied().collect();
    assert_eq!(owned.len(), node.pods.len(), "one address, two pods");
    let known = node
        .pool
        .attachments()
        .map(|a| (a.key.clone(), a.address))
        .collect();
    assert_eq!(node.pods, known);
    for a in node.pool.attachments() {
        let holder = node.cloud.holder(a.address);
        assert_eq!(holder, Some(&a.eni), "{} lost {}", a.key, a.address);
    }
}

/// No two ENIs of ours on one place of the instance. (One that a stale answer brought back to life does not exist, and
/// one that is not attached yet moves to another place when it finds its own taken.)
fn places_are_unique(node: &Node) {
    let mut places = BTreeSet::new();
    for eni in node.pool.enis() {
        let real = node.cloud.enis.contains_key(&eni.id);
        let coming_or_gone = matches!(eni.state, EniState::Created | EniState::Detached);
        if real && eni.is_managed() && !coming_or_gone {
            let unique = places.insert(eni.device_index);
            assert!(unique, "{} shares place {}", eni.id, eni.device_index);
        }
    }
}

/// Each action that began and has not ended is under way, and none else.
fn actions_are_accounted_for(node: &Node) {
    let open = node.pool.intents().filter(|(_, i)| i.doubtful.is_none());
    let open: BTreeSet<IntentId> = open.map(|(id, _)| id).collect();
    let flying: BTreeSet<IntentId> = node.flights.iter().map(|f| f.id).collect();
    assert_eq!(open, flying);
    assert_eq!(flying.len(), node.flights.len(), "started twice");
}

/// What is sent to a prefix's free addresses is refused on the node: never to one that may be another node's.
fn prefixes_are_ours(node: &Node) {
    for prefix in node.pool.prefixes() {
        let held = node
            .cloud
            .enis
            .values()
            .any(|e| e.prefixes.contains(&prefix));
        assert!(held, "{prefix} is not ours");
    }
}

fn snapshot_round_trips(pool: &Pool) {
    let snapshot = pool.snapshot();
    let text = serde_json::to_string(&snapshot).expect("a snapshot is JSON");
    let read: Snapshot = serde_json::from_str(&text).expect("what was written can be read");
    let back = Pool::try_from(read).expect("a sound snapshot");
    assert_eq!(back.snapshot(), snapshot);
    // Counted anew, and as it was kept.
    assert_eq!(back.census(), pool.census());
    for eni in pool.enis() {
        let holding = pool.census().of(&eni.id);
        assert_eq!(holding.tally, pool.tally(&eni.id));
        assert_eq!(holding.slots(), pool.slots(&eni.id));
    }
}
