//! The HTTP below the SDK: rustls on ring, roots from the system's store, and a proxy for what goes over HTTPS.
//!
//! Only HTTPS goes by the proxy: EC2 and STS are HTTPS, while instance metadata and the credentials of EKS Pod Identity
//! are plain HTTP at link-local addresses, which no proxy can reach for us.

use std::time::Duration;

use aws_sdk_ec2::config::SharedHttpClient;
use aws_smithy_http_client::proxy::{ProxyConfig, ProxyError};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};

/// How EC2 is reached.
#[derive(Clone, Debug)]
pub struct Transport {
    /// A call as a whole, credentials included. Longer, and a pod waits for nothing.
    pub(super) timeout: Duration,
    proxy: ProxyConfig,
}

impl Default for Transport {
    /// What aws-node allows a request, and no proxy.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            proxy: ProxyConfig::disabled(),
        }
    }
}

/// A proxy that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the proxy of HTTPS_PROXY: {0}")]
pub struct BadProxy(#[from] ProxyError);

impl Transport {
    /// Calls of at most `timeout`, by the proxy with this URL, if any, but to the hosts that `no_proxy` lists.
    ///
    /// # Errors
    /// The URL is none.
    pub fn new(
        timeout: Duration,
        https_proxy: Option<&str>,
        no_proxy: Option<&str>,
    ) -> Result<Self, BadProxy> {
        let proxy = match https_proxy {
            Some(url) => ProxyConfig::https(url)?.no_proxy(no_proxy.unwrap_or_default()),
            None => ProxyConfig::disabled(),
        };
        Ok(Self { timeout, proxy })
    }

    /// An HTTP client of this transport.
    pub(super) fn client(&self) -> SharedHttpClient {
        let proxy = self.proxy.clone();
        Builder::new().build_with_connector_fn(move |settings, components| {
            let mut builder = Connector::builder().proxy_config(proxy.clone());
            if let Some(settings) = settings {
                builder = builder.connector_settings(settings.clone());
            }
            builder.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
            builder
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .build()
        })
    }
}

/// An HTTP client for plain HTTP that knows no proxy. It trusts nobody, which spares it the system's roots: reading them
/// takes some 12 ms, and at a start an ADD waits meanwhile.
pub(super) fn direct() -> SharedHttpClient {
    let nobody = TlsContext::builder().with_trust_store(TrustStore::empty());
    Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(nobody.build().unwrap_or_default())
        .build_https()
}
