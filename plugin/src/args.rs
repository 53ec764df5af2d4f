//! The pod's name, from CNI_ARGS and from the configuration's `args.cni`. Other keys are ignored whether or not
//! `IgnoreUnknown` is among them; their order means nothing, containerd's is random.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::config::Config;
use crate::contract::PodName;
use crate::error::{Error, code};

/// The pod as the runtime names it, if it names both namespace and pod. `args.cni` wins over CNI_ARGS (CNI conventions).
pub(crate) fn pod(args: &[u8], config: &Config) -> Result<Option<PodName>, Error> {
    let pairs = pairs(args)?;
    let value = |key: &str| {
        // The last one counts: operators append to what the runtime wrote.
        let given = || {
            pairs
                .iter()
                .rev()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| *value)
        };
        config
            .cni_arg(key)
            .or_else(given)
            .filter(|value| !value.is_empty())
            .map(String::from)
    };
    let (Some(namespace), Some(name)) = (value("K8S_POD_NAMESPACE"), value("K8S_POD_NAME")) else {
        return Ok(None);
    };
    Ok(Some(PodName {
        namespace,
        name,
        uid: value("K8S_POD_UID"),
    }))
}

/// `K=V;K=V`: each pair has exactly one `=`, as the reference has it.
fn pairs(args: &[u8]) -> Result<Vec<(&str, &str)>, Error> {
    let text = core::str::from_utf8(args)
        .map_err(|_| Error::new(code::ENVIRONMENT, "CNI_ARGS is not UTF-8"))?;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let split = |pair: &'_ str| match pair.split_once('=') {
        Some((_, value)) if !value.contains('=') => Ok(()),
        _ => Err(
            Error::new(code::ENVIRONMENT, "invalid CNI_ARGS: each pair must be K=V")
                .details(format!("{pair:?}")),
        ),
    };
    text.split(';').try_for_each(split)?;
    Ok(text
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .collect())
}
