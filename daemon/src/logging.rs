//! The log: one JSON object a line on stdout, as container platforms collect it. What is logged is decided by the code
//! that logs, and by a filter (BERTH_LOG).

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The client of the API server logs each failure as an error, and answers that it cannot read in full; what is worth a
/// word is said by `cluster`. Whoever wants to see it all the same names it in the filter, which then goes before this.
const QUIET: &str = "kube_client=off";

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter cannot be read.
    #[error("log filter {filter:?}: {source}")]
    Filter {
        /// As given.
        filter: String,
        /// Why.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Somebody has set one up already.
    #[error("the log is set up already: {0}")]
    Twice(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Sets up the log of this process, once.
///
/// # Errors
/// [`LoggingError`].
pub fn tracing_init(filter: &str) -> Result<(), LoggingError> {
    let subscriber = subscriber(filter, std::io::stdout)?;
    Ok(tracing::subscriber::set_global_default(subscriber)?)
}

fn subscriber<W>(filter: &str, writer: W) -> Result<impl Subscriber + Send + Sync, LoggingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter =
        EnvFilter::try_new(format!("{QUIET},{filter}")).map_err(|source| LoggingError::Filter {
            filter: filter.to_owned(),
            source,
        })?;
    Ok(tracing_subscriber::fmt()
        .json()
        // Fields beside the timestamp, not under another key: that is what log queries are written against.
        .flatten_event(true)
        .with_current_span(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn an_event_is_one_json_line_with_its_fields_and_the_filter_holds() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let log = Arc::new(File::create(&path).unwrap());
        let subscriber = subscriber("warn", log).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(verb = "ADD", took_ms = 3, "request");
            tracing::info!("left out");
        });
        let text = std::fs::read_to_string(&path).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["verb"], "ADD");
        assert_eq!(line["took_ms"], 3);
        assert_eq!(
            (&line["level"], &line["message"]),
            (&"WARN".into(), &"request".into())
        );
    }

    #[test]
    fn a_bad_filter_is_named() {
        let error = subscriber("berthd=loud", std::io::sink).err().unwrap();
        assert!(error.to_string().contains("berthd=loud"), "{error}");
    }
}
