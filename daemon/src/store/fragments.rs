//! Parts of a document as they were written last: what has not changed since is not encoded again.

use std::sync::Arc;

use serde_json::value::RawValue;

/// The JSON of objects that snapshots share. An object that changes is another one, so that the same object has the same
/// JSON.
#[derive(Debug)]
pub struct Fragments<T> {
    encode: fn(&T) -> serde_json::Result<Box<RawValue>>,
    /// In the order of the last snapshot.
    known: Vec<(Arc<T>, Box<RawValue>)>,
}

impl<T> Fragments<T> {
    /// None yet; `encode` makes one.
    pub fn new(encode: fn(&T) -> serde_json::Result<Box<RawValue>>) -> Self {
        Self {
            encode,
            known: Vec::new(),
        }
    }

    /// The JSON of `objects`, in their order. Whatever is not among them is forgotten. Quick where they come in nearly the
    /// order of the last time: an object that was not there then is looked for among all the rest.
    ///
    /// # Errors
    /// One has no JSON form.
    pub fn of<'a>(
        &mut self,
        objects: impl ExactSizeIterator<Item = &'a Arc<T>>,
    ) -> serde_json::Result<impl Iterator<Item = &RawValue> + Clone>
    where
        T: 'a,
    {
        let before = std::mem::replace(&mut self.known, Vec::with_capacity(objects.len()));
        let mut rest = before.into_iter();
        for object in objects {
            let is_it = |(known, _): &(Arc<T>, _)| Arc::ptr_eq(known, object);
            let known = match rest.as_slice().iter().position(is_it) {
                Some(ahead) => rest.nth(ahead),
                None => None,
            };
            self.known.push(match known {
                Some(known) => known,
                None => (Arc::clone(object), (self.encode)(object)?),
            });
        }
        Ok(self.known.iter().map(|(_, fragment)| &**fragment))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static ENCODED: AtomicUsize = AtomicUsize::new(0);

    fn encode(number: &u32) -> serde_json::Result<Box<RawValue>> {
        ENCODED.fetch_add(1, Ordering::Relaxed);
        serde_json::value::to_raw_value(number)
    }

    #[test]
    fn only_what_is_another_object_is_encoded_again() {
        let mut fragments = Fragments::new(encode);
        let mut all: Vec<Arc<u32>> = (0..5).map(Arc::new).collect();
        let texts = |fragments: &mut Fragments<u32>, all: &[Arc<u32>]| -> Vec<String> {
            let of = fragments.of(all.iter()).unwrap();
            of.map(|raw| raw.get().to_owned()).collect()
        };
        assert_eq!(texts(&mut fragments, &all), ["0", "1", "2", "3", "4"]);
        assert_eq!(ENCODED.load(Ordering::Relaxed), 5);
        *Arc::make_mut(&mut all[1]) = 9;
        all.remove(3);
        assert_eq!(texts(&mut fragments, &all), ["0", "9", "2", "4"]);
        assert_eq!(ENCODED.load(Ordering::Relaxed), 6);
        assert_eq!(fragments.known.len(), 4);
    }
}
