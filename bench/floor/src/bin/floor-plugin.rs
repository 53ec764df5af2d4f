//! The least that a CNI plugin in Rust can be: connects, sends 500 bytes, reads 400, ends.

fn main() {}
