//! Named namespaces as iproute2 keeps them (ip-netns(8)): a file in `/run/netns` with the namespace mounted on it. Made
//! without iproute2, since the suite and the tests make them by the thousand.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, ensure};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

use super::NETNS_DIR;

/// Makes the namespace `name` with its loopback up; its path.
///
/// # Errors
/// The name is taken or no file's, or the caller may not make namespaces.
pub(super) fn make(name: &str) -> anyhow::Result<PathBuf> {
    let plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
    ensure!(plain, "{name:?} cannot name a network namespace");
    let path = Path::new(NETNS_DIR).join(name);
    share_directory().with_context(|| format!("cannot prepare {NETNS_DIR} (this needs root)"))?;
    // ip netns add NAME
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(&path);
    file.with_context(|| format!("cannot make the network namespace {name}"))?;
    let made = thread::scope(|scope| scope.spawn(|| bind_new(&path)).join());
    let made =
        made.unwrap_or_else(|_| Err(io::Error::other("the thread that was to enter it died")));
    if let Err(error) = made {
        // what is there is of no use
        let _ = remove(&path);
        return Err(error).with_context(|| format!("cannot make the network namespace {name}"));
    }
    Ok(path)
}

/// Removes the name; the namespace goes with the last process and descriptor in it.
///
/// # Errors
/// It is not there, or the caller may not.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    // ip netns del NAME
    match umount2(path, MntFlags::MNT_DETACH) {
        // no namespace was mounted there
        Ok(()) | Err(Errno::EINVAL) => fs::remove_file(path),
        Err(error) => Err(error.into()),
    }
}

/// Lets what is mounted in the directory appear in other mount namespaces, and go there too, as iproute2 does.
fn share_directory() -> io::Result<()> {
    fs::create_dir_all(NETNS_DIR)?;
    let share = || {
        mount(
            None::<&str>,
            NETNS_DIR,
            None::<&str>,
            MsFlags::MS_SHARED | MsFlags::MS_REC,
            None::<&str>,
        )
    };
    match share() {
        // no mount point yet
        Err(Errno::EINVAL) => {
            let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
            mount(Some(NETNS_DIR), NETNS_DIR, None::<&str>, bind, None::<&str>)?;
            Ok(share()?)
        }
        shared => Ok(shared?),
    }
}

/// On a thread of its own: leaves for a new namespace and mounts it on `path`.
fn bind_new(path: &Path) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    raise_loopback()?;
    let own = Some("/proc/thread-self/ns/net");
    Ok(mount(
        own,
        path,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )?)
}

/// `ip link set lo up` in the thread's namespace, by one message of rtnetlink(7).
fn raise_loopback() -> io::Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    /// Loopback is the first link of every namespace (LOOPBACK_IFINDEX in include/net/flow.h).
    const LOOPBACK: u32 = 1;
    const IFF_UP: u32 = 1;
    // struct nlmsghdr, then struct ifinfomsg: family and type 0, index, flags, and which flags are meant
    let mut request = Vec::with_capacity(32);
    request.extend(32_u32.to_ne_bytes());
    request.extend(RTM_NEWLINK.to_ne_bytes());
    request.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    request.extend([0; 12]);
    for word in [LOOPBACK, IFF_UP, IFF_UP] {
        request.extend(word.to_ne_bytes());
    }
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        // protocol 0: NETLINK_ROUTE
        None,
    )?;
    send(&socket, &request, SendFlags::empty())?;
    let mut answer = [0_u8; 128];
    let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    // struct nlmsgerr behind the header: 0, or an error number below it
    let code = answer[..length]
        .get(16..20)
        .and_then(|code| code.try_into().ok());
    match code.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::Error::other("the kernel's answer is cut off")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use crate::netns::{Netns, output, require_netns};
    use std::process::Command;

    #[test]
    fn iproute2_knows_what_is_made_and_a_name_is_taken_once() {
        if !require_netns().unwrap() {
            return;
        }
        let netns = Netns::unique("named").unwrap();
        let listed = || output(Command::new("ip").args(["netns", "list"])).unwrap();
        let has = |list: &str| {
            list.lines()
                .any(|line| line.split(' ').next() == Some(netns.name()))
        };
        assert!(has(&listed()));
        let shown = output(Command::new("ip").args(["-n", netns.name(), "-o", "link"])).unwrap();
        assert!(
            shown.lines().count() == 1 && shown.contains("LOOPBACK,UP"),
            "{shown}"
        );
        let error = Netns::create(netns.name()).unwrap_err();
        assert!(format!("{error:#}").contains("exists"), "{error:#}");
        // that attempt took nothing away
        assert!(has(&listed()));
        for name in ["", "..", "a/b"] {
            Netns::create(name).unwrap_err();
        }
        let name = netns.name().to_owned();
        drop(netns);
        assert!(!listed().contains(&name));
    }
}
