//! The settings of the pool. There are few: berth sizes it by what the pods on the node do.

use std::time::Duration;

use ipam::settings::PoolSettings;

use super::reader::Reader;
use super::values::number;

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
    }
}

/// Zero and less mean no limit, as with aws-node.
fn max_eni(text: &str) -> Result<Option<u32>, String> {
    match text.parse::<i64>() {
        Ok(number) if number <= 0 => Ok(None),
        Ok(number) if u32::try_from(number).is_ok() => Ok(u32::try_from(number).ok()),
        _ => Err("must be a whole number of ENIs; 0 for the instance type's limit".to_owned()),
    }
}
