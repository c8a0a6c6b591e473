//! From the host's lines to those of the control API.

use std::time::UNIX_EPOCH;

use mainstay_host::LogSource;

use super::{LogLine, Stream};

impl From<&mainstay_host::LogLine> for LogLine {
    fn from(line: &mainstay_host::LogLine) -> Self {
        let (replica, stream) = match &line.source {
            LogSource::Output(replica) => (replica.to_string(), Stream::Stdout),
            LogSource::Error(replica) => (replica.to_string(), Stream::Stderr),
            LogSource::Event(replica) => (replica.to_string(), Stream::Event),
            LogSource::Note(app) => (app.to_string(), Stream::Event),
        };
        let since = line.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            number: line.number,
            time_unix_ms: since.as_millis() as u64,
            app: line.source.app().to_string(),
            replica,
            stream,
            text: line.text.to_string(),
        }
    }
}
