//! `GET /api/logs`: the output of everything that runs, one JSON object per line.

use http::Response;
use mainstay_base::AppId;
use mainstay_host::{LogFilter, LogStream};
use mainstay_mesh::Body;

use super::lines::{self, Lines};
use crate::http::path::{self, Plus};
use crate::{reply, wire};

/// Reads `app=a&app=b&tail=N&follow=true`.
///
/// # Errors
/// With what is wrong, for the user.
pub(super) fn filter(query: &str) -> Result<LogFilter, String> {
    let mut filter = LogFilter::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = path::decode(value.as_bytes(), Plus::Space).map_err(|error| error.to_string())?;
        let value = String::from_utf8_lossy(&value);
        match key {
            "app" => filter
                .apps
                .push(AppId::new(&value).map_err(|error| error.to_string())?),
            "tail" => {
                let lines = value.parse();
                let lines = lines.map_err(|_| format!("tail={value}: write a number of lines"))?;
                filter.tail = Some(lines);
            }
            "follow" => {
                let follow = value.parse();
                filter.follow = follow.map_err(|_| format!("follow={value}: write true or false"))?;
            }
            key => return Err(format!("`{key}` is not a filter: use app, tail or follow")),
        }
    }
    Ok(filter)
}

/// Streams lines until the end; a client that goes away ends it.
pub(super) fn answer(lines: LogStream) -> Response<Body> {
    lines::answer(lines)
}

impl Lines for LogStream {
    async fn next(&mut self) -> Option<Vec<u8>> {
        let line = Self::next(self).await?;
        Some(reply::json_bytes(&wire::LogLine::from(&*line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read() {
        let filter = filter("app=orders&app=payments&tail=10&follow=true").unwrap();
        let apps: Vec<_> = filter.apps.iter().map(AppId::as_str).collect();
        assert_eq!(
            (apps, filter.tail, filter.follow),
            (vec!["orders", "payments"], Some(10), true)
        );
    }

    #[test]
    fn mistakes_are_told() {
        for (query, message) in [
            ("tail=x", "tail=x: write a number of lines"),
            ("tail=-1", "tail=-1: write a number of lines"),
            ("follow=yes", "follow=yes: write true or false"),
            ("since=1h", "`since` is not a filter: use app, tail or follow"),
            ("tail=%zz", "invalid URL escape \"%zz\""),
        ] {
            assert_eq!(filter(query).unwrap_err(), message);
        }
        assert!(
            filter("app=a.b")
                .unwrap_err()
                .contains("`a.b` is not an app name")
        );
    }
}
