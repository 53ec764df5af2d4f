//! Whether the daemon can serve an ADD, and if not, what is missing. Pure: the actor hands in what it knows.

use std::fmt;

use ipam::Reason;

/// What the daemon still lacks to serve an ADD, in the order in which it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Instance metadata has not said yet which node this is.
    Unidentified,
    /// The pods that live here are still being looked for: their addresses must not be given away.
    Recovering,
    /// The node's rules and tables do not stand yet.
    NotLaidOut,
    /// The node has not got one address for pods yet, and why, where that is known. A node whose addresses are all in use
    /// is not this: it serves, and asks for more.
    NoAddress(Option<Reason>),
    /// Nothing.
    Ready,
}

/// What readiness depends on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// Which node this is is known.
    pub identified: bool,
    /// The pods that live here are known.
    pub recovered: bool,
    /// Rules and tables stand.
    pub laid_out: bool,
    /// There are addresses that pods have, have just had or may have.
    pub has_addresses: bool,
}

impl Readiness {
    /// Judges; `reason` is the first one of the planner's.
    pub fn of(standing: Standing, reason: Option<&Reason>) -> Self {
        let Standing {
            identified,
            recovered,
            laid_out,
            has_addresses,
        } = standing;
        if !identified {
            Self::Unidentified
        } else if !recovered {
            Self::Recovering
        } else if !laid_out {
            Self::NotLaidOut
        } else if !has_addresses {
            Self::NoAddress(reason.cloned())
        } else {
            Self::Ready
        }
    }

    /// What stands in the way of every ADD, whatever addresses there are.
    pub const fn obstacle(&self) -> Option<&'static str> {
        match self {
            Self::Unidentified => Some("instance metadata has not said yet which node this is"),
            Self::Recovering => Some("the pods that live here are still being looked for"),
            Self::NotLaidOut => Some("the node's rules, tables and links are not laid out yet"),
            Self::NoAddress(_) | Self::Ready => None,
        }
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(obstacle) = self.obstacle() {
            return f.write_str(obstacle);
        }
        match self {
            Self::NoAddress(None) => f.write_str("the first address is on its way"),
            Self::NoAddress(Some(reason)) => {
                let (name, remedy) = (reason.name(), reason.remedy());
                write!(f, "no address for pods yet: {name}: {remedy}")
            }
            _ => f.write_str("ADDs are served"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_first_is_named() {
        let mut standing = Standing::default();
        assert_eq!(Readiness::of(standing, None), Readiness::Unidentified);
        standing.identified = true;
        assert_eq!(Readiness::of(standing, None), Readiness::Recovering);
        standing.recovered = true;
        assert_eq!(Readiness::of(standing, None), Readiness::NotLaidOut);
        standing.laid_out = true;
        assert_eq!(Readiness::of(standing, None), Readiness::NoAddress(None));
        standing.has_addresses = true;
        assert_eq!(Readiness::of(standing, None), Readiness::Ready);
    }

    #[test]
    fn a_node_without_an_address_says_why() {
        let standing = Standing {
            identified: true,
            recovered: true,
            laid_out: true,
            has_addresses: false,
        };
        let why = Readiness::of(standing, Some(&Reason::Timeout)).to_string();
        assert!(why.contains("yet: Timeout: "), "{why}");
    }
}
