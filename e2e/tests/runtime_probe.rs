//! The probes tell a working path from a broken one, and see what the far side sees.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use e2e::netns::snapshot::{Change, Snapshot};
use e2e::netns::{Netns, require_netns};
use e2e::probe::sweep::{Leg, ping_all};
use e2e::probe::{Patience, counters, ping, tcp, udp};

const HERE: Ipv4Addr = Ipv4Addr::new(10, 73, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(10, 73, 0, 2);
const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 73, 0, 99);
const SPOOFED: Ipv4Addr = Ipv4Addr::new(10, 73, 0, 77);
const SHORT: Patience = Patience {
    attempts: 2,
    wait: Duration::from_millis(300),
    pause: Duration::ZERO,
};

/// Two namespaces with a link between them.
fn pair() -> anyhow::Result<(Netns, Netns)> {
    let (here, there) = (Netns::unique("probe")?, Netns::unique("probe")?);
    here.ip(&[
        "link",
        "add",
        "eth0",
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        there.name(),
    ])?;
    for (netns, address) in [(&here, HERE), (&there, THERE)] {
        netns.ip(&["addr", "add", &format!("{address}/24"), "dev", "eth0"])?;
        netns.ip(&["link", "set", "eth0", "up"])?;
    }
    Ok((here, there))
}

#[test]
fn ping_knows_who_answers_and_the_link_counts() -> anyhow::Result<()> {
    if !require_netns()? {
        return Ok(());
    }
    let (here, there) = pair()?;
    ping::ping(&here, THERE, Patience::USUAL)?;
    let before = counters::packets(&here, "eth0")?;
    ping::ping_as(&here, Some(HERE), THERE, Patience::USUAL)?;
    let after = counters::packets(&here, "eth0")?;
    assert!(
        after.tx > before.tx && after.rx > before.rx,
        "{before:?} {after:?}"
    );
    ping::ping(&here, NOBODY, Patience::ONCE).expect_err("nobody");
    counters::packets(&here, "eth7").expect_err("no such link");

    let legs = [
        ("here", &here, THERE),
        ("there", &there, HERE),
        ("here", &here, NOBODY),
    ];
    let legs = legs.map(|(name, from, to)| Leg { name, from, to });
    assert_eq!(ping_all(&legs[..2], Patience::USUAL)?, 2);
    let error = ping_all(&legs, Patience::ONCE).unwrap_err().to_string();
    assert!(
        error.starts_with("1 of 3 pings failed: here -> 10.73.0.99"),
        "{error}"
    );
    Ok(())
}

#[test]
fn tcp_and_udp_tell_which_address_was_seen() -> anyhow::Result<()> {
    if !require_netns()? {
        return Ok(());
    }
    let (here, there) = pair()?;
    let tcp_server = tcp::Server::start(&there, 0)?;
    let tcp_to = SocketAddrV4::new(THERE, tcp_server.port());
    assert_eq!(*tcp::ask(&here, tcp_to, Patience::USUAL)?.ip(), HERE);
    here.ip(&["addr", "add", "10.73.0.3/24", "dev", "eth0"])?;
    let other = Ipv4Addr::new(10, 73, 0, 3);
    assert_eq!(
        *tcp::ask_as(&here, Some(other), tcp_to, Patience::USUAL)?.ip(),
        other
    );
    tcp::ask_as(&here, Some(SPOOFED), tcp_to, SHORT).expect_err("not an address of this namespace");

    let server = udp::Server::start(&there, 0)?;
    let to = SocketAddrV4::new(THERE, server.port());
    assert_eq!(*udp::ask(&here, to, Patience::USUAL)?.ip(), HERE);
    assert!(server.has_seen(HERE) && !server.has_seen(SPOOFED));
    udp::send_as(&here, SPOOFED, to)?;
    SHORT.retry(|wait| {
        std::thread::sleep(wait);
        anyhow::ensure!(
            server.has_seen(SPOOFED),
            "nothing in this network keeps a spoofed packet back"
        );
        Ok(())
    })?;

    let port = to.port();
    drop((server, tcp_server));
    udp::ask(&here, SocketAddrV4::new(THERE, port), SHORT).expect_err("the server has stopped");
    tcp::ask(&here, tcp_to, SHORT).expect_err("the server has stopped");
    Ok(())
}

#[test]
fn a_snapshot_sees_each_kind_of_change() -> anyhow::Result<()> {
    if !require_netns()? {
        return Ok(());
    }
    let (here, _there) = pair()?;
    let change = |args: &str| here.ip(&args.split(' ').collect::<Vec<_>>()).map(drop);
    let nft = |script: &str| e2e::netns::output(here.command("nft").arg(script)).map(drop);
    change("rule add pref 900 lookup 20512")?;
    nft("add table ip t; add map ip t m { type mark : verdict; }; add chain ip t c")?;
    let cases: [(&str, &dyn Fn() -> anyhow::Result<()>); 8] = [
        ("link", &|| change("link set eth0 group 7001")),
        ("link", &|| change("link set eth0 alias berth:x/eth0")),
        ("address", &|| change("addr add 10.9.9.9/32 dev eth0")),
        ("route", &|| {
            change("route add 10.8.0.1 dev eth0 table 20512")
        }),
        ("rule", &|| {
            change("rule add pref 901 fwmark 0x2/0x7e lookup 3")
        }),
        ("rule6", &|| change("-6 rule add pref 902 lookup 3")),
        ("nft objects", &|| nft("add element ip t m { 1 : accept }")),
        ("nft ip t c", &|| nft("add rule ip t c accept")),
    ];
    for (section, make) in cases {
        let before = Snapshot::take(&here)?;
        make()?;
        let changes = before.changes(&Snapshot::take(&here)?);
        let seen = |change: &Change| matches!(change, Change::Added(at, _) if at == section);
        assert!(changes.iter().any(seen), "{section}: {changes:?}");
    }
    Ok(())
}

#[test]
fn a_namespace_goes_with_its_owner_only() -> anyhow::Result<()> {
    if !require_netns()? {
        return Ok(());
    }
    let owner = Netns::unique("probe")?;
    let path = owner.path().to_owned();
    drop(Netns::existing(&path)?);
    assert!(path.exists());
    drop(owner);
    assert!(!path.exists());
    Netns::existing(&path).expect_err("it is gone");
    Ok(())
}
