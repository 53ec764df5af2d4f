//! `conformance`: tests any CNI plugin binary from outside.

fn main() {}
