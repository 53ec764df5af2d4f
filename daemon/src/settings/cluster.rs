//! The settings about Kubernetes: which node this is, and where the API server is.

use std::path::PathBuf;

use super::reader::Reader;
use super::values::path;

/// A DNS subdomain (RFC 1123), as the names of nodes are.
const NAME: usize = 253;

/// Whom to ask about which node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterSettings {
    /// The node's name in the API (MY_NODE_NAME).
    pub node: Option<String>,
    /// Where the API server is, if not where the service account's pod finds it (CLUSTER_ENDPOINT).
    pub endpoint: Option<String>,
    /// A file with place and credentials (KUBECONFIG).
    pub kubeconfig: Option<PathBuf>,
}

pub(super) fn read(reader: &mut Reader<'_>) -> ClusterSettings {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    ClusterSettings {
        node: reader.value("MY_NODE_NAME", None, |name| node(name).map(Some), text),
        endpoint: reader.value(
            "CLUSTER_ENDPOINT",
            None,
            |url| endpoint(url).map(Some),
            text,
        ),
        kubeconfig: reader.value(
            "KUBECONFIG",
            None,
            |text| path(text).map(Some),
            |path: &Option<PathBuf>| {
                let shown = path.as_ref().map(|path| path.display().to_string());
                shown.unwrap_or_default()
            },
        ),
    }
}

fn node(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if text.len() <= NAME && text.chars().all(is_allowed) {
        Ok(text.to_owned())
    } else {
        Err("must be the name of a node: small letters, digits, - and .".to_owned())
    }
}

/// client-go, which aws-node hands it to, takes a host for `https://`.
fn endpoint(text: &str) -> Result<String, String> {
    let url = match text.split_once("://") {
        Some(("http" | "https", _)) => text.to_owned(),
        Some(_) => String::new(),
        None => format!("https://{text}"),
    };
    let host = url.split("://").nth(1).unwrap_or_default();
    let sane = |c: char| c.is_ascii_graphic() && !"\"<>@".contains(c);
    if host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[') && url.chars().all(sane) {
        Ok(url)
    } else {
        Err("must be the URL of the API server, such as https://10.0.0.1:443".to_owned())
    }
}
