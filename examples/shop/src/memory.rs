//! What a service remembers.

use std::collections::{HashMap, VecDeque};

/// A map that forgets its oldest entry when it is full, so that a service that runs for months does not grow.
#[derive(Debug)]
pub struct Memory<V> {
    capacity: usize,
    values: HashMap<String, V>,
    oldest_first: VecDeque<String>,
}

impl<V> Memory<V> {
    /// Holds at most `capacity` entries.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            values: HashMap::new(),
            oldest_first: VecDeque::new(),
        }
    }

    /// What is remembered under `key`.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.values.get(key)
    }

    /// Remembers `value` under `key`; a newer value takes the place of an older one.
    pub fn put(&mut self, key: &str, value: V) {
        if self.values.insert(key.to_owned(), value).is_some() {
            return;
        }
        self.oldest_first.push_back(key.to_owned());
        if self.oldest_first.len() > self.capacity
            && let Some(forgotten) = self.oldest_first.pop_front()
        {
            self.values.remove(&forgotten);
        }
    }

    /// Everything that is remembered, the oldest first.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.oldest_first.iter().filter_map(|key| self.values.get(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut memory = Memory::new(2);
        memory.put("a", 1);
        memory.put("b", 2);
        memory.put("a", 3);
        assert_eq!(memory.values().copied().collect::<Vec<_>>(), [3, 2]);

        memory.put("c", 4);
        assert_eq!(memory.get("a"), None, "`a` came first, so it goes first");
        assert_eq!(memory.values().copied().collect::<Vec<_>>(), [2, 4]);
    }
}
