//! Tables indexed by small numbers that are reused.

use alloc::vec::Vec;

/// A place in a table, and which of its successive tenants is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

/// Values in places that are reused, last freed first.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    len: usize,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> Key {
        self.len += 1;
        if let Some(index) = self.free.pop()
            && let Some(place) = self.places.get_mut(index as usize)
        {
            place.value = Some(value);
            return Key { index, generation: place.generation };
        }
        let index = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(Place { generation: 0, value: Some(value) });
        Key { index, generation: 0 }
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        self.places
            .get(key.index as usize)
            .filter(|place| place.generation == key.generation)
            .and_then(|place| place.value.as_ref())
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.places
            .get_mut(key.index as usize)
            .filter(|place| place.generation == key.generation)
            .and_then(|place| place.value.as_mut())
    }

    #[inline]
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self
            .places
            .get_mut(key.index as usize)
            .filter(|place| place.generation == key.generation)?;
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.index);
        self.len -= 1;
        Some(value)
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        for (place, index) in self.places.iter().zip(0..) {
            if place.value.is_some() {
                keys.push(Key { index, generation: place.generation });
            }
        }
        keys
    }

    /// Forgets everything and gives the memory back. Keys given out before stay invalid.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}

/// Numbers on the wire that this side hands out: the most recently freed first, so that as few
/// different ones as possible are in use and they stay in one byte.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    next: u32,
    free: Vec<u32>,
}

impl Numbers {
    /// A free number below `limit`.
    #[inline]
    pub(crate) fn take(&mut self, limit: u32) -> Option<u32> {
        if let Some(number) = self.free.pop() {
            return Some(number);
        }
        (self.next < limit).then(|| {
            self.next += 1;
            self.next - 1
        })
    }

    #[inline]
    pub(crate) fn give(&mut self, number: u32) {
        self.free.push(number);
    }

    /// How many are in use.
    pub(crate) fn used(&self) -> u32 {
        self.next - u32::try_from(self.free.len()).unwrap_or(self.next)
    }
}

/// The value at `index`, growing the table with defaults up to it. The caller has checked `index`
/// against a limit.
#[inline]
pub(crate) fn at_mut<T: Default>(table: &mut Vec<T>, index: u32) -> &mut T {
    let index = index as usize;
    if index >= table.len() {
        table.resize_with(index + 1, T::default);
    }
    #[expect(clippy::indexing_slicing, reason = "just grown")]
    &mut table[index]
}
