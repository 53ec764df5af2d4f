//! Where the daemon's rights come from: EKS's two ways to give them to a pod, a proxy on the way to EC2, and none at all
//! for a while.

use std::net::Ipv4Addr;

use anyhow::{Context, ensure};
use e2e::cluster::DAEMON_PATIENCE;

use crate::answering::Answering;
use crate::fixture::{
    M5_LARGE, SOON, TRY_AGAIN, answer, config, eventually, launch, reasons, refusal, status_json,
};

/// Far from now, whatever the machine's clock says.
const EXPIRY: &str = "2099-01-01T00:00:00Z";
/// The pods' identity agent (EKS user guide, "Pod Identity").
const AGENT: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 23);
/// What makes the SDK look further than its environment.
const NO_KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
/// EC2 is asked again after a failure within this.
const TRIED_AGAIN: std::time::Duration = std::time::Duration::from_secs(60);

fn agents_answer() -> String {
    format!(
        r#"{{"AccessKeyId":"AGENTKEY","SecretAccessKey":"secret","Token":"token","AccountId":"123456789012","Expiration":"{EXPIRY}"}}"#
    )
}

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&NO_KEYS[..], more].concat()
}

#[test]
fn a_role_for_the_service_account() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let token = home.path().join("token");
    std::fs::write(&token, "the-service-accounts-token")?;
    let token = token.display().to_string();
    let settings = with(&[
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/berth"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &token),
        ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:8080"),
    ]);
    let Some(cluster) = launch(config("irsa"), M5_LARGE, 1, &settings)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let body = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>STSKEY</AccessKeyId>\
         <SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
         <Expiration>{EXPIRY}</Expiration></Credentials><AssumedRoleUser>\
         <Arn>arn:aws:sts::123456789012:assumed-role/berth/s</Arn><AssumedRoleId>A:s</AssumedRoleId>\
         </AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    );
    let sts = Answering::start(
        member.node.netns(),
        ([127, 0, 0, 1], 8080).into(),
        "200 OK",
        &body,
    )?;
    member.node.start_daemon(DAEMON_PATIENCE)?;
    let pod = member.node.add_pod("pod", &[])?;
    answer(member, &[pod])?;
    let asked = sts.asked();
    let asked = asked.first().context("STS was not asked")?;
    ensure!(
        asked.contains("Action=AssumeRoleWithWebIdentity")
            && asked.contains("the-service-accounts-token")
            && asked.contains("role%2Fberth"),
        "{asked}"
    );
    Ok(())
}

#[test]
fn pod_identity_away_at_first() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let token = home.path().join("token");
    std::fs::write(&token, "the-pods-token")?;
    let token = token.display().to_string();
    let uri = format!("http://{AGENT}/v1/credentials");
    let settings = with(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token),
        ("BERTH_ADD_WAIT_SECONDS", "5"),
    ]);
    let Some(cluster) = launch(config("podid"), M5_LARGE, 1, &settings)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let host = member.node.netns();
    host.ip(&["address", "add", &format!("{AGENT}/32"), "dev", "lo"])?;
    let agent = Answering::start(host, (AGENT, 80).into(), "500 Internal Server Error", "{}")?;
    member.node.start_daemon(DAEMON_PATIENCE)?;
    // It stays up and says why, to the runtime and to people.
    eventually("the reason in the ADD", TRIED_AGAIN, || {
        let error = refusal(member.node.add_pod("early", &[]))?;
        let about = error.msg.to_lowercase().contains("credentials");
        ensure!(error.code == TRY_AGAIN && about, "{error}");
        Ok(())
    })?;
    let why = reasons(&member.node)?;
    ensure!(
        why.iter()
            .any(|reason| reason.starts_with("ApiUnreachable")),
        "{why:?}"
    );
    agent.answer("200 OK", &agents_answer());
    let pod = eventually("ADD works", TRIED_AGAIN, || member.node.add_pod("pod", &[]))?;
    answer(member, std::slice::from_ref(&pod))?;
    ensure!(
        agent
            .asked()
            .iter()
            .any(|asked| asked.contains("the-pods-token")),
        "{:?}",
        agent.asked()
    );
    served_without_rights(&cluster, &agent, pod)
}

/// Rights that are lost later: what is in stock is given, and what is not needed is taken away.
fn served_without_rights(
    cluster: &e2e::cluster::Cluster,
    agent: &Answering,
    old: e2e::node::pod::Pod,
) -> anyhow::Result<()> {
    let member = &cluster.members[0];
    member.settled(cluster.cloud(), TRIED_AGAIN)?;
    agent.answer("403 Forbidden", "{}");
    member.node.kill_daemon()?;
    member.node.start_daemon(DAEMON_PATIENCE)?;
    let new = member.node.add_pod("new", &[])?;
    member.node.del_pod(old)?;
    answer(member, &[new])?;
    ensure!(member.node.status()?.attachments.len() == 1);
    Ok(())
}

#[test]
fn a_proxy_is_used_for_https_and_nothing_else() -> anyhow::Result<()> {
    let settings = [
        ("HTTPS_PROXY", "http://me:hunter2@127.0.0.1:3128"),
        ("NO_PROXY", "elsewhere.invalid"),
        ("AWS_ENDPOINT_URL_EC2", "https://ec2.region.invalid"),
    ];
    let Some(cluster) = launch(config("proxy"), M5_LARGE, 1, &settings)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let proxy = ([127, 0, 0, 1], 3128).into();
    let proxy = Answering::start(member.node.netns(), proxy, "502 Bad Gateway", "")?;
    member.node.start_daemon(DAEMON_PATIENCE)?;
    eventually("EC2 is asked by the proxy", SOON, || {
        ensure!(!proxy.asked().is_empty(), "nothing was");
        Ok(())
    })?;
    // Basic me:hunter2
    for asked in proxy.asked() {
        ensure!(
            asked.starts_with("CONNECT ec2.region.invalid:443 "),
            "{asked}"
        );
        ensure!(
            asked.to_lowercase().contains("proxy-authorization: basic"),
            "{asked}"
        );
    }
    let status = status_json(&member.node)?;
    ensure!(
        status["instance_id"].is_string(),
        "metadata went by the proxy: {status}"
    );
    let log = std::fs::read_to_string(member.node.log())?;
    ensure!(
        !status.to_string().contains("hunter2") && !log.contains("hunter2"),
        "a password is told"
    );
    Ok(())
}
