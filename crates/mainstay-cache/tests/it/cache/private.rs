//! Answers for one caller alone.

use super::*;

/// An answer for one caller alone.
type Private = &'static str;

#[expect(clippy::unnecessary_wraps, reason = "as a loader gives it")]
fn private(text: Private) -> Result<Loaded<Bytes, Private>, &'static str> {
    Ok(Loaded::Private(text))
}

#[tokio::test]
async fn a_private_answer_goes_to_nobody_else() {
    let (world, gate) = (World::new(), Gate::closed());
    let mut callers = Vec::new();
    for text in ["1", "2", "3"] {
        let (cache, loader) = (world.cache.clone(), world.loader(&gate, private(text)));
        callers.push(tokio::spawn(async move { cache.get_or_load("a", loader).await }));
    }
    until(|| world.loads() == 1).await;
    gate.let_through(1);
    // The others learn that it is not for them, and do not wait for each other.
    until(|| world.loads() == 3).await;
    gate.let_through(2);
    for (caller, text) in callers.into_iter().zip(["1", "2", "3"]) {
        assert_eq!(caller.await.unwrap(), Ok(Answer::Private(text)));
    }
    assert_eq!(world.metric(ANSWERS, Some("private")), 3);
}

#[tokio::test]
async fn callers_of_private_answers_do_not_wait_for_each_other() {
    let (world, gate) = (World::new(), Gate::closed());
    let first: Outcome<Private> = {
        let loader = world.loader(&Gate::open(), private("0"));
        world.cache.get_or_load("a", loader).await
    };
    assert_eq!(first, Ok(Answer::Private("0")));
    let mut callers = Vec::new();
    for text in ["1", "2"] {
        let (cache, loader) = (world.cache.clone(), world.loader(&gate, private(text)));
        callers.push(tokio::spawn(async move { cache.get_or_load("a", loader).await }));
    }
    until(|| world.loads() == 3).await;
    gate.let_through(2);
    for caller in callers {
        assert!(matches!(caller.await.unwrap(), Ok(Answer::Private(_))));
    }
    // When the answer is for everybody again, it is kept again.
    assert_eq!(value(world.get("a", found("1")).await), "1");
    assert_eq!(world.cached("a").await.value, "1");
}
