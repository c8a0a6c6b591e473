//! Which keys there are. Redis keeps no order of them, so every page looks at all of them, and keeps the smallest ones.

use std::collections::BTreeMap;

use mainstay_redis::redis::{Cmd, cmd};
use mainstay_redis::{RedisError, pattern};

use super::script::{self, Strange};
use super::{Redis, read_error};
use crate::error::StateError;
use crate::limits::MAX_LISTED;
use crate::listing::{ListPage, ListedKey, Listing};

/// How many keys the server looks at for one step of a scan; others wait meanwhile.
const KEYS_OF_STEP: usize = 1_000;

/// How many keys it tells of at once.
const KEYS_OF_LOOK: usize = 200;

/// The keys of a page as far as they are known: the smallest ones, and one more, which says that there is another page.
#[derive(Debug)]
struct Smallest<'a> {
    listing: &'a Listing,
    limit: usize,
    keys: BTreeMap<String, ListedKey>,
}

impl Redis {
    /// Its time grows with the number of all keys of the server; its room does not.
    pub(super) async fn list_page(&self, listing: &Listing) -> Result<ListPage, StateError> {
        let mut page = Smallest::new(listing);
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(pattern(&listing.prefix));
            scan.arg("COUNT").arg(KEYS_OF_STEP).arg("TYPE").arg("hash");
            let step = self.shared.server.read(&scan).await;
            let (next, keys): (u64, Vec<Vec<u8>>) = step.map_err(|error| read_error(&error))?;
            let keys = keys.into_iter().filter_map(|key| String::from_utf8(key).ok());
            let keys: Vec<String> = keys.filter(|key| page.needs(key)).collect();
            for keys in keys.chunks(KEYS_OF_LOOK) {
                for listed in self.look(keys).await? {
                    page.take(listed);
                }
            }
            if next == 0 {
                return Ok(page.finish());
            }
            cursor = next;
        }
    }

    /// Those of the keys that hold values.
    async fn look(&self, keys: &[String]) -> Result<Vec<ListedKey>, StateError> {
        let add = |command: &mut Cmd| script::add_keys(keys, command);
        let (server, list) = (&self.shared.server, &self.shared.list);
        let answer = match server.read(&list.command(true, add)).await {
            Err(RedisError::UnknownScript) => server.read(&list.command(false, add)).await,
            answer => answer,
        };
        let answer = answer.map_err(|error| read_error(&error))?;
        script::listed(answer, keys).map_err(Strange::of_read)
    }
}

impl<'a> Smallest<'a> {
    fn new(listing: &'a Listing) -> Self {
        Self {
            listing,
            limit: listing.limit.clamp(1, MAX_LISTED),
            keys: BTreeMap::new(),
        }
    }

    /// Whether a key would be on the page, as far as is known.
    fn needs(&self, key: &str) -> bool {
        let Listing { prefix, after, .. } = self.listing;
        let is_past = after.as_ref().is_none_or(|after| key > after.as_str());
        let has_room = self.keys.len() <= self.limit;
        let is_smaller = || {
            self.keys
                .last_key_value()
                .is_some_and(|(last, _)| key < last.as_str())
        };
        key.starts_with(prefix) && is_past && (has_room || is_smaller())
    }

    fn take(&mut self, listed: ListedKey) {
        self.keys.insert(listed.key.clone(), listed);
        if self.keys.len() > self.limit + 1 {
            self.keys.pop_last();
        }
    }

    fn finish(mut self) -> ListPage {
        let more = self.keys.len() > self.limit;
        if more {
            self.keys.pop_last();
        }
        ListPage {
            keys: self.keys.into_values().collect(),
            more,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::port::Etag;

    fn listed(key: &str) -> ListedKey {
        ListedKey {
            key: key.to_owned(),
            etag: Etag::numbered(1),
            value_bytes: 0,
            content_type: None,
            expires_at_ms: None,
        }
    }

    proptest! {
        /// In whatever order keys are met, and however often.
        #[test]
        fn the_smallest_are_kept(
            met in proptest::collection::vec("[ab]{1,3}", 0..30),
            after in proptest::option::of("[ab]{0,2}"),
            prefix in "[ab]{0,1}",
            limit in 1_usize..6,
        ) {
            let listing = Listing { prefix: prefix.clone(), after: after.clone(), limit };
            let mut page = Smallest::new(&listing);
            for key in &met {
                if page.needs(key) {
                    page.take(listed(key));
                }
            }
            let page = page.finish();
            let mut all: Vec<String> = met;
            all.retain(|key| key.starts_with(&prefix) && after.as_ref().is_none_or(|after| key > after));
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(page.more, all.len() > limit);
            all.truncate(limit);
            let keys: Vec<String> = page.keys.into_iter().map(|listed| listed.key).collect();
            prop_assert_eq!(keys, all);
        }
    }
}
