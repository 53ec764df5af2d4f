//! The settings of the pool. berth needs none of them: it sizes the pool by what the pods on the node do, unless one of
//! aws-node's warm targets is set.

use std::time::Duration;

use ipam::Layout;
use ipam::policy::WarmTargets;
use ipam::settings::PoolSettings;

use super::reader::Reader;
use super::values::{boolean, number};

pub(super) fn read(reader: &mut Reader<'_>) -> PoolSettings {
    let default = PoolSettings::default();
    PoolSettings {
        cooldown: reader.value(
            "IP_COOLDOWN_PERIOD",
            default.cooldown,
            |text| {
                let seconds = number(0..=u32::MAX, "seconds")(text)?;
                Ok(Duration::from_secs(seconds.into()))
            },
            |cooldown| cooldown.as_secs().to_string(),
        ),
        max_eni: reader.value("MAX_ENI", default.max_eni, max_eni, |max| {
            max.map_or_else(|| "instance type's limit".to_owned(), |max| max.to_string())
        }),
        layout: reader.value(
            "ENABLE_PREFIX_DELEGATION",
            default.layout,
            |text| {
                Ok(match boolean(text)? {
                    true => Layout::Prefixes,
                    false => Layout::Singles,
                })
            },
            |layout| match layout {
                Layout::Hybrid => "where they help".to_owned(),
                layout => (*layout == Layout::Prefixes).to_string(),
            },
        ),
        targets: WarmTargets {
            addresses: target(reader, "WARM_IP_TARGET"),
            minimum: target(reader, "MINIMUM_IP_TARGET"),
            enis: target(reader, "WARM_ENI_TARGET"),
            prefixes: target(reader, "WARM_PREFIX_TARGET"),
        },
    }
}

/// More addresses than any VPC's subnet has (a /16): no node needs them, and sums of them stay small.
const HIGHEST_TARGET: u32 = 65_536;

fn target(reader: &mut Reader<'_>, name: &'static str) -> Option<u32> {
    reader.value(
        name,
        None,
        |text| number(0..=HIGHEST_TARGET, "spares")(text).map(Some),
        |target| target.map_or_else(String::new, |target| target.to_string()),
    )
}

/// Zero and less mean no limit, as with aws-node.
fn max_eni(text: &str) -> Result<Option<u32>, String> {
    match text.parse::<i64>() {
        Ok(number) if number <= 0 => Ok(None),
        Ok(number) if u32::try_from(number).is_ok() => Ok(u32::try_from(number).ok()),
        _ => Err("must be a whole number of ENIs; 0 for the instance type's limit".to_owned()),
    }
}
