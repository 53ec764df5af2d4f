//! From the kernel's first instruction to the program and back (System V ABI for x86-64, 3.4.1: the stack has the number of
//! arguments, the arguments, null, the environment, null).

use core::arch::{asm, global_asm};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering::Relaxed};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{BorrowedFd, IntoRawFd};
use rustix::fs::{Mode, OFlags, open};

/// System calls that rustix keeps to itself (include/uapi/asm/unistd_64.h).
const RT_SIGACTION: usize = 13;
const EXIT_GROUP: usize = 231;

const SIGPIPE: usize = 13;

unsafe extern "Rust" {
    /// [`program!`](crate::program) makes it.
    safe fn bare_main() -> bool;
}

global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {begin}",
    begin = sym begin,
);

/// The environment's texts, each ended by a zero, with a null behind them.
static ENVIRONMENT: AtomicPtr<*const u8> = AtomicPtr::new(ptr::null_mut());

/// # Safety
/// `stack` is the stack as the kernel made it.
unsafe extern "C" fn begin(stack: *mut usize) -> ! {
    // SAFETY: as the ABI has it, the environment begins behind the number, that many arguments and a null.
    let environment = unsafe { stack.add(1 + *stack + 1) };
    ENVIRONMENT.store(environment.cast(), Relaxed);
    ignore_sigpipe();
    if !has_streams() {
        exit(false);
    }
    exit(bare_main())
}

/// The value of an environment variable, the first one of that name.
pub fn variable(name: &str) -> Option<&'static [u8]> {
    let mut texts = ENVIRONMENT.load(Relaxed);
    loop {
        // SAFETY: the kernel put the texts there and a null behind them; nobody writes to them.
        let text = unsafe { texts.read().as_ref()? };
        // SAFETY: it ends with a zero.
        let text = unsafe { core::slice::from_raw_parts(text, length(text)) };
        if let Some(value) = text.strip_prefix(name.as_bytes())
            && let Some(value) = value.strip_prefix(b"=")
        {
            return Some(value);
        }
        // SAFETY: this one was not the null.
        texts = unsafe { texts.add(1) };
    }
}

/// As strlen(3), which compilers call too.
///
/// # Safety
/// There is a zero.
#[unsafe(export_name = "strlen")]
unsafe extern "C" fn length(text: *const u8) -> usize {
    let mut length = 0;
    // Volatile, or the compiler may see what it does and call it.
    // SAFETY: up to the zero all belongs to the text.
    while unsafe { text.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}

/// Standard input.
pub fn stdin() -> BorrowedFd<'static> {
    stream(0)
}

/// Standard output.
pub fn stdout() -> BorrowedFd<'static> {
    stream(1)
}

/// Standard error.
pub fn stderr() -> BorrowedFd<'static> {
    stream(2)
}

fn stream(number: i32) -> BorrowedFd<'static> {
    // SAFETY: `has_streams` saw to it that it is open, and no safe code can close it.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Whether the three streams are open, by now: who is started without one would have its first file in that place, and
/// write its answer there.
fn has_streams() -> bool {
    let [input, output, errors] = [stdin(), stdout(), stderr()];
    let mut streams = [&input, &output, &errors].map(|fd| PollFd::new(fd, PollFlags::empty()));
    if poll(&mut streams, Some(&Default::default())).is_err() {
        return false;
    }
    let closed = streams.map(|stream| stream.revents().contains(PollFlags::NVAL));
    // The lowest free number is the next one's.
    let fill = || open("/dev/null", OFlags::RDWR, Mode::empty()).map(IntoRawFd::into_raw_fd);
    closed.into_iter().all(|closed| !closed || fill().is_ok())
}

/// Writing to who has gone is an error then, not the end.
fn ignore_sigpipe() {
    // The kernel's `struct sigaction`: SIG_IGN, no flags, no restorer, no mask.
    let ignore: [usize; 4] = [1, 0, 0, 0];
    // SAFETY: a signal that is ignored runs no code.
    unsafe {
        system_call(
            RT_SIGACTION,
            [SIGPIPE, ignore.as_ptr().addr(), 0, size_of::<u64>()],
        )
    };
}

/// Runs it unless it was begun before: what answers a panic may panic.
pub fn once(run: impl FnOnce()) {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    if !BEGUN.swap(true, Relaxed) {
        run();
    }
}

/// Ends the process, with status 0 for success or 1.
pub fn exit(success: bool) -> ! {
    loop {
        // SAFETY: nothing comes after it.
        unsafe { system_call(EXIT_GROUP, [usize::from(!success), 0, 0, 0]) };
    }
}

/// What the language's own libraries, which are built for unwinding, have their landing pads point to. Nothing unwinds here:
/// a panic is the end.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Where a landing pad would go on.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    exit(false)
}

/// # Safety
/// That of the call.
unsafe fn system_call(number: usize, arguments: [usize; 4]) {
    // SAFETY: the caller's; the kernel changes rax, rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inout("rax") number => _,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
}
