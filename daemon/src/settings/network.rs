//! The settings of the host network.

use ipam::desired::{MarkMask, Randomize};
use ipam::settings::NetworkSettings;
use ipnet::{IpNet, Ipv4Net};

use super::reader::Reader;
use super::values::{boolean, number};

const EXCLUDED: &str = "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS";

pub(super) fn read(reader: &mut Reader<'_>) -> NetworkSettings {
    let default = NetworkSettings::default();
    let eni_mtu = reader.value("AWS_VPC_ENI_MTU", default.eni_mtu, mtu, u32::to_string);
    NetworkSettings {
        eni_mtu,
        pod_mtu: reader.value("POD_MTU", eni_mtu, mtu, u32::to_string),
        veth_prefix: reader.value(
            "AWS_VPC_K8S_CNI_VETHPREFIX",
            default.veth_prefix,
            veth_prefix,
            String::clone,
        ),
        external_snat: reader.value(
            "AWS_VPC_K8S_CNI_EXTERNALSNAT",
            default.external_snat,
            boolean,
            bool::to_string,
        ),
        exclude_snat: exclude_snat(reader),
        randomize: reader.value(
            "AWS_VPC_K8S_CNI_RANDOMIZESNAT",
            default.randomize,
            randomize,
            |randomize| show_randomize(*randomize).to_owned(),
        ),
        mask: reader.value("BERTH_MARK_MASK", default.mask, mask, |mask| {
            format!("{:#x}", mask.bits())
        }),
    }
}

/// aws-node's range: 576 is what every IPv4 host must take (RFC 791), 9001 the VPC's jumbo frame.
fn mtu(text: &str) -> Result<u32, String> {
    number(576..=9001, "bytes")(text)
}

/// aws-node's rule, and `gone`, which is how links on their way out are named.
fn veth_prefix(text: &str) -> Result<String, String> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if text.len() <= 4 && plain && !["eth", "lo", "vlan", "gone"].contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(
            "must be 1 to 4 letters, digits, '_', '-' or '.', and not eth, lo, vlan or gone"
                .to_owned(),
        )
    }
}

/// aws-node skips IPv6 CIDRs, since its SNAT is for IPv4 only; so does berth, and says so.
fn exclude_snat(reader: &mut Reader<'_>) -> Vec<Ipv4Net> {
    let cidrs = reader.value(EXCLUDED, Vec::new(), cidrs, |cidrs| {
        cidrs
            .iter()
            .map(IpNet::to_string)
            .collect::<Vec<_>>()
            .join(",")
    });
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for cidr in cidrs {
        match cidr {
            IpNet::V4(cidr) => v4.push(cidr),
            IpNet::V6(cidr) => v6.push(cidr.to_string()),
        }
    }
    if !v6.is_empty() {
        reader.warn(format!(
            "{EXCLUDED}: {} has no effect, only IPv4 is translated",
            v6.join(",")
        ));
    }
    v4
}

fn cidrs(text: &str) -> Result<Vec<IpNet>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| match part.parse::<IpNet>() {
            Ok(cidr) => Ok(cidr.trunc()),
            Err(_) => Err(format!(
                "{part:?} is not a CIDR; must be CIDRs with commas between"
            )),
        })
        .collect()
}

fn randomize(text: &str) -> Result<Randomize, String> {
    [Randomize::Fully, Randomize::Hash, Randomize::No]
        .into_iter()
        .find(|randomize| show_randomize(*randomize) == text)
        .ok_or_else(|| "must be prng, hashrandom or none".to_owned())
}

const fn show_randomize(randomize: Randomize) -> &'static str {
    match randomize {
        Randomize::Fully => "prng",
        Randomize::Hash => "hashrandom",
        Randomize::No => "none",
    }
}

fn mask(text: &str) -> Result<MarkMask, String> {
    let bits = text
        .strip_prefix("0x")
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or("must be a 32-bit number in hex, such as 0x7e")?;
    MarkMask::new(bits).map_err(|error| error.to_string())
}
