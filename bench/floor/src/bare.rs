//! The floor's plugin again, started as `berth-cni` is: without a C library. What both floors differ by is what the start of
//! a C library costs.

#![cfg_attr(bare, no_std, no_main)]

#[cfg(bare)]
mod started {
    use core::panic::PanicInfo;

    use rustix::net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect,
        recv, send, socket_with,
    };

    bare::program!(main);

    fn main() -> bool {
        exchange() == Some(true)
    }

    /// As `plugin.rs`, but that nobody is told why.
    fn exchange() -> Option<bool> {
        let mut request = [b'\n'; 500];
        let mut end = 0;
        for name in ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS"] {
            let word = bare::variable(name)?;
            request
                .get_mut(end..end + word.len())?
                .copy_from_slice(word);
            end += word.len() + 1;
        }
        let address = SocketAddrUnix::new(bare::variable("FLOOR_SOCKET")?).ok()?;
        let kind = (AddressFamily::UNIX, SocketType::STREAM);
        let daemon = socket_with(kind.0, kind.1, SocketFlags::CLOEXEC, None).ok()?;
        connect(&daemon, &address).ok()?;
        let sent = send(&daemon, &request, SendFlags::NOSIGNAL).ok()?;
        let mut reply = [0; 400];
        let (received, _) = recv(&daemon, &mut reply, RecvFlags::WAITALL).ok()?;
        Some(sent == request.len() && received == reply.len() && reply.starts_with(b"ok"))
    }

    #[panic_handler]
    fn panic(_: &PanicInfo<'_>) -> ! {
        bare::exit(false)
    }
}

#[cfg(not(bare))]
fn main() -> std::process::ExitCode {
    eprintln!("floor-bare: built without --cfg bare (the Makefile says how)");
    std::process::ExitCode::FAILURE
}
