//! The CNI plugin: one verb per process, by environment and stdin. Everything is in the library; this is how it is started.
//!
//! As it is installed, it has no C library (`--cfg bare`, the Makefile). Built otherwise it is an ordinary program, for
//! processors that `bare` does not know and for tools that build a whole workspace.

#![cfg_attr(bare, no_std, no_main)]

#[cfg(bare)]
mod started {
    use core::panic::PanicInfo;

    bare::program!(main);

    fn main() -> bool {
        let streams = berth_cni::Streams {
            input: bare::stdin(),
            output: bare::stdout(),
            errors: bare::stderr(),
        };
        berth_cni::run(|name| bare::variable(name).map(Into::into), streams)
    }

    #[panic_handler]
    fn panic(panic: &PanicInfo<'_>) -> ! {
        bare::once(|| berth_cni::answer_panic(panic.location(), bare::stdout()));
        bare::exit(false)
    }
}

#[cfg(not(bare))]
fn main() -> std::process::ExitCode {
    use std::os::unix::ffi::OsStringExt;

    use rustix::stdio::{stderr, stdin, stdout};

    std::panic::set_hook(Box::new(|panic| {
        berth_cni::answer_panic(panic.location(), stdout());
        std::process::exit(1);
    }));
    let streams = berth_cni::Streams {
        input: stdin(),
        output: stdout(),
        errors: stderr(),
    };
    let variable = |name: &str| std::env::var_os(name).map(OsStringExt::into_vec);
    if berth_cni::run(variable, streams) {
        std::process::ExitCode::SUCCESS
    } else {
        std::process::ExitCode::FAILURE
    }
}
