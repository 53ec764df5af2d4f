//! What a static program needs that starts without a C library: an entry point, its environment and streams, a heap that
//! ends with the process, and the functions that a compiler calls by their C names.
//!
//! For programs that live a millisecond. glibc asks the processor what it is before `main`, in its static form too, with
//! some 70 `cpuid`s, each of which leaves a virtual machine; what that costs stands in docs/performance.md.
//!
//! x86_64 only, and only with `--cfg bare`: without it there is nothing here, since a program has one `memcpy`. A program
//! says [`program!`], has a `#[panic_handler]`, and is linked with `-nostartfiles -nodefaultlibs`, without relocations
//! (`-C relocation-model=static`): nobody would carry them out. It has one thread.

#![no_std]

#[cfg(test)]
extern crate std;

#[cfg(any(bare, test))]
mod heap;
#[cfg(any(bare, test))]
mod memory;
#[cfg(bare)]
mod start;

#[cfg(bare)]
pub use heap::Heap;
#[cfg(bare)]
pub use start::{exit, once, stderr, stdin, stdout, variable};

/// Makes a `fn() -> bool` the program, which has succeeded if it says so, and gives it a heap.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        #[global_allocator]
        static HEAP: $crate::Heap = $crate::Heap::new();

        #[unsafe(no_mangle)]
        extern "Rust" fn bare_main() -> bool {
            $main()
        }
    };
}
