// SPDX-License-Identifier: GPL-2.0-or-later
//! Places for values of one kind, known by numbers.
//!
//! Room is taken from the kernel chunk by chunk as values come, and kept. Looking a value up, and finding a place for one, take the
//! same time however many there are.

/// Where a value may be.
#[derive(Debug)]
pub(crate) enum Place<T> {
    /// None is; 1 + index of the next such place, or 0.
    Free(u32),
    /// One is.
    Taken(T),
}

impl<T> Default for Place<T> {
    fn default() -> Self {
        Self::Free(0)
    }
}

/// Room for `N` values.
pub(crate) type Chunk<T, const N: usize> = [Place<T>; N];

/// All values: at most `CHUNKS` times `N`.
#[derive(Debug)]
pub(crate) struct Slab<T: 'static, const N: usize, const CHUNKS: usize> {
    chunks: heapless::Vec<&'static mut Chunk<T, N>, CHUNKS>,
    /// 1 + index of the first free place, or 0.
    free: u32,
}

impl<T, const N: usize, const CHUNKS: usize> Slab<T, N, CHUNKS> {
    /// Without room.
    pub(crate) const fn new() -> Self {
        Self { chunks: heapless::Vec::new(), free: 0 }
    }

    /// Whether another value needs more room.
    pub(crate) fn is_full(&self) -> bool {
        self.free == 0
    }

    /// Whether there may be more room.
    pub(crate) fn may_grow(&self) -> bool {
        !self.chunks.is_full()
    }

    /// Takes more room. `false` if there are all `CHUNKS`.
    pub(crate) fn grow(&mut self, chunk: &'static mut Chunk<T, N>) -> bool {
        let first = (self.chunks.len() * N) as u32 + 1;
        for (place, next) in chunk.iter_mut().zip(first + 1..) {
            *place = Place::Free(next);
        }
        if let Some(last) = chunk.last_mut() {
            *last = Place::Free(self.free);
        }
        let grown = self.chunks.push(chunk).is_ok();
        if grown {
            self.free = first;
        }
        grown
    }

    /// Puts a value down: 1 + the index of its place.
    ///
    /// # Errors
    /// The value, if there is no place.
    pub(crate) fn add(&mut self, value: T) -> Result<u32, T> {
        let place = self.free;
        let Some(found) = self.at(place) else { return Err(value) };
        let Place::Free(next) = *found else { return Err(value) };
        *found = Place::Taken(value);
        self.free = next;
        Ok(place)
    }

    /// Makes a value's place free and gives it back.
    pub(crate) fn remove(&mut self, place: u32) -> Option<T> {
        let free = self.free;
        let found = self.at(place).filter(|found| matches!(found, Place::Taken(_)))?;
        let Place::Taken(value) = core::mem::replace(found, Place::Free(free)) else { return None };
        self.free = place;
        Some(value)
    }

    /// The value at a place.
    #[inline(always)]
    pub(crate) fn get(&mut self, place: u32) -> Option<&mut T> {
        match self.at(place)? {
            Place::Taken(value) => Some(value),
            Place::Free(_) => None,
        }
    }

    /// The last place that there is, taken or not; 0 without one.
    pub(crate) fn last(&self) -> u32 {
        (self.chunks.len() * N) as u32
    }

    #[inline(always)]
    fn at(&mut self, place: u32) -> Option<&mut Place<T>> {
        let index = place.checked_sub(1)? as usize;
        self.chunks.get_mut(index / N)?.get_mut(index % N)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKS: usize = 4;
    type Numbers = Slab<u32, 64, CHUNKS>;

    fn chunk() -> &'static mut Chunk<u32, 64> {
        std::boxed::Box::leak(std::boxed::Box::new(std::array::from_fn(|_| Place::default())))
    }

    #[test]
    fn values_are_found_by_their_places_which_are_used_again() {
        let mut slab = Numbers::new();
        assert!(slab.is_full() && slab.add(1) == Err(1) && slab.last() == 0);
        assert!(slab.grow(chunk()));
        let places: std::vec::Vec<u32> = (1..=64).map(|value| slab.add(value).unwrap()).collect();
        assert!(slab.is_full() && slab.add(65) == Err(65) && slab.last() == 64);
        assert_eq!(slab.get(places[4]), Some(&mut 5));
        assert!([0, 65, u32::MAX].into_iter().all(|place| slab.get(place).is_none()));
        assert_eq!((slab.remove(places[4]), slab.remove(places[4])), (Some(5), None));
        assert_eq!(slab.get(places[4]), None);
        assert_eq!((slab.is_full(), slab.add(66)), (false, Ok(places[4])));
        assert_eq!(slab.get(places[4]), Some(&mut 66));
    }

    #[test]
    fn it_grows_to_its_capacity() {
        let mut slab = Numbers::new();
        let capacity = (CHUNKS * 64) as u32;
        for value in 1..=capacity {
            assert_eq!(slab.is_full(), (value - 1).is_multiple_of(64));
            assert!(!slab.is_full() || slab.grow(chunk()));
            assert_eq!(slab.add(value), Ok(value));
        }
        assert!(slab.is_full() && !slab.may_grow() && !slab.grow(chunk()), "no more than that");
        assert_eq!(slab.get(capacity), Some(&mut capacity.clone()));
    }
}
