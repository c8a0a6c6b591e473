//! Answers that go on: one JSON object per line.

use http_body_util::BodyExt as _;
use mainstay_api::wire::Problem;
use mainstay_mesh::Body;
use serde::de::DeserializeOwned;

use crate::client::control::MAX_ANSWER_BYTES;
use crate::client::print;
use crate::failure::Failure;

/// The lines of a body that streams.
pub(super) struct Lines {
    body: Body,
    buffer: Vec<u8>,
    ended: bool,
}

impl Lines {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            buffer: Vec::new(),
            ended: false,
        }
    }

    /// The next line without its break; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Failure> {
        let mut searched = 0;
        loop {
            let fresh = self.buffer.get(searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=searched + at).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            searched = self.buffer.len();
            if self.ended {
                return Ok(None);
            }
            if searched > MAX_ANSWER_BYTES {
                return Err(Failure::refused("the answer has a line without end"));
            }
            match self.body.frame().await {
                None => self.ended = true,
                Some(Ok(frame)) => self
                    .buffer
                    .extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
                Some(Err(error)) => return Err(Failure::refused(format!("the answer broke off: {error}"))),
            }
        }
    }

    /// The next line and what it says; `None` at the end. An answer that fails after it has begun ends with a problem.
    pub(super) async fn decoded<T: DeserializeOwned>(&mut self) -> Result<Option<(String, T)>, Failure> {
        let Some(line) = self.next().await? else {
            return Ok(None);
        };
        match serde_json::from_str(&line) {
            Ok(decoded) => Ok(Some((line, decoded))),
            Err(error) => Err(match serde_json::from_str::<Problem>(&line) {
                Ok(problem) => Failure::refused(problem.message),
                Err(_) => Failure::refused(format!("the answer has a line of another kind: {error}")),
            }),
        }
    }

    /// What all lines say, for a table; `None` where JSON is wanted, which is printed line by line as it comes.
    pub(super) async fn rows<T: DeserializeOwned>(mut self, json: bool) -> Result<Option<Vec<T>>, Failure> {
        let mut rows = Vec::new();
        while let Some((line, row)) = self.decoded().await? {
            if json {
                print(&(line + "\n"))?;
            } else {
                rows.push(row);
            }
        }
        Ok((!json).then_some(rows))
    }
}

#[cfg(test)]
mod tests {
    use mainstay_api::wire::SecretName;

    use super::*;

    #[tokio::test]
    async fn lines_are_decoded_and_a_problem_is_the_end() {
        let text = concat!(
            r#"{"name":"a","version":null,"key":null}"#,
            "\n",
            r#"{"errorCode":"ERR_INTERNAL","message":"it broke"}"#,
            "\n"
        );
        let mut lines = Lines::new(Body::full(text));
        let (line, first) = lines.decoded::<SecretName>().await.unwrap().unwrap();
        assert_eq!(
            (line.as_str(), first.name.as_str()),
            (text.lines().next().unwrap(), "a")
        );
        let failure = lines.decoded::<SecretName>().await.unwrap_err();
        assert_eq!((failure.to_string().as_str(), failure.code()), ("it broke", 1));
        assert!(lines.decoded::<SecretName>().await.unwrap().is_none());
        let mut others = Lines::new(Body::full("{}"));
        assert!(
            others.decoded::<SecretName>().await.is_ok(),
            "half a line is none"
        );
    }
}
