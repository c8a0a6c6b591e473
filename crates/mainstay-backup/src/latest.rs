//! Backups that stand side by side: their names, and the latest of them.

use std::sync::Arc;

use mainstay_base::rfc3339;
use mainstay_store::Version;

use crate::container::describe;
use crate::error::BackupError;
use crate::repository::{Place, Repository};

/// The end of the name of a backup that was not named otherwise.
pub const BACKUP_SUFFIX: &str = ".backup";

/// The name of a backup of `system` that is made now: `shop-20261120T131408Z.backup`. Names sort by time.
pub fn backup_name(system: &str, now_unix_ms: u64) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() || letter == '_' {
            letter
        } else {
            '-'
        }
    };
    let system: String = system.chars().map(plain).take(100).collect();
    let time = rfc3339(now_unix_ms).replace(['-', ':'], "");
    format!("{system}-{time}{BACKUP_SUFFIX}")
}

/// The latest backup of a repository that shows no later moment than `until`, as it says of itself.
pub async fn latest(repository: &Arc<dyn Repository>, until: Option<Version>) -> Result<Place, BackupError> {
    let mut found: Option<(Version, Place)> = None;
    for object in repository.list().await? {
        if !object.name.ends_with(BACKUP_SUFFIX) {
            continue;
        }
        let place = Place {
            repository: repository.clone(),
            name: object.name,
        };
        let at = describe(&place).await?.at;
        let is_later = found.as_ref().is_none_or(|(known, _)| at > *known);
        if is_later && until.is_none_or(|until| at <= until) {
            found = Some((at, place));
        }
    }
    let found = found.map(|(_, place)| place);
    found.ok_or_else(|| {
        let place = repository.show("");
        BackupError::NoBackup { place, until }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_are_plain() {
        let name = backup_name("Web shop/1", 1_795_180_448_250);
        assert_eq!(name, "Web-shop-1-20261120T131408Z.backup");
        assert!(name < backup_name("Web shop/1", 1_795_180_449_250));
    }
}
