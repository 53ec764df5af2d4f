//! What a reader sees that learns of some changes later than of others: two moments of one state, blended.

use super::State;
use super::eni::Eni;

impl State {
    /// This state, and what was there at an `older` moment and has gone since: ENIs, attachments, addresses,
    /// prefixes.
    pub(crate) fn haunted_by(mut self, older: &Self) -> Self {
        for (id, then) in &older.enis {
            let now = self.enis.entry(id.clone()).or_insert_with(|| then.clone());
            let gone = missing_in(&then.secondary, &now.secondary);
            now.secondary.extend(gone);
            let gone = missing_in(&then.prefixes, &now.prefixes);
            now.prefixes.extend(gone);
            if now.attachment.is_none() {
                now.attachment.clone_from(&then.attachment);
            }
        }
        self
    }

    /// This state without what was not there yet at an `older` moment.
    pub(crate) fn known_since(mut self, older: &Self) -> Self {
        self.enis.retain(|id, _| older.enis.contains_key(id));
        for (id, now) in &mut self.enis {
            let Some(then) = older.enis.get(id) else {
                continue;
            };
            now.secondary.retain(|a| then.secondary.contains(a));
            now.prefixes.retain(|p| then.prefixes.contains(p));
            let same = |eni: &Eni| eni.attachment.as_ref().map(|a| a.id.clone());
            if same(now) != same(then) {
                now.attachment = None;
            }
        }
        self
    }
}

/// What an ENI has at one moment and not at another.
fn missing_in<T: Copy + PartialEq>(then: &[T], now: &[T]) -> Vec<T> {
    let gone = then.iter().filter(|each| !now.contains(each));
    gone.copied().collect()
}
