//! What the container runtime still has of its sandboxes, as far as files tell: their namespaces and its result cache.
//! Whose attachment is abandoned is `ipam`'s to decide.

#[cfg(test)]
pub mod fake;

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

/// The runtime's view of sandboxes.
#[async_trait]
pub trait Sandboxes: Send + Sync {
    /// The names of the files in the result cache.
    ///
    /// # Errors
    /// It cannot be read, and an empty one must not be taken for it.
    async fn results(&self) -> Result<Vec<String>, CacheError>;

    /// Whether there may be a namespace at this path. Only a path that certainly does not exist is none.
    async fn has_netns(&self, path: &str) -> bool;
}

/// The result cache cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read the runtime's result cache {}: {source}", path.display())]
pub struct CacheError {
    /// The directory.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// The files themselves.
#[derive(Clone, Debug)]
pub struct SandboxFiles {
    results: PathBuf,
}

impl SandboxFiles {
    /// With the result cache in `results`.
    pub fn new(results: &Path) -> Self {
        Self {
            results: results.to_owned(),
        }
    }
}

#[async_trait]
impl Sandboxes for SandboxFiles {
    async fn results(&self) -> Result<Vec<String>, CacheError> {
        let path = self.results.clone();
        let read = tokio::task::spawn_blocking(move || names(&path)).await;
        read.unwrap_or_else(|stopping| Err(io::Error::other(stopping)))
            .map_err(|source| CacheError {
                path: self.results.clone(),
                source,
            })
    }

    /// Without the file's kind: in a container a namespace that was mounted on the host afterwards shows as an empty file.
    async fn has_netns(&self, path: &str) -> bool {
        let path = PathBuf::from(path);
        let exists = tokio::task::spawn_blocking(move || path.try_exists()).await;
        !matches!(exists, Ok(Ok(false)))
    }
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let name = |entry: io::Result<std::fs::DirEntry>| {
        Ok(entry?.file_name().to_string_lossy().into_owned())
    };
    std::fs::read_dir(dir)?.map(name).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_are_those_of_the_files_and_a_missing_directory_is_no_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let files = SandboxFiles::new(dir.path());
        assert!(files.results().await.unwrap().is_empty());
        std::fs::write(dir.path().join("aws-cni-c1-eth0"), "{}").unwrap();
        assert_eq!(files.results().await.unwrap(), ["aws-cni-c1-eth0"]);
        let missing = SandboxFiles::new(&dir.path().join("missing"));
        let error = missing.results().await.unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn only_a_path_that_does_not_exist_is_no_namespace() {
        let dir = tempfile::tempdir().unwrap();
        let files = SandboxFiles::new(dir.path());
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("file"), "").unwrap();
        assert!(files.has_netns("/proc/self/ns/net").await);
        assert!(files.has_netns(&path("file")).await);
        // Nobody can tell.
        assert!(files.has_netns(&path("file/below")).await);
        assert!(!files.has_netns(&path("gone")).await);
        assert!(!files.has_netns("/proc/4194305/ns/net").await);
    }
}
