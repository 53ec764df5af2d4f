//! The parts of what stands in the kernel that can be compared by themselves. What should stand in them is `ipam`'s.

use std::fmt;

/// A part: looked at as a whole, mended as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The ENIs: links, addresses, routing tables, sysctls; the routes of their prefixes.
    Enis,
    /// The rules.
    Rules,
    /// The nftables table. The only part that takes a subprocess to look at.
    Nft,
    /// The host ends of pods and the routes to them.
    Pods,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Enis, Self::Rules, Self::Nft, Self::Pods];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enis => "enis",
            Self::Rules => "rules",
            Self::Nft => "nft",
            Self::Pods => "pods",
        })
    }
}

/// A set of parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts(u8);

impl Parts {
    /// None.
    pub const NONE: Self = Self(0);
    /// What stands whether or not there are pods.
    pub const NODE: Self = Self(Part::Enis.bit() | Part::Rules.bit() | Part::Nft.bit());
    /// What netlink alone can look at.
    pub const NETLINK: Self = Self(Part::Enis.bit() | Part::Rules.bit() | Part::Pods.bit());
    /// Everything.
    pub const ALL: Self = Self(Self::NODE.0 | Part::Pods.bit());

    /// Whether the part is in it.
    pub const fn contains(self, part: Part) -> bool {
        self.0 & part.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those of either.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Its parts.
    pub fn iter(self) -> impl Iterator<Item = Part> {
        Part::ALL
            .into_iter()
            .filter(move |part| self.contains(*part))
    }
}

impl From<Part> for Parts {
    fn from(part: Part) -> Self {
        Self(part.bit())
    }
}

impl FromIterator<Part> for Parts {
    fn from_iter<T: IntoIterator<Item = Part>>(parts: T) -> Self {
        parts
            .into_iter()
            .fold(Self::NONE, |all, part| all.and(part.into()))
    }
}
