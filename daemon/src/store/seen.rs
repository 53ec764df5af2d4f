//! What changed in a sorted collection of shared objects since it was looked at last. An object that changes is another
//! one, so that they are told apart by where they are: nothing that stayed is touched, compared or counted.

use std::sync::Arc;

/// One that came or changed, or went.
pub type Change<K, T> = (K, Option<Arc<T>>);

/// The collection as it was looked at last.
#[derive(Debug)]
pub struct Seen<K, T> {
    /// In the order of the keys. Held, so that no other object can come to be where one of these is.
    last: Vec<(K, Arc<T>)>,
}

impl<K, T> Default for Seen<K, T> {
    fn default() -> Self {
        Self { last: Vec::new() }
    }
}

impl<K: Ord + Clone, T> Seen<K, T> {
    /// What is different in `now`, which is in the order of the keys and has no object under two of them.
    pub fn changes<'a>(
        &mut self,
        now: impl Iterator<Item = (&'a K, &'a Arc<T>)>,
    ) -> Vec<Change<K, T>>
    where
        K: 'a,
        T: 'a,
    {
        let mut changes = Vec::new();
        let mut at = 0;
        for (key, object) in now {
            if !self.is_at(at, object) {
                self.drop_before(at, key, &mut changes);
            }
            if !self.is_at(at, object) {
                self.put(at, key, object);
                changes.push((key.clone(), Some(Arc::clone(object))));
            }
            at += 1;
        }
        changes.extend(self.last.drain(at..).map(|(key, _)| (key, None)));
        changes
    }

    fn is_at(&self, at: usize, object: &Arc<T>) -> bool {
        let seen = self.last.get(at);
        seen.is_some_and(|(_, seen)| Arc::ptr_eq(seen, object))
    }

    /// What stood between the last one and this key is gone.
    fn drop_before(&mut self, at: usize, key: &K, changes: &mut Vec<Change<K, T>>) {
        let rest = self.last.get(at..).unwrap_or_default();
        let gone = rest.iter().take_while(|(seen, _)| seen < key).count();
        changes.extend(self.last.drain(at..at + gone).map(|(key, _)| (key, None)));
    }

    fn put(&mut self, at: usize, key: &K, object: &Arc<T>) {
        match self.last.get_mut(at) {
            Some((seen, last)) if seen == key => *last = Arc::clone(object),
            _ => self.last.insert(at, (key.clone(), Arc::clone(object))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Collection = BTreeMap<u8, Arc<u8>>;

    fn changes(seen: &mut Seen<u8, u8>, now: &Collection) -> Vec<Change<u8, u8>> {
        seen.changes(now.iter())
    }

    proptest! {
        /// Who applies what is told has the same collection, whatever came, changed and went in between.
        #[test]
        fn nothing_is_missed(steps in prop::collection::vec(prop::collection::vec((0..12_u8, prop::option::of(0..3_u8)), 0..8), 1..8)) {
            let (mut seen, mut now, mut told) = (Seen::default(), Collection::new(), Collection::new());
            for step in steps {
                for (key, value) in step {
                    match value {
                        Some(value) => now.insert(key, Arc::new(value)),
                        None => now.remove(&key),
                    };
                }
                for (key, object) in changes(&mut seen, &now) {
                    match object {
                        Some(object) => told.insert(key, object),
                        None => told.remove(&key),
                    };
                }
                prop_assert_eq!(&told, &now);
                prop_assert!(changes(&mut seen, &now).is_empty());
            }
        }
    }

    #[test]
    fn only_what_is_another_object_is_told() {
        let mut seen = Seen::default();
        let mut all: Collection = (0..5).map(|n| (n, Arc::new(n))).collect();
        assert_eq!(changes(&mut seen, &all).len(), 5);
        all.insert(1, Arc::new(1));
        all.remove(&3);
        let told = changes(&mut seen, &all);
        let keys: Vec<(u8, bool)> = told
            .iter()
            .map(|(key, object)| (*key, object.is_some()))
            .collect();
        assert_eq!(keys, [(1, true), (3, false)]);
    }
}
