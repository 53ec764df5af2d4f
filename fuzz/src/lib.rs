//! What all targets do: give their bytes to the entry of their name, and help libFuzzer past the parsers. By itself it makes
//! much that is no JSON and little that is another JSON; every other input is therefore spoilt as a tree, as in the tests
//! on the stable toolchain. What is worth keeping is libFuzzer's to say.

use fuzz_entries::mutation::Mutator;

/// The target of an entry.
#[macro_export]
macro_rules! target {
    ($entry:ident) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_entries::$entry(data));
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
            $crate::mutate(data, size, max, seed)
        });
    };
}

/// Spoils the first `size` bytes of `data` in place; they are `max` at most then. How many they are.
pub fn mutate(data: &mut [u8], size: usize, max: usize, seed: u32) -> usize {
    if seed.is_multiple_of(2) {
        let spoilt = Mutator::new(seed.into()).spoil(&[data[..size].to_vec()]);
        // Cut off it would be no JSON again.
        if spoilt.len() <= max {
            data[..spoilt.len()].copy_from_slice(&spoilt);
            return spoilt.len();
        }
    }
    libfuzzer_sys::fuzzer_mutate(data, size, max)
}
