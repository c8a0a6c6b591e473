//! Starting on the store that a manifest names, or saying why not.

use std::sync::Arc;

use mainstay_base::{Clock, SystemClock};
use mainstay_store::{Role, Switch, SystemWallClock, WallClock};

use crate::board::Board;
use crate::compare::CompareOptions;
use crate::copy::CopyOptions;
use crate::job::Job;
use crate::journal::{Journal, JournalError, Place, Record};
use crate::port::{OpenStore, Stores};
use crate::service::Service;
use crate::stage::{Recovery, Side};
use crate::writer::Writer;

/// How a migration works.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// How it copies.
    pub copy: CopyOptions,
    /// How it compares.
    pub compare: CompareOptions,
}

/// What the service needs.
pub struct Options {
    /// The store that the manifest names.
    pub place: Place,
    /// How it and others are opened.
    pub stores: Arc<dyn Stores>,
    /// What outlives a restart.
    pub journal: Arc<dyn Journal>,
    /// How it works.
    pub settings: Settings,
    /// Measures time.
    pub clock: Arc<dyn Clock>,
    /// Dates records.
    pub wall_clock: Arc<dyn WallClock>,
}

/// Why a system cannot start on the store that its manifest names.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal cannot be used.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// What is stored was moved, and the manifest names where it was.
    #[error("what is stored was moved from {} to {} by `mainstay migrate`", .0.source.location, .0.target.location)]
    Moved(Box<Record>),
    /// The manifest names where it shall be moved to, and it was not moved yet.
    #[error(
        "what is stored is still in {}: it is being moved to {}, but was not cut over yet",
        .0.source.location, .0.target.location
    )]
    NotMoved(Box<Record>),
    /// The manifest names a third store.
    #[error(
        "the migration from {} to {} is under way, and {elsewhere} is neither of them",
        .record.source.location, .record.target.location
    )]
    Elsewhere {
        /// The migration.
        record: Box<Record>,
        /// What the manifest names.
        elsewhere: String,
    },
    /// It was handed over to another store, or is an unfinished copy.
    #[error(
        "{0} takes no commits: it was handed over to another store, or is a copy that was not finished; name the store \
         that is in use"
    )]
    Replica(String),
    /// It cannot be opened or used.
    #[error("{0}")]
    Store(String),
}

/// Opens the store that the manifest names, with what is left of a migration, as a switch for the whole runtime. Whoever may
/// not take commits does not when this returns.
///
/// # Errors
/// When the manifest does not name the store that is in use, or it cannot be used.
pub async fn start(options: Options) -> Result<(Switch, Service), StartError> {
    let record = options.journal.load().await?;
    let serves = decide(record.as_ref(), &options.place)?;
    let opened = options.stores.open(&options.place).await;
    let opened = opened.map_err(|problem| StartError::Store(problem.message))?;
    let board = Arc::new(Board::new(Arc::clone(&options.clock)));
    // Also one that is over: it can be asked about.
    if let Some(record) = &record {
        board.begin_with(record);
    }
    let under_way = record.filter(|record| !record.stage.is_over());
    let resumed = match under_way {
        Some(record) => Some(recover(&options, opened.as_ref(), record, &board).await?),
        None => None,
    };
    let role = opened.store().role().await;
    if role.map_err(|error| StartError::Store(error.to_string()))? == Role::Replica {
        return Err(StartError::Replica(options.place.location));
    }
    let switch = Switch::new(opened.store());
    let under_way = match resumed {
        None => None,
        Some(writer) => {
            let record = writer.record();
            let places = (record.source.clone(), record.target.clone());
            let job = Job::new(
                Arc::clone(&options.stores),
                switch.clone(),
                Arc::clone(&board),
                options.settings,
                places,
            );
            let job = job.map_err(|error| StartError::Store(error.to_string()))?;
            let open = Arc::clone(&opened);
            let job = match serves {
                Side::Source => job.with_source(open),
                Side::Target => job.with_target(open),
            };
            Some((job, writer))
        }
    };
    let service = Service::new(options, switch.clone(), board, opened, under_way);
    Ok((switch, service))
}

/// Which side of the migration the manifest names, where that is the one that takes commits.
fn decide(record: Option<&Record>, place: &Place) -> Result<Side, StartError> {
    let Some(record) = record else {
        return Ok(Side::Source);
    };
    let is = |other: &Place| other.location == place.location;
    match (record.stage.recovery().serves, &record.stage) {
        (Side::Target, _) if is(&record.target) => Ok(Side::Target),
        (Side::Target, _) if is(&record.source) => Err(StartError::Moved(Box::new(record.clone()))),
        (_, stage) if stage.is_over() => Ok(Side::Source),
        (Side::Source, _) if is(&record.source) => Ok(Side::Source),
        (Side::Source, _) if is(&record.target) => Err(StartError::NotMoved(Box::new(record.clone()))),
        _ => Err(StartError::Elsewhere {
            record: Box::new(record.clone()),
            elsewhere: place.location.clone(),
        }),
    }
}

/// Settles who takes commits, before anything else is done.
async fn recover(
    options: &Options,
    serving: &dyn OpenStore,
    record: Record,
    board: &Arc<Board>,
) -> Result<Writer, StartError> {
    let Recovery { promotes_after, .. } = record.stage.recovery();
    let stage = record.stage.clone();
    let (journal, wall_clock) = (Arc::clone(&options.journal), Arc::clone(&options.wall_clock));
    let mut writer = Writer::resume(journal, wall_clock, Arc::clone(board), record);
    if let Some(after) = promotes_after {
        // The record stays until it is done, so that it would be done again.
        let promoted = serving.store().promote(after).await;
        promoted.map_err(|error| StartError::Store(error.to_string()))?;
        let recovered = stage.recovered();
        tracing::info!(stage = ?recovered, "a handover between stores was broken off, and is settled");
        writer.save(&recovered).await?;
    }
    Ok(writer)
}

impl Options {
    /// With the machine's clocks.
    pub fn new(place: Place, stores: Arc<dyn Stores>, journal: Arc<dyn Journal>) -> Self {
        Self {
            place,
            stores,
            journal,
            settings: Settings::default(),
            clock: Arc::new(SystemClock::new()),
            wall_clock: Arc::new(SystemWallClock),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests::record;
    use crate::stage::Stage;

    fn place(reference: &str) -> Place {
        Place {
            reference: reference.to_owned(),
            location: format!("{reference} is here"),
        }
    }

    #[test]
    fn nothing_starts_where_the_data_is_not() {
        let decided = |stage: Stage, reference: &str| decide(Some(&record(stage)), &place(reference));
        let (source, target) = ("embedded", "${DATABASE_URL}");
        for stage in [
            Stage::Preparing,
            Stage::Ready,
            Stage::CuttingOver,
            Stage::Dropping,
        ] {
            assert!(matches!(decided(stage.clone(), source), Ok(Side::Source)));
            assert!(matches!(
                decided(stage.clone(), target),
                Err(StartError::NotMoved(_))
            ));
            assert!(matches!(
                decided(stage, "third"),
                Err(StartError::Elsewhere { .. })
            ));
        }
        for stage in [
            Stage::Promoting { last: 1 },
            Stage::Moved,
            Stage::CuttingBack,
            Stage::Finishing,
        ] {
            assert!(matches!(decided(stage.clone(), target), Ok(Side::Target)));
            assert!(matches!(
                decided(stage.clone(), source),
                Err(StartError::Moved(_))
            ));
            assert!(matches!(
                decided(stage, "third"),
                Err(StartError::Elsewhere { .. })
            ));
        }
        assert!(matches!(
            decided(Stage::Finished, source),
            Err(StartError::Moved(_))
        ));
        assert!(decided(Stage::Finished, target).is_ok());
        assert!(decided(Stage::Finished, "third").is_ok());
        assert!(decided(Stage::BackedOut, source).is_ok());
        assert!(decided(Stage::BackedOut, "third").is_ok());
    }
}
