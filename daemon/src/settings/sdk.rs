//! The AWS SDK's own variables: read by the SDK, listed here so that `berthd status` shows what a node runs with. The
//! values of secrets are not.

use super::reader::Reader;

/// Variables whose values may be shown.
const SHOWN: &[&str] = &[
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_EC2",
    "AWS_ENDPOINT_URL_STS",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "SSL_CERT_FILE",
];
/// Variables that are, or give away, a secret.
const SECRET: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
];
/// Where these come from.
const SOURCE: &str = "environment, for the AWS SDK";

/// All variables of this section.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SHOWN.iter().chain(SECRET).copied()
}

pub(super) fn read(reader: &mut Reader<'_>) {
    for name in SHOWN {
        if let Some(value) = reader.text(name) {
            reader.list(name, value, SOURCE);
        }
    }
    for name in SECRET {
        if reader.text(name).is_some() {
            reader.list(name, "(set)".to_owned(), SOURCE);
        }
    }
}
