//! A map whose copies share its values until one of them changes.

use std::collections::BTreeMap;
use std::collections::btree_map::{Iter, IterMut, Keys};
use std::fmt;
use std::sync::Arc;

/// An ordered map. To copy it costs the keys only; a value is copied when it is changed while
/// another copy of the map has it.
#[derive(Clone)]
pub(crate) struct SharedMap<K, V>(BTreeMap<K, Arc<V>>);

impl<K: Ord, V: Clone> SharedMap<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key).map(|value| &**value)
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn keys(&self) -> Keys<'_, K, Arc<V>> {
        self.0.keys()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.values().map(|value| &**value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let pairs: Iter<'_, K, Arc<V>> = self.0.iter();
        pairs.map(|(key, value)| (key, &**value))
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key).map(Arc::make_mut)
    }

    #[cfg(test)]
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.select_mut(|_| true)
    }

    /// The values for which `wanted` holds, to be changed.
    pub(super) fn select_mut(
        &mut self,
        wanted: impl Fn(&V) -> bool,
    ) -> impl Iterator<Item = &mut V> {
        let values = self.0.values_mut().filter(move |value| wanted(value));
        values.map(Arc::make_mut)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        let pairs: IterMut<'_, K, Arc<V>> = self.0.iter_mut();
        pairs.map(|(key, value)| (key, Arc::make_mut(value)))
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.0.insert(key, Arc::new(value));
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key).map(Arc::unwrap_or_clone)
    }
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
impl<K: Ord, V> std::ops::Index<&K> for SharedMap<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.0.get(key).expect("a known key")
    }
}

#[cfg(test)]
mod tests {
    use super::SharedMap;

    #[test]
    fn a_copy_keeps_what_changes_in_the_other() {
        let mut map = SharedMap::default();
        map.insert("a", 1);
        map.insert("b", 2);
        let before = map.clone();
        *map.get_mut(&"a").expect("inserted") = 10;
        assert_eq!(map.remove(&"b"), Some(2));
        assert_eq!(before.values().collect::<Vec<_>>(), [&1, &2]);
        assert_eq!(map.values().collect::<Vec<_>>(), [&10]);
    }
}
