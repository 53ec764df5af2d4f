//! aws-node's warm targets as a policy, and the names of such policies.

use std::fmt;
use std::time::Duration;

use ipam::policy::WarmTargets;
use ipam::{Layout, PoolSettings};

/// A name asks for no more than this: no node has as many pods.
const MOST: u32 = 1_000;

/// aws-node's targets, as far as they count; zero is none where it is none to aws-node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AwsTargets {
    /// Whether it takes prefixes.
    prefixes: bool,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    /// WARM_ENI_TARGET, or with prefixes WARM_PREFIX_TARGET.
    Whole(u32),
    /// WARM_IP_TARGET and MINIMUM_IP_TARGET, which take precedence.
    Addresses { free: u32, minimum: u32 },
}

impl AwsTargets {
    /// How policies with other targets than the compared ones are named.
    pub const FORMS: &str = "aws-eni<n>, aws-ip<n>, aws-ip<n>-min<n>, aws-prefix<n>, aws-prefix-ip<n>, aws-prefix-ip<n>-min<n>";

    /// WARM_ENI_TARGET.
    pub const fn enis(warm: u32) -> Self {
        Self {
            prefixes: false,
            kind: Kind::Whole(warm),
        }
    }

    /// WARM_PREFIX_TARGET.
    pub const fn prefixes(warm: u32) -> Self {
        Self {
            prefixes: true,
            kind: Kind::Whole(warm),
        }
    }

    /// WARM_IP_TARGET and MINIMUM_IP_TARGET, without prefixes.
    pub const fn addresses(free: u32, minimum: u32) -> Self {
        Self {
            prefixes: false,
            kind: Kind::Addresses { free, minimum },
        }
    }

    /// The targets of this name.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.strip_prefix("aws-")?;
        if let Some(warm) = name.strip_prefix("eni").and_then(number) {
            return Some(Self::enis(warm));
        }
        let (prefixes, name) = match name.strip_prefix("prefix") {
            Some(rest) => match number(rest) {
                Some(warm) => return Some(Self::prefixes(warm)),
                None => (true, rest.strip_prefix('-')?),
            },
            None => (false, name),
        };
        let targets = name.strip_prefix("ip")?;
        let (free, minimum) = targets.split_once("-min").unwrap_or((targets, "0"));
        let (free, minimum) = (number(free)?, number(minimum)?);
        // Without either aws-node has none of addresses.
        (free > 0 || minimum > 0).then_some(Self {
            prefixes,
            kind: Kind::Addresses { free, minimum },
        })
    }

    /// aws-node's settings.
    pub fn settings(self, cooldown: Duration) -> PoolSettings {
        let mut targets = WarmTargets::default();
        match self.kind {
            Kind::Whole(warm) if self.prefixes => targets.prefixes = Some(warm),
            Kind::Whole(warm) => targets.enis = Some(warm),
            Kind::Addresses { free, minimum } => {
                (targets.addresses, targets.minimum) = (Some(free), Some(minimum));
            }
        }
        PoolSettings {
            cooldown,
            targets,
            layout: match self.prefixes {
                true => Layout::Prefixes,
                false => Layout::Singles,
            },
            ..PoolSettings::default()
        }
    }
}

impl fmt::Display for AwsTargets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.prefixes { "prefix-" } else { "" };
        match self.kind {
            Kind::Whole(1) if !self.prefixes => f.write_str("aws-default"),
            Kind::Whole(warm) if self.prefixes => write!(f, "aws-prefix{warm}"),
            Kind::Whole(warm) => write!(f, "aws-eni{warm}"),
            Kind::Addresses { free, minimum: 0 } => write!(f, "aws-{prefix}ip{free}"),
            Kind::Addresses { free, minimum } => write!(f, "aws-{prefix}ip{free}-min{minimum}"),
        }
    }
}

/// Decimal digits, nothing else, and no more than a name may ask for.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits)?;
    (number <= MOST).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_what_they_set() {
        let cases = [
            ("aws-eni0", (None, None, Some(0), None)),
            ("aws-eni2", (None, None, Some(2), None)),
            ("aws-ip2-min12", (Some(2), Some(12), None, None)),
            ("aws-ip10", (Some(10), Some(0), None, None)),
            ("aws-ip0-min5", (Some(0), Some(5), None, None)),
            ("aws-prefix1", (None, None, None, Some(1))),
            ("aws-prefix-ip7-min20", (Some(7), Some(20), None, None)),
            ("aws-prefix-ip5", (Some(5), Some(0), None, None)),
        ];
        for (name, (addresses, minimum, enis, prefixes)) in cases {
            let targets = AwsTargets::named(name).expect(name);
            assert_eq!(targets.to_string(), name);
            let settings = targets.settings(Duration::ZERO);
            let expected = WarmTargets {
                addresses,
                minimum,
                enis,
                prefixes,
            };
            assert_eq!(settings.targets, expected, "{name}");
            let mode = settings.layout == Layout::Prefixes;
            assert_eq!(mode, name.contains("prefix"), "{name}");
        }
        assert_eq!(AwsTargets::named("aws-eni1"), Some(AwsTargets::enis(1)));
        assert_eq!(AwsTargets::enis(1).to_string(), "aws-default");
    }

    #[test]
    fn what_is_no_name() {
        for name in [
            "",
            "aws-",
            "aws-eni",
            "aws-eni-1",
            "aws-eni+1",
            "aws-ip0",
            "aws-ip0-min0",
            "aws-ip",
            "aws-ip5-min",
            "aws-ip5-max7",
            "aws-prefix",
            "aws-prefix-",
            "aws-prefix-eni1",
            "aws-prefix1-ip5",
            "aws-ip1001",
            "aws-ip99999999999",
            "Aws-ip5",
            "aws-ip5 ",
            "ip5",
            "eni1",
        ] {
            assert_eq!(AwsTargets::named(name), None, "{name}");
        }
    }
}
