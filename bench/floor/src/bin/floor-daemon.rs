//! The least that a daemon can do for an ADD or a DEL: the netlink that is necessary, in one thread.

fn main() {}
