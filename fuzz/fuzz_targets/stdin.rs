//! See the entry of this name.
#![no_main]

berth_fuzz::target!(stdin);
