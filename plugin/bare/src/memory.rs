//! The functions that compilers call by their C names (ISO C 7.24), each by the processor's own instruction: a loop in their
//! place would be recognised, and become a call of itself. The ABI has the direction flag clear at calls.

use core::arch::asm;
use core::ffi::c_int;

/// # Safety
/// As memcpy(3): both have `count` bytes and do not overlap.
#[cfg_attr(bare, unsafe(no_mangle))]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "rep movsb",
            inout("rcx") count => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// # Safety
/// As memmove(3): both have `count` bytes.
#[cfg_attr(bare, unsafe(no_mangle))]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    if to.addr().wrapping_sub(from.addr()) >= count {
        // SAFETY: the caller's; what is written was read before.
        return unsafe { memcpy(to, from, count) };
    }
    // SAFETY: the caller's; from the end, since the target lies behind the begin of the source.
    unsafe {
        asm!(
            "std",
            "rep movsb",
            "cld",
            inout("rcx") count => _,
            inout("rdi") to.add(count).sub(1) => _,
            inout("rsi") from.add(count).sub(1) => _,
            options(nostack),
        );
    }
    to
}

/// # Safety
/// As memset(3): there are `count` bytes.
#[cfg_attr(bare, unsafe(no_mangle))]
pub unsafe extern "C" fn memset(to: *mut u8, byte: c_int, count: usize) -> *mut u8 {
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "rep stosb",
            inout("rcx") count => _,
            inout("rdi") to => _,
            in("eax") byte,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// # Safety
/// As memcmp(3): both have `count` bytes.
#[cfg_attr(bare, unsafe(no_mangle))]
pub unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> c_int {
    let (above, below): (u8, u8);
    // SAFETY: the caller's; without a byte the comparison before, of a register with itself, stands.
    unsafe {
        asm!(
            "cmp eax, eax",
            "repe cmpsb",
            "seta {above}",
            "setb {below}",
            above = out(reg_byte) above,
            below = out(reg_byte) below,
            inout("rcx") count => _,
            inout("rsi") left => _,
            inout("rdi") right => _,
            options(nostack, readonly),
        );
    }
    c_int::from(above) - c_int::from(below)
}

/// # Safety
/// As bcmp(3): both have `count` bytes.
#[cfg_attr(bare, unsafe(no_mangle))]
pub unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> c_int {
    // SAFETY: the caller's.
    unsafe { memcmp(left, right, count) }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn moves_as_the_language_does(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            from in 0_usize..300, to in 0_usize..300, count in 0_usize..300,
        ) {
            let (from, to) = (from.min(bytes.len()), to.min(bytes.len()));
            let count = count.min(bytes.len() - from.max(to));
            let mut expected = bytes.clone();
            expected.copy_within(from..from + count, to);
            let mut moved = bytes.clone();
            let base = moved.as_mut_ptr();
            // SAFETY: both ranges lie within.
            let answer = unsafe { memmove(base.add(to), base.add(from), count) };
            prop_assert_eq!(answer.addr(), base.addr() + to);
            prop_assert_eq!(&moved, &expected);
        }

        #[test]
        fn copies_and_fills_what_it_is_told(bytes in prop::collection::vec(any::<u8>(), 0..300), byte in any::<u8>()) {
            let mut copy = std::vec![byte; bytes.len() + 2];
            // SAFETY: it is longer than that.
            unsafe { memcpy(copy.as_mut_ptr().add(1), bytes.as_ptr(), bytes.len()) };
            prop_assert_eq!(&copy[1..=bytes.len()], &bytes[..]);
            prop_assert_eq!((copy[0], copy[bytes.len() + 1]), (byte, byte));
            let mut filled = bytes.clone();
            // SAFETY: all of it.
            unsafe { memset(filled.as_mut_ptr(), c_int::from(byte) - 256, filled.len()) };
            prop_assert!(filled.iter().all(|b| *b == byte));
        }

        #[test]
        fn compares_as_the_language_does(left in prop::collection::vec(0_u8..3, 0..9), right in prop::collection::vec(any::<u8>(), 0..9)) {
            for right in [right, left.iter().map(|b| b.wrapping_mul(129)).collect::<Vec<_>>(), left.clone()] {
                let count = left.len().min(right.len());
                let expected = left[..count].cmp(&right[..count]);
                // SAFETY: both have so many.
                let compared = unsafe { memcmp(left.as_ptr(), right.as_ptr(), count) };
                prop_assert_eq!(compared.cmp(&0), expected);
                // SAFETY: as before.
                let equal = unsafe { bcmp(left.as_ptr(), right.as_ptr(), count) } == 0;
                prop_assert_eq!(equal, expected.is_eq());
            }
        }
    }
}
