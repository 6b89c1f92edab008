//! Tables indexed by small numbers that are reused.

use alloc::vec::Vec;

/// A place in a table, and which of its successive tenants is meant. In one word, because keys are handed
/// around everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(u64);

impl Key {
    #[inline]
    pub(crate) const fn new(index: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | index as u64)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    pub(crate) const fn index(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    pub(crate) const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The generation after this one; the two upper bits are kept for a [`Tag`].
    #[inline]
    pub(crate) const fn next_generation(generation: u32) -> u32 {
        (generation + 1) & (u32::MAX >> 2)
    }
}

/// What a key is of, where keys of several kinds wait together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// A call of ours.
    Call,
    /// A call of the peer.
    Incoming,
    /// The arguments of a call of the peer, where the call itself has another meaning.
    Arguments,
    Stream,
}

/// A key, and what it is of, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tagged(u64);

impl Tag {
    #[inline]
    pub(crate) const fn of(self, key: Key) -> Tagged {
        Tagged((self as u64) << 62 | key.0)
    }
}

impl Tagged {
    #[inline]
    pub(crate) const fn tag(self) -> Tag {
        match self.0 >> 62 {
            0 => Tag::Call,
            1 => Tag::Incoming,
            2 => Tag::Arguments,
            _ => Tag::Stream,
        }
    }

    #[inline]
    pub(crate) const fn key(self) -> Key {
        Key(self.0 & (u64::MAX >> 2))
    }
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
            return Key::new(index, place.generation);
        }
        let index = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(Place { generation: 0, value: Some(value) });
        Key::new(index, 0)
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        self.places
            .get(key.index() as usize)
            .filter(|place| place.generation == key.generation())
            .and_then(|place| place.value.as_ref())
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.places
            .get_mut(key.index() as usize)
            .filter(|place| place.generation == key.generation())
            .and_then(|place| place.value.as_mut())
    }

    #[inline]
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self
            .places
            .get_mut(key.index() as usize)
            .filter(|place| place.generation == key.generation())?;
        let value = place.value.take()?;
        place.generation = Key::next_generation(place.generation);
        self.free.push(key.index());
        self.len -= 1;
        Some(value)
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        for (place, index) in self.places.iter().zip(0..) {
            if place.value.is_some() {
                keys.push(Key::new(index, place.generation));
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
    while index >= table.len() {
        table.push(T::default());
    }
    #[expect(clippy::indexing_slicing, reason = "just grown")]
    &mut table[index]
}
