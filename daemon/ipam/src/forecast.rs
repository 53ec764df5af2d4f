//! What plans will do if nothing happens: no pod comes or goes, and EC2 obeys. Not a second policy beside [`plan`], but
//! `plan` itself, called on a copy of the pool at each moment at which it asks to be called.
//!
//! Calls that give something back are taken as done at once. What calls bring nobody knows before EC2 has answered, so those
//! stay under way for as long as the forecast goes; nothing that depends on their answers is foretold.

use std::time::Duration;

use crate::action::{Action, IntentId, Outcome, Verb};
use crate::plan::{View, plan};
use crate::pool::{Event, Pool, Violation};
use crate::time::Timestamp;

/// How far it looks: well above every age after which something is given back, and as far as the next Describe.
pub const HORIZON: Duration = Duration::from_secs(3600);

/// How often it plans at most: once an address that stops cooling, and some more.
const PLANS: u32 = 1024;

/// An action to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it begins.
    pub at: Timestamp,
    /// It.
    pub action: Action,
}

/// What plans will do within [`HORIZON`], in this order.
pub fn forecast(view: &View<'_>, now: Timestamp) -> Vec<Step> {
    let (mut pool, mut history) = (view.pool.clone(), view.history.clone());
    let (mut at, mut steps) = (now, Vec::new());
    let end = now.after(HORIZON);
    if end_calls(&mut pool, now).is_err() {
        return steps;
    }
    for _ in 0..PLANS {
        let imagined = View {
            pool: &pool,
            history: &history,
            ..*view
        };
        let plan = plan(&imagined, at);
        history = plan.history;
        if plan.actions.is_empty() {
            match plan.wake_at.filter(|wake| *wake <= end) {
                Some(wake) => at = wake,
                None => break,
            }
            if pool.apply(Event::Tick { now: at }).is_err() {
                break;
            }
        }
        for (id, action) in plan.actions {
            steps.push(Step {
                at,
                action: action.clone(),
            });
            // A plan that contradicts the state ends what can be foretold.
            if imagine(&mut pool, id, action, at).is_err() {
                return steps;
            }
        }
    }
    steps
}

/// Whether it is taken as done: nobody has to know EC2's answer to say what comes after it.
fn gives_back(action: &Action) -> bool {
    matches!(
        action.verb(),
        Verb::Protect | Verb::Unassign | Verb::Detach | Verb::Delete
    )
}

fn imagine(pool: &mut Pool, id: IntentId, action: Action, now: Timestamp) -> Result<(), Violation> {
    let done = gives_back(&action);
    pool.apply(Event::Started { id, action, now })?;
    if done {
        let outcome = Outcome::Done;
        pool.apply(Event::Finished { id, outcome, now })?;
    }
    Ok(())
}

/// Ends the calls under way that give something back.
fn end_calls(pool: &mut Pool, now: Timestamp) -> Result<(), Violation> {
    pool.apply(Event::Tick { now })?;
    let calls = pool.intents().filter(|(_, i)| gives_back(&i.action));
    let ids: Vec<IntentId> = calls.map(|(id, _)| id).collect();
    for id in ids {
        let outcome = Outcome::Done;
        pool.apply(Event::Finished { id, outcome, now })?;
    }
    Ok(())
}
