//! JSON texts one behind the other, with commas between, of which one can be changed without the others being touched but
//! for moving: what stands between the brackets of a long list.

/// The list.
#[derive(Debug, Default)]
pub(super) struct Joined {
    text: Vec<u8>,
    /// Where each one ends, before its comma.
    ends: Vec<usize>,
}

impl Joined {
    /// All of them, without brackets.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Puts another one in this one's place.
    pub(super) fn set(&mut self, at: usize, item: &str) {
        let (begin, end) = (self.begin(at), self.ends[at]);
        self.text.splice(begin..end, item.bytes());
        self.shift(at, end - begin, item.len());
    }

    /// Puts one before this one, or at the end.
    pub(super) fn insert(&mut self, at: usize, item: &str) {
        let begin = self.begin(at);
        if at < self.ends.len() {
            let with_comma = item.bytes().chain([b',']);
            self.text.splice(begin..begin, with_comma);
        } else {
            if at > 0 {
                self.text.push(b',');
            }
            self.text.extend_from_slice(item.as_bytes());
        }
        self.ends.insert(at, begin + item.len());
        self.shift(at + 1, 0, item.len() + 1);
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, at: usize) {
        let (begin, end) = (self.begin(at), self.ends.remove(at));
        if at < self.ends.len() {
            self.text.drain(begin..=end);
        } else {
            // The comma before it goes, if there is one.
            self.text.truncate(begin.saturating_sub(1));
        }
        self.shift(at, end - begin + 1, 0);
    }

    fn begin(&self, at: usize) -> usize {
        match at.checked_sub(1) {
            Some(before) => self.ends[before] + 1,
            None => 0,
        }
    }

    /// From this one on all end where they ended, less the one length and more the other.
    fn shift(&mut self, from: usize, less: usize, more: usize) {
        for end in &mut self.ends[from..] {
            *end = *end + more - less;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_list_joined(steps in prop::collection::vec((0..4_u8, any::<prop::sample::Index>(), "[a-z]{0,5}"), 1..60)) {
            let (mut list, mut joined) = (Vec::<String>::new(), Joined::default());
            for (what, at, item) in steps {
                if what < 2 || list.is_empty() {
                    let at = at.index(list.len() + 1);
                    joined.insert(at, &item);
                    list.insert(at, item);
                } else if what == 2 {
                    let at = at.index(list.len());
                    joined.set(at, &item);
                    list[at] = item;
                } else {
                    let at = at.index(list.len());
                    joined.remove(at);
                    list.remove(at);
                }
                prop_assert_eq!(String::from_utf8_lossy(joined.text()), list.join(","));
            }
        }
    }
}
