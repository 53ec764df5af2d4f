//! How the linker lays out `berthd`: nothing is generated here, and no library is concerned.
//!
//! The program is 18 MB of code, of which a node's daemon runs 4; the kernel maps what is touched in blocks of 64 KiB
//! (`fault_around_bytes`), so that without an order nearly all of it is resident. `berthd.order` lists what runs
//! (`make order` writes it), and the linker puts that together. A name that it does not find, after another compiler's or
//! a dependency's release, has no effect. RELR packs the relocations of the position-independent program: 1.4 MB of table,
//! all of which is read at the start, become 20 kB (glibc 2.36).

use std::env;
use std::path::Path;

const ORDER: &str = "berthd.order";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ORDER}");
    // Of this target's default linker, rust-lld.
    if env::var("TARGET").as_deref() != Ok("x86_64-unknown-linux-gnu") {
        return;
    }
    let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let order = Path::new(&here).join(ORDER);
    for option in [
        "-z,pack-relative-relocs".to_owned(),
        format!("--symbol-ordering-file={}", order.display()),
        "--no-warn-symbol-ordering".to_owned(),
    ] {
        println!("cargo::rustc-link-arg-bins=-Wl,{option}");
    }
}
