//! Removing what has expired.

use std::time::Duration;

use mainstay_store::Sweeper;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::{Postgresql, error, no_read};
use crate::error::StateError;
use crate::stored::{Swept, tell};

/// Rows that one statement removes at most, which bounds how long it holds their locks.
const ROWS_PER_STATEMENT: i64 = 1_000;

/// Statements of one round at most; the rest waits for the next one.
const STATEMENTS_PER_ROUND: usize = 1_000;

/// Notes that now is a round ($1 names the table), unless there was one less than so many seconds ago ($2).
const CLAIM: &str = "
    INSERT INTO {metadata} AS m (key, value) VALUES ($1, now()::text)
    ON CONFLICT (key) DO UPDATE SET value = now()::text
    WHERE m.value::timestamp with time zone <= now() - $2 * interval '1 second'";

/// Rows that somebody changes right now are left to the next round.
const REMOVE: &str = "
    DELETE FROM {table} WHERE key IN (
        SELECT key FROM {table} WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED)";

impl Postgresql {
    /// Removes what has expired by now, unless this or another process did so less than `interval` ago.
    ///
    /// Cancel safe: what was removed stays removed, the rest is found again.
    pub async fn sweep(&self, interval: Duration) -> Result<Swept, StateError> {
        let lease = self.shared.pool.lease(0).await.map_err(no_read)?;
        let swept = self.sweep_on(&lease, interval).await;
        let values = swept.map_err(|error| error::not_read(error.into()))?;
        lease.give_back();
        Ok(Swept { values, stale: 0 })
    }

    async fn sweep_on(&self, client: &tokio_postgres::Client, interval: Duration) -> Result<usize, Error> {
        let names = &self.shared.names;
        // Dapr's component notes its rounds under this name.
        let table = names.table.to_string();
        let prefix = table.strip_suffix("state").unwrap_or(&table);
        let claim = format!("last-cleanup-state-v2-{prefix}");
        let claimed = client
            .execute_typed(
                &names.expand(CLAIM),
                &[(&claim, Type::TEXT), (&interval.as_secs_f64(), Type::FLOAT8)],
            )
            .await?;
        let mut values = 0;
        if claimed == 0 {
            return Ok(values);
        }
        for _ in 0..STATEMENTS_PER_ROUND {
            let removed = client
                .execute_typed(&names.expand(REMOVE), &[(&ROWS_PER_STATEMENT, Type::INT8)])
                .await?;
            values += usize::try_from(removed).unwrap_or(usize::MAX);
            if removed < ROWS_PER_STATEMENT.unsigned_abs() {
                break;
            }
        }
        Ok(values)
    }

    /// Starts to remove what has expired every `interval`, until the sweeper is stopped or dropped; runs on the present
    /// runtime. Many processes on one table share the work.
    pub fn start_sweeper(&self, interval: Duration) -> Sweeper {
        let state = self.clone();
        Sweeper::start("expired state", interval, move || {
            let state = state.clone();
            // Ticks are not exact; a round must not be left out because it is a little early.
            async move { tell(state.sweep(interval.mul_f64(0.9)).await) }
        })
    }
}
