//! Forgetting what others have changed.

use mainstay_state::{Changed, Heard, StateError};

use super::Kept;
use crate::cache::Cache;
use crate::port::Selection;

/// Makes the cache forget each key that changes, unless what it holds is what the change has left: so a change that came
/// through this cache does not cost it what was loaded since. Ends when the component is closed.
pub(super) async fn follow(mut heard: Heard, values: Cache<Kept, StateError>) {
    while let Some(changed) = heard.next().await {
        let forgotten = match changed {
            Changed::Any => values.invalidate(Selection::All).await,
            Changed::Keys(keys) => {
                let mut outcome = Ok(());
                for changed in keys {
                    let is_current =
                        |kept: &Kept| kept.as_ref().is_some_and(|item| changed.is_shown_by(item));
                    outcome = outcome.and(values.invalidate_unless(&changed.key, is_current).await);
                }
                outcome
            }
        };
        // A store that is gone makes up for it before it is read again.
        if let Err(error) = forgotten {
            tracing::debug!(%error, "the cache forgets later");
        }
    }
}
