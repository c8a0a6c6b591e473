//! Committing so that the outcome gets known: a batch whose outcome is not told is committed again with its token.

use std::time::Duration;

use mainstay_store::{Batch, Commit, CommitError, Store, Token};

/// How long to try to learn an outcome: a server that starts again is back by then.
const PATIENCE: Duration = Duration::from_secs(5);

/// The first pause between two tries; it doubles with each.
const MIN_PAUSE: Duration = Duration::from_millis(5);

/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_millis(320);

/// Commits the batch, once. Answers [`CommitError::UnknownOutcome`] only when the outcome does not get known in time.
///
/// Not cancel safe: the batch may be committed or not.
pub(super) async fn commit(store: &dyn Store, mut batch: Batch) -> Result<Commit, CommitError> {
    if !store.resolves_outcomes() {
        return store.commit(batch).await;
    }
    batch.set_token(new_token()?);
    let error = match store.commit(batch.clone()).await {
        Err(error @ CommitError::UnknownOutcome(_)) => error,
        known => return known,
    };
    tokio::time::timeout(PATIENCE, ask_again(store, &batch))
        .await
        .unwrap_or(Err(error))
}

async fn ask_again(store: &dyn Store, batch: &Batch) -> Result<Commit, CommitError> {
    let mut pause = MIN_PAUSE;
    loop {
        match store.commit(batch.clone()).await {
            // These say that this try wrote nothing, and nothing about the one before.
            Err(
                CommitError::UnknownOutcome(_)
                | CommitError::Unavailable(_)
                | CommitError::Overloaded
                | CommitError::Full(_),
            ) => {}
            Err(error @ (CommitError::Closed | CommitError::Damaged(_))) => {
                return Err(CommitError::UnknownOutcome(error.to_string().into()));
            }
            // A store that knows the token answers with the first commit. So a conflict says that there was none.
            known => return known,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

fn new_token() -> Result<Token, CommitError> {
    let mut token = [0; 16];
    getrandom::fill(&mut token)
        .map_err(|error| CommitError::Unavailable(format!("no random numbers: {error}").into()))?;
    Ok(Token::new(token.to_vec())?)
}
