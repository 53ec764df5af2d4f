//! A watch is a body without end, one JSON object a line: this cuts it into lines, none longer than an object can be.

use futures::{Stream, StreamExt};

use super::super::{ClusterError, Kind};
use super::answer::chain;

/// The longest line. etcd takes objects of 1.5 MiB by default, and a change has one in it.
const LONGEST: usize = 8 << 20;

/// The lines of a stream of chunks.
#[derive(Debug)]
pub(super) struct Lines<S> {
    chunks: S,
    /// What has come and is no whole line, after what was taken from it already.
    rest: Vec<u8>,
    taken: usize,
    ended: bool,
}

impl<S, B, E> Lines<S>
where
    S: Stream<Item = Result<B, E>> + Unpin,
    B: AsRef<[u8]>,
    E: std::error::Error + 'static,
{
    pub(super) fn new(chunks: S) -> Self {
        Self {
            chunks,
            rest: Vec::new(),
            taken: 0,
            ended: false,
        }
    }

    /// The next line. What is left when the connection ends is half a line, which nobody misses: the next watch begins after
    /// the last whole one.
    pub(super) async fn next(&mut self) -> Option<Result<Vec<u8>, ClusterError>> {
        let mut searched = self.taken;
        while !self.ended {
            if let Some(end) = self.rest[searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.rest[self.taken..searched + end].to_vec();
                self.taken = searched + end + 1;
                if line.is_empty() {
                    searched = self.taken;
                    continue;
                }
                return Some(Ok(line));
            }
            self.rest.drain(..self.taken);
            self.taken = 0;
            searched = self.rest.len();
            if searched > LONGEST {
                return Some(Err(self.end(Kind::Garbled, "a line without end".to_owned())));
            }
            match self.chunks.next().await {
                Some(Ok(chunk)) => self.rest.extend_from_slice(chunk.as_ref()),
                Some(Err(error)) => return Some(Err(self.end(Kind::Unreachable, chain(&error)))),
                None => self.ended = true,
            }
        }
        None
    }

    fn end(&mut self, kind: Kind, why: String) -> ClusterError {
        self.ended = true;
        ClusterError {
            kind,
            message: format!("watch of pods: {why}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures::stream;

    use super::*;

    async fn cut(chunks: &[&str]) -> Vec<Result<String, Kind>> {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok::<_, std::io::Error>(*chunk))
            .collect();
        let mut lines = Lines::new(stream::iter(chunks));
        let mut all = Vec::new();
        while let Some(line) = lines.next().await {
            all.push(match line {
                Ok(line) => Ok(String::from_utf8(line).unwrap()),
                Err(error) => Err(error.kind),
            });
        }
        all
    }

    fn lines(lines: &[&str]) -> Vec<Result<String, Kind>> {
        lines.iter().map(|line| Ok((*line).to_owned())).collect()
    }

    #[tokio::test]
    async fn lines_come_whole_however_the_chunks_are_cut() {
        assert_eq!(
            cut(&["one\ntwo\nthree\n"]).await,
            lines(&["one", "two", "three"])
        );
        assert_eq!(
            cut(&["o", "ne", "\n", "\n\ntw", "o\nthr"]).await,
            lines(&["one", "two"])
        );
        assert_eq!(cut(&[]).await, lines(&[]));
    }

    #[tokio::test]
    async fn a_line_without_end_is_no_line() {
        let much = "x".repeat(1 << 20);
        let chunks = vec![much.as_str(); 20];
        assert_eq!(cut(&chunks).await, [Err(Kind::Garbled)]);
    }
}
