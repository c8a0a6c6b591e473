//! Plugs migrations into a system: which stores there are, and what a user is told when the manifest names the wrong one.

mod engines;
mod reference;

use std::path::Path;
use std::sync::Arc;

use mainstay_migrate::{Journal as _, JournalFile, OpenStore, Options, Place, Record, Service, StartError};
use mainstay_store::Switch;

use self::engines::Engines;
pub(crate) use self::engines::FOLDER as STORE_FOLDER;
pub(crate) use self::reference::in_manifest;
use crate::components::StorePlan;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::failure::Failure;
use crate::manifest::Manifest;

/// The journal in the data directory.
const JOURNAL: &str = "migration";

/// Opens the store of the manifest, with what is left of a migration.
pub(crate) async fn start(manifest: &Manifest, data_dir: &Path) -> Result<(Switch, Service), Failure> {
    let place = engines::place(&manifest.store_line.reference, &manifest.store);
    let engines = Engines {
        plan: manifest.store.clone(),
        system: manifest.name.clone(),
        data_dir: data_dir.to_owned(),
    };
    let journal = JournalFile::new(data_dir.join(JOURNAL));
    let options = Options::new(place, Arc::new(engines), Arc::new(journal));
    let started = mainstay_migrate::start(options).await;
    started.map_err(|error| explain(error, manifest))
}

/// Opens a store alone, whatever its role; `folder` is that of an embedded one.
pub(crate) async fn open_alone(plan: &StorePlan, folder: &Path) -> Result<Arc<dyn OpenStore>, Failure> {
    let opened = engines::open(plan, folder.to_owned()).await;
    opened.map_err(|problem| Failure::refused(problem.message))
}

/// Refuses a system whose data are being moved.
pub(crate) async fn refuse_under_way(data_dir: &Path) -> Result<(), Failure> {
    let record = JournalFile::new(data_dir.join(JOURNAL)).load().await;
    let record = record.map_err(|error| Failure::refused(error.to_string()))?;
    match record.filter(|record| !record.stage.is_over()) {
        None => Ok(()),
        Some(record) => Err(Failure::refused(format!(
            "what is stored is being moved from {} to {}: end that first, with `mainstay migrate finish` or `mainstay migrate \
             back-out`",
            record.source.location, record.target.location
        ))),
    }
}

/// Says which line to change, where one has to be.
fn explain(error: StartError, manifest: &Manifest) -> Failure {
    let message = error.to_string();
    let help = match &error {
        StartError::Moved(record) => line(&record.target, manifest),
        StartError::NotMoved(record) => format!(
            "{}, until `mainstay migrate cut-over` was done",
            line(&record.source, manifest)
        ),
        StartError::Elsewhere { record, .. } => line(serving(record), manifest),
        StartError::Replica(_) | StartError::Journal(_) | StartError::Store(_) => {
            return Failure::refused(message);
        }
    };
    let place = manifest.store_line.place.clone();
    Diagnostics::from(Diagnostic::error(Code::STORE_MOVED, place, message).help(help)).into()
}

const fn serving(record: &Record) -> &Place {
    match record.stage.recovery().serves {
        mainstay_migrate::Side::Source => &record.source,
        mainstay_migrate::Side::Target => &record.target,
    }
}

/// What the manifest has to say.
fn line(place: &Place, manifest: &Manifest) -> String {
    let verb = if manifest.store_line.place.line == 0 {
        "add the line"
    } else {
        "change this line to"
    };
    format!("{verb} `store: {}`", in_manifest(&place.reference))
}
