//! See the entry of this name.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_entries::environment(data));
