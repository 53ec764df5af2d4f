//! As in the DaemonSet: TLS with the cluster's own authority, and the service account's token, from where kubelet mounts them.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::ensure;
use e2e::apiserver::ApiServer;
use e2e::netns::{Netns, output};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::fixture::add_pods;
use crate::site::{BOOKMARKS, NODE, Site};

/// Where the node finds the API server: what kube-proxy would make of the service's address.
const SERVICE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 6444);
/// Where kubelet mounts a pod's service account.
const ACCOUNT: &str = "/run/secrets/kubernetes.io/serviceaccount";

#[test]
fn it_logs_in_with_the_service_account() -> anyhow::Result<()> {
    let Some(mut site) = Site::without_daemon("account")? else {
        return Ok(());
    };
    site.api = ApiServer::new(Some("the token"), BOOKMARKS);
    site.api.add_node(NODE, 29);
    let node = &mut site.cluster.members[0].node;
    let account = node.boot()?.path(ACCOUNT);
    fs::create_dir_all(&account)?;
    certify(&account)?;
    fs::write(account.join("namespace"), "kube-system")?;
    fs::write(account.join("token"), "of yesterday")?;
    node.set("KUBECONFIG", "");
    node.set("KUBERNETES_SERVICE_HOST", &SERVICE.0.to_string());
    node.set("KUBERNETES_SERVICE_PORT", &SERVICE.1.to_string());
    let runtime = Runtime::new()?;
    let entered = runtime.enter();
    let behind = site.api.listen(None, (Ipv4Addr::LOCALHOST, 0).into())?;
    tls_in_front(site.member().node.netns(), &account, behind)?;
    drop(entered);
    site.start_daemon()?;
    site.blinded("401 Unauthorized")?;
    fs::write(account.join("token"), "the token")?;
    site.bind("web", 4);
    site.prepares(4)?;
    site.sees()?;
    add_pods(site.member(), "web", 4)?;
    ensure!(
        site.waits()? == (4.0, 4.0),
        "{:?} did not wait",
        site.waits()?
    );
    Ok(())
}

/// Makes the API server's key, and the authority's certificate beside the token.
fn certify(account: &Path) -> anyhow::Result<()> {
    let (key, authority) = (account.join("key.pem"), account.join("ca.crt"));
    let mut request = Command::new("openssl");
    request
        .args([
            "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2", "-subj", "/CN=api",
        ])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-addext", &format!("subjectAltName=IP:{}", SERVICE.0)])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&authority);
    output(&mut request)?;
    let der = |command: &str, from: &Path, to: &str| {
        let mut convert = Command::new("openssl");
        convert.args([command, "-outform", "DER", "-in"]).arg(from);
        if command == "pkcs8" {
            convert.args(["-topk8", "-nocrypt"]);
        }
        output(convert.arg("-out").arg(account.join(to)))
    };
    der("x509", &authority, "certificate.der")?;
    der("pkcs8", &key, "key.der")?;
    Ok(())
}

/// Ends TLS inside the node and passes on what is in it.
fn tls_in_front(netns: &Netns, account: &Path, behind: SocketAddr) -> anyhow::Result<()> {
    let certificate = CertificateDer::from(fs::read(account.join("certificate.der"))?);
    let key = PrivatePkcs8KeyDer::from(fs::read(account.join("key.der"))?);
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = netns.run(|| std::net::TcpListener::bind(SERVICE))??;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Whoever breaks off needs no answer.
                let mut client = acceptor.accept(client).await?;
                let mut server = TcpStream::connect(behind).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    Ok(())
}
