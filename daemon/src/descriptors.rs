//! How many descriptors the daemon may have. Every client costs one, an ADD two, and the soft limit that processes are
//! started with is 1,024 almost everywhere, kept low for programs that use select(2). The daemon is none of those.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises this process's soft limit to its hard limit; what it is afterwards, `None` for no limit at all.
///
/// # Errors
/// Those of setrlimit(2).
pub fn raise_limit() -> std::io::Result<Option<u64>> {
    // ulimit -Sn $(ulimit -Hn)
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised)?;
    Ok(maximum)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let limit = raise_limit().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, limit);
    }
}
