//! What of the tree is only there for readers of the past.
//!
//! The engine remembers a state of itself, its memory and its files, for each flush and each merge, and lets go of those
//! before the oldest reader. One reader that stays would keep all states after its own as well, and all memory that was
//! flushed since. So those in between, which nobody reads, are taken out.

use std::fs;
use std::io;
use std::path::PathBuf;

use lsm_tree::AbstractTree;

use super::{TABLES, Tree, TreeError};

impl Tree {
    /// Lets go of what only readers below `watermark` could need: flushed memory, merged files.
    pub(in crate::embedded) fn forget(&self, watermark: u64) -> Result<(), TreeError> {
        self.engine
            .get_version_history_lock()
            .maintenance(&self.no_lists(), watermark)?;
        Ok(self.remove_old_lists()?)
    }

    /// How many states are remembered.
    pub(in crate::embedded) fn state_count(&self) -> usize {
        self.engine.version_free_list_len() + 1
    }

    /// How much memory of flushed and unflushed commits is remembered, in bytes.
    #[cfg(test)]
    pub(in crate::embedded) fn remembered_bytes(&self) -> u64 {
        self.engine.version_memtable_size_sum()
    }

    /// Lets go of all states but the latest and those that are read. The committer alone may call this, and while nothing
    /// is under way: it makes the number that it is given the present, and says which numbers are read below, in order.
    pub(in crate::embedded) fn thin(&self, publish: impl FnOnce(u64) -> Vec<u64>) -> Result<(), TreeError> {
        let mut history = self.engine.get_version_history_lock();
        // All states so far have a number below this one, so who begins to read from now on sees the latest.
        let present = self.next_number();
        let read = publish(present);
        let states: Vec<_> = read
            .iter()
            .map(|bound| history.get_version_for_snapshot(*bound))
            .collect();
        let latest = history.latest_version();
        for state in states.into_iter().chain([latest]) {
            history.append_version(state);
        }
        // Of what is found twice now, the first goes, and what was in between with it.
        let watermark = read.first().copied().unwrap_or(present);
        Ok(history.maintenance(&self.no_lists(), watermark)?)
    }

    /// A folder without lists of files. The engine removes a state's list from the folder it is told, but the state may be
    /// there twice.
    fn no_lists(&self) -> PathBuf {
        self.path.join(TABLES)
    }

    /// Removes lists of files that are not the current one: only opening the tree reads them.
    fn remove_old_lists(&self) -> io::Result<()> {
        let current = self.engine.current_version().id();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let number: Option<u64> = name.and_then(|name| name.strip_prefix('v')?.parse().ok());
            if number.is_some_and(|number| number < current) {
                match fs::remove_file(&path) {
                    // The engine removes them too.
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}
