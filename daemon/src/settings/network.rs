//! The settings of the host network.

use ipam::desired::{MarkMask, PrimaryMark, Randomize};
use ipam::settings::NetworkSettings;
use ipnet::{IpNet, Ipv4Net};

use super::errors::SettingError;
use super::reader::Reader;
use super::values::{boolean, number};

const EXCLUDED: &str = "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS";
const EXTERNAL_SERVICES: &str = "AWS_EXTERNAL_SERVICE_CIDRS";

pub(super) fn read(reader: &mut Reader<'_>) -> NetworkSettings {
    let default = NetworkSettings::default();
    let eni_mtu = reader.value("AWS_VPC_ENI_MTU", default.eni_mtu, mtu, u32::to_string);
    let primary_mark = reader.value(
        "AWS_VPC_K8S_CNI_CONNMARK",
        default.primary_mark,
        primary_mark,
        |mark| format!("{:#x}", mark.bits()),
    );
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
        exclude_snat: ipv4_cidrs(reader, EXCLUDED),
        randomize: reader.value(
            "AWS_VPC_K8S_CNI_RANDOMIZESNAT",
            default.randomize,
            randomize,
            |randomize| show_randomize(*randomize).to_owned(),
        ),
        node_port: reader.value(
            "AWS_VPC_CNI_NODE_PORT_SUPPORT",
            default.node_port,
            boolean,
            bool::to_string,
        ),
        primary_mark,
        external_services: ipv4_cidrs(reader, EXTERNAL_SERVICES),
        mask: eni_mask(reader, default.mask, primary_mark),
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

/// aws-node skips IPv6 CIDRs, since its SNAT and its rules are for IPv4 only; so does berth, and says so.
fn ipv4_cidrs(reader: &mut Reader<'_>, name: &'static str) -> Vec<Ipv4Net> {
    let cidrs = reader.value(name, Vec::new(), cidrs, |cidrs| {
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
            "{name}: {} has no effect, pods have IPv4 addresses only",
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

/// The default, too, must not overlap a primary mark that was moved.
fn eni_mask(reader: &mut Reader<'_>, default: MarkMask, primary: PrimaryMark) -> MarkMask {
    const NAME: &str = "BERTH_MARK_MASK";
    let shown = |mask: &MarkMask| format!("{:#x}", mask.bits());
    let value = reader.value(NAME, default, mask(primary), shown);
    if let Err(error) = MarkMask::new(value.bits(), primary) {
        reader.error(SettingError::Invalid {
            name: NAME,
            value: shown(&value),
            why: format!("{error}; set one of the two"),
        });
    }
    value
}

fn mask(primary: PrimaryMark) -> impl Fn(&str) -> Result<MarkMask, String> {
    move |text| {
        let bits = hex(text).ok_or("must be a 32-bit number in hex, such as 0x7e")?;
        MarkMask::new(bits, primary).map_err(|error| error.to_string())
    }
}

/// Hex with 0x, or decimal: aws-node takes both.
fn primary_mark(text: &str) -> Result<PrimaryMark, String> {
    let bits = hex(text).or_else(|| text.parse().ok());
    let bits = bits.ok_or("must be a 32-bit number, such as 0x80")?;
    PrimaryMark::new(bits).map_err(|error| error.to_string())
}

fn hex(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x")?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| plain)
}
