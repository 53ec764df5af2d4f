//! Reads the answers of instance metadata: text to values, or an error that quotes what was said. No HTTP.
//!
//! A proxy or a wrong endpoint answers with pages of its own, so nothing is taken on trust: also ids are checked for
//! their form. Each function takes the path only for its error.

use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::Ipv4Net;
use serde_json::Value;

use crate::mac;
use crate::port::MetadataError;
use crate::text::{QUOTE_CHARS, one_line};

/// The parts of the instance identity document that are used ("Instance identity documents", EC2 User Guide).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// `instanceId`.
    pub instance_id: String,
    /// `instanceType`.
    pub instance_type: String,
    /// `region`.
    pub region: String,
    /// `privateIp`.
    pub private_ip: Ipv4Addr,
}

/// `dynamic/instance-identity/document`.
pub fn document(path: &str, text: &str) -> Result<Document, MetadataError> {
    let document: Value = serde_json::from_str(text)
        .map_err(|_| bad(path, text, "an instance identity document (JSON)"))?;
    let member = |name: &str, expected: &'static str| {
        let value = document.get(name).and_then(Value::as_str);
        value
            .filter(|value| is_word(value))
            .ok_or_else(|| bad(path, text, expected))
    };
    let instance_id = member("instanceId", "a document with instanceId")?;
    let private_ip = member("privateIp", "a document with privateIp")?;
    Ok(Document {
        instance_id: id(path, instance_id, "i-", "an instance id")?,
        instance_type: member("instanceType", "a document with instanceType")?.to_owned(),
        region: member("region", "a document with region")?.to_owned(),
        private_ip: address(path, private_ip)?,
    })
}

/// `meta-data/mac`.
pub fn mac(path: &str, text: &str) -> Result<String, MetadataError> {
    mac::normalize(text.trim()).ok_or_else(|| bad(path, text, "a MAC address"))
}

/// `meta-data/network/interfaces/macs/`: a directory, so each name ends in a slash.
pub fn macs(path: &str, text: &str) -> Result<Vec<String>, MetadataError> {
    let read = |line: &str| {
        let name = line.strip_suffix('/').unwrap_or(line);
        mac::normalize(name).ok_or_else(|| bad(path, line, "a MAC address"))
    };
    some(path, text, "a list of MAC addresses")?
        .map(read)
        .collect()
}

/// An id with its `prefix`, as `eni-` or `subnet-`.
pub fn id(
    path: &str,
    text: &str,
    prefix: &str,
    expected: &'static str,
) -> Result<String, MetadataError> {
    let id = text.trim();
    let is_id = id.strip_prefix(prefix).is_some_and(is_word);
    is_id
        .then(|| id.to_owned())
        .ok_or_else(|| bad(path, text, expected))
}

/// `device-number`, `network-card`.
pub fn number(path: &str, text: &str) -> Result<u32, MetadataError> {
    parse(path, text, "a whole number, 0 or more")
}

/// One IPv4 address.
pub fn address(path: &str, text: &str) -> Result<Ipv4Addr, MetadataError> {
    parse(path, text, "an IPv4 address")
}

/// `local-ipv4s`: the primary address first.
pub fn addresses(path: &str, text: &str) -> Result<Vec<Ipv4Addr>, MetadataError> {
    some(path, text, "a list of IPv4 addresses")?
        .map(|line| address(path, line))
        .collect()
}

/// `subnet-ipv4-cidr-block`.
pub fn cidr(path: &str, text: &str) -> Result<Ipv4Net, MetadataError> {
    parse(path, text, "an IPv4 CIDR block")
}

/// `vpc-ipv4-cidr-blocks`.
pub fn cidrs(path: &str, text: &str) -> Result<Vec<Ipv4Net>, MetadataError> {
    some(path, text, "a list of IPv4 CIDR blocks")?
        .map(|line| cidr(path, line))
        .collect()
}

/// `security-group-ids`.
pub fn security_groups(path: &str, text: &str) -> Result<Vec<String>, MetadataError> {
    some(path, text, "a list of security group ids")?
        .map(|line| id(path, line, "sg-", "a security group id"))
        .collect()
}

fn parse<T: FromStr>(path: &str, text: &str, expected: &'static str) -> Result<T, MetadataError> {
    text.trim().parse().map_err(|_| bad(path, text, expected))
}

/// The lines of a list, of which IMDS never answers an empty one: what is not there is a 404.
fn some<'a>(
    path: &str,
    text: &'a str,
    expected: &'static str,
) -> Result<impl Iterator<Item = &'a str> + use<'a>, MetadataError> {
    if text.trim().is_empty() {
        return Err(bad(path, text, expected));
    }
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()))
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

fn bad(path: &str, value: &str, expected: &'static str) -> MetadataError {
    MetadataError::BadAnswer {
        path: path.to_owned(),
        value: one_line(value, QUOTE_CHARS),
        expected,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const PATH: &str = "meta-data/x";
    const HTML: &str = "<!DOCTYPE html>\n<html><body><h1>403 Forbidden</h1></body></html>";
    /// Shaped as in the EC2 User Guide, with members that are not used.
    const DOCUMENT: &str = r#"{
        "devpayProductCodes" : null,
        "availabilityZone" : "us-west-2b",
        "privateIp" : "10.158.112.84",
        "version" : "2017-09-30",
        "instanceId" : "i-1234567890abcdef0",
        "billingProducts" : null,
        "instanceType" : "u-6tb1.112xlarge",
        "region" : "us-west-2"
    }"#;

    fn quoted(error: MetadataError) -> (String, &'static str) {
        match error {
            MetadataError::BadAnswer {
                path,
                value,
                expected,
            } => {
                assert_eq!(path, PATH);
                (value, expected)
            }
            MetadataError::Unavailable { .. } => panic!("{error}"),
        }
    }

    #[test]
    fn the_identity_document_is_read() {
        let document = document(PATH, DOCUMENT).unwrap();
        assert_eq!(document.instance_id, "i-1234567890abcdef0");
        assert_eq!(document.instance_type, "u-6tb1.112xlarge");
        assert_eq!(document.region, "us-west-2");
        assert_eq!(document.private_ip, Ipv4Addr::new(10, 158, 112, 84));
    }

    #[test]
    fn a_document_without_one_member_or_with_a_wrong_one_is_refused() {
        for (member, value) in [
            ("privateIp", "10.158.112.84"),
            ("instanceId", "i-1234567890abcdef0"),
            ("instanceType", "u-6tb1.112xlarge"),
            ("region", "us-west-2"),
        ] {
            let missing = DOCUMENT.replace(member, "other");
            let (_, expected) = quoted(document(PATH, &missing).unwrap_err());
            assert!(expected.ends_with(member), "{expected}");
            for wrong in ["", "a b", "<html>"] {
                let text = DOCUMENT.replace(value, wrong);
                quoted(document(PATH, &text).unwrap_err());
            }
        }
        quoted(document(PATH, &DOCUMENT.replace("i-1234567890abcdef0", "j-1")).unwrap_err());
        quoted(document(PATH, &DOCUMENT.replace("10.158.112.84", "10.158.112.256")).unwrap_err());
        quoted(document(PATH, &DOCUMENT.replace("\"us-west-2\"", "7")).unwrap_err());
        quoted(document(PATH, "[]").unwrap_err());
    }

    #[test]
    fn good_answers_are_read() {
        assert_eq!(
            mac(PATH, "0A:bc:00:11:22:33\n").unwrap(),
            "0a:bc:00:11:22:33"
        );
        let list = "02:00:00:00:00:01/\n02:00:00:00:00:02/\n";
        assert_eq!(
            macs(PATH, list).unwrap(),
            ["02:00:00:00:00:01", "02:00:00:00:00:02"]
        );
        assert_eq!(number(PATH, "0").unwrap(), 0);
        assert_eq!(number(PATH, "14\n").unwrap(), 14);
        assert_eq!(
            id(PATH, "eni-0abc", "eni-", "an ENI id").unwrap(),
            "eni-0abc"
        );
        let two = [Ipv4Addr::new(10, 0, 0, 9), Ipv4Addr::new(10, 0, 0, 4)];
        assert_eq!(addresses(PATH, "10.0.0.9\n10.0.0.4").unwrap(), two);
        assert_eq!(
            cidr(PATH, "10.0.0.0/20").unwrap().to_string(),
            "10.0.0.0/20"
        );
        let vpc = cidrs(PATH, "10.0.0.0/16\n100.64.0.0/16").unwrap();
        assert_eq!(vpc.len(), 2);
        assert_eq!(
            security_groups(PATH, "sg-1\nsg-2").unwrap(),
            ["sg-1", "sg-2"]
        );
    }

    #[test]
    fn garbage_is_refused_everywhere() {
        for text in [
            "",
            " \n",
            HTML,
            "null",
            "-1",
            "02:00:00:00:00",
            "10.0.0",
            "10.0.0.0/33",
            "\u{0}",
        ] {
            quoted(document(PATH, text).unwrap_err());
            quoted(mac(PATH, text).unwrap_err());
            quoted(macs(PATH, text).unwrap_err());
            quoted(number(PATH, text).unwrap_err());
            quoted(id(PATH, text, "eni-", "an ENI id").unwrap_err());
            quoted(address(PATH, text).unwrap_err());
            quoted(addresses(PATH, text).unwrap_err());
            quoted(cidr(PATH, text).unwrap_err());
            quoted(cidrs(PATH, text).unwrap_err());
            quoted(security_groups(PATH, text).unwrap_err());
        }
    }

    #[test]
    fn one_wrong_line_spoils_a_list_and_is_the_one_quoted() {
        let (value, _) = quoted(addresses(PATH, "10.0.0.4\n10.0.0.x").unwrap_err());
        assert_eq!(value, "10.0.0.x");
        quoted(macs(PATH, "02:00:00:00:00:01/\nsomething/").unwrap_err());
        quoted(cidrs(PATH, "10.0.0.0/16\n10.0.0.0").unwrap_err());
        quoted(security_groups(PATH, "sg-1\n1").unwrap_err());
    }

    #[test]
    fn a_page_is_quoted_in_short_on_one_line() {
        let page = HTML.repeat(50);
        let (value, _) = quoted(mac(PATH, &page).unwrap_err());
        assert!(
            value.starts_with("<!DOCTYPE html> <html>") && value.chars().count() <= QUOTE_CHARS + 1
        );
    }
}
