//! Records how far a migration is.

use std::sync::Arc;

use mainstay_store::WallClock;

use crate::board::Board;
use crate::journal::{Journal, JournalError, Record};
use crate::stage::Stage;

/// Writes the journal of one migration, and shows what was written.
pub(crate) struct Writer {
    journal: Arc<dyn Journal>,
    wall_clock: Arc<dyn WallClock>,
    board: Arc<Board>,
    record: Record,
}

impl Writer {
    /// Goes on with a record that is in the journal.
    pub(crate) fn resume(
        journal: Arc<dyn Journal>,
        wall_clock: Arc<dyn WallClock>,
        board: Arc<Board>,
        record: Record,
    ) -> Self {
        board.begin_with(&record);
        Self {
            journal,
            wall_clock,
            board,
            record,
        }
    }

    pub(crate) const fn record(&self) -> &Record {
        &self.record
    }

    /// Records a stage. After an error it is open which one is recorded.
    pub(crate) async fn save(&mut self, stage: &Stage) -> Result<(), JournalError> {
        let record = Record {
            stage: stage.clone(),
            recorded_unix_ms: self.wall_clock.unix_ms(),
            ..self.record.clone()
        };
        self.journal.save(&record).await?;
        self.board.at(&record);
        self.record = record;
        Ok(())
    }
}
