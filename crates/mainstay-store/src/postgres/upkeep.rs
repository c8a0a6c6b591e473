//! Forgets old tokens, and changes that nobody needs. How old tokens are is measured by this process's monotonic clock: it remembers when it saw which
//! version, and forgets what is not newer than the one it saw long enough ago. No wall clock that jumps can make it
//! forget too early.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::feed;
use super::pool::Pool;
use crate::error::ReadError;
use crate::port::TOKEN_LIFETIME;
use crate::version::Version;

const INTERVAL: Duration = Duration::from_secs(60);

/// Forgets for ever.
pub(super) async fn run(pool: Arc<Pool>) {
    let mut seen = VecDeque::new();
    loop {
        if let Err(error) = forget_once(&pool, &mut seen).await {
            tracing::debug!(%error, "old tokens in the store's database stay for now");
        }
        if let Err(error) = trim_all(&pool).await {
            tracing::debug!(%error, "changes that nobody needs stay in the store's database for now");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn trim_all(pool: &Pool) -> Result<(), ReadError> {
    while feed::trim(pool).await? {}
    Ok(())
}

async fn forget_once(
    pool: &Pool,
    seen: &mut VecDeque<(tokio::time::Instant, Version)>,
) -> Result<(), ReadError> {
    let read = pool.read(&[]).await?;
    let now = tokio::time::Instant::now();
    seen.push_back((now, read.at));
    let mut until = None;
    while let Some((at, version)) = seen.front()
        && now.duration_since(*at) >= TOKEN_LIFETIME
    {
        until = Some(*version);
        seen.pop_front();
    }
    if let Some(until) = until {
        while pool.forget(until).await? {}
    }
    Ok(())
}
