//! Where settings come from: the process's environment, or a map in tests.

use std::collections::HashMap;
use std::ffi::OsString;

/// Something that knows variables by name.
pub trait Source {
    /// The variable's value; `None` if it is not set.
    fn get(&self, name: &str) -> Option<OsString>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug)]
pub struct Environment;

impl Source for Environment {
    fn get(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }
}

impl<K, V> Source for HashMap<K, V>
where
    K: std::borrow::Borrow<str> + std::hash::Hash + Eq,
    V: Clone + Into<OsString>,
{
    fn get(&self, name: &str) -> Option<OsString> {
        HashMap::get(self, name).cloned().map(Into::into)
    }
}
