//! What plans remember of the past besides the pool itself.

/// The recent past of a node's demand. Not durable: after a restart it begins anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {}
