//! Bodies that are taken, and those that are passed on.

use super::*;

/// A body that gives its pieces and then ends, breaks or pauses.
#[derive(Debug)]
struct Pieces(Vec<Result<Frame<Bytes>, &'static str>>, bool);

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        if self.0.is_empty() {
            return if self.1 { Poll::Pending } else { Poll::Ready(None) };
        }
        Poll::Ready(Some(self.0.remove(0)))
    }
}

fn pieces(pieces: &[&'static str]) -> Pieces {
    let frames = pieces.iter().map(|piece| Ok(Frame::data(Bytes::from(*piece))));
    Pieces(frames.collect(), false)
}

type TakenPieces = Result<Taken<Pieces>, &'static str>;

async fn take(body: Pieces) -> TakenPieces {
    rules().take(Response::new(body)).await
}

/// What is passed on: why, and all that comes.
async fn passed(taken: TakenPieces) -> (Unstorable, String, Option<HeaderMap>) {
    match taken.unwrap() {
        (Loaded::Private(response), Some(reason)) => {
            let whole = response.into_body().collect().await.unwrap();
            let trailers = whole.trailers().cloned();
            (
                reason,
                String::from_utf8(whole.to_bytes().to_vec()).unwrap(),
                trailers,
            )
        }
        _ => panic!("it was kept"),
    }
}

#[tokio::test]
async fn pieces_are_joined() {
    for (parts, whole) in [(&[][..], ""), (&["a"], "a"), (&["", "a", "", "bc"], "abc")] {
        match take(pieces(parts)).await.unwrap() {
            (Loaded::Value(stored, _), None) => assert_eq!(stored.body(), whole),
            _ => panic!("{parts:?} was not kept"),
        }
    }
}

#[tokio::test]
async fn a_large_body_is_passed_on_whole() {
    let large: &'static str = Box::leak("x".repeat(200_000).into_boxed_str());
    let (reason, text, _) = passed(take(pieces(&[large, large, "end"])).await).await;
    assert_eq!(reason, Unstorable::TooLarge);
    assert_eq!(text, format!("{large}{large}end"));
    // Known to be too large, it is not even begun.
    let known = Response::new(Full::from(large.repeat(2)));
    let taken = rules().take(known).await.unwrap();
    assert!(matches!(taken, (Loaded::Private(_), Some(Unstorable::TooLarge))));
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_passed_on_as_it_comes() {
    let mut slow = pieces(&["first"]);
    slow.1 = true;
    let (taken, reason) = take(slow).await.unwrap();
    assert_eq!(reason, Some(Unstorable::TooSlow));
    let Loaded::Private(response) = taken else {
        panic!("it was kept");
    };
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "first");
}

#[tokio::test]
async fn trailers_are_passed_on() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("1"));
    let mut body = pieces(&["a"]);
    body.0.push(Ok(Frame::trailers(trailers.clone())));
    let expected = (Unstorable::Trailers, "a".to_owned(), Some(trailers));
    assert_eq!(passed(take(body).await).await, expected);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    let mut body = pieces(&["a"]);
    body.0.push(Err("broke off"));
    assert_eq!(take(body).await.unwrap_err(), "broke off");
}
