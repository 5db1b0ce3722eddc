//! Results of single steps of the last parse, each under a digest of what the step depends on.
//!
//! A step is small: one file's macros, one file's properties, what one template asks for. Invariants: a step that failed is not
//! kept, so its findings come again; whatever a parse did not ask for is forgotten with it, so the memo never outgrows the project;
//! results stay encoded until they are asked for.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::Sum;
use super::sealed::{self, Sealed};

/// Names a step and its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Sum);

impl Key {
    pub fn sum(self) -> Sum {
        self.0
    }
}

/// A key in the making.
pub struct KeyBuilder(Sha256);

/// Shared by the threads of one parse.
pub struct Memo {
    is_on: bool,
    earlier: Earlier,
    used: Mutex<BTreeMap<Key, Kept>>,
}

/// What an earlier parse left.
#[derive(Default)]
struct Earlier {
    file: Option<Sealed>,
    /// Where in the file's payload each result stands.
    places: HashMap<Key, Range<usize>>,
}

enum Kept {
    Earlier(Range<usize>),
    New(Vec<u8>),
}

impl Memo {
    /// Keeps nothing.
    pub fn off() -> Self {
        Self { is_on: false, earlier: Earlier::default(), used: Mutex::default() }
    }

    /// What the file at `path` holds; an empty memo where there is no such file.
    pub fn open(path: &Path) -> Self {
        let earlier = sealed::read(path).and_then(Earlier::of).unwrap_or_default();
        Self { is_on: true, earlier, used: Mutex::default() }
    }

    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// The result of a step that depends on nothing but its key; it is run where there is none yet.
    pub fn step<T, E>(&self, key: impl FnOnce() -> Key, run: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
    {
        if !self.is_on {
            return run();
        }
        let key = key();
        if let Some(kept) = self.get(key) {
            return Ok(kept);
        }
        let result = run()?;
        self.put(key, &result);
        Ok(result)
    }

    pub fn get<T: DeserializeOwned>(&self, key: Key) -> Option<T> {
        let place = self.earlier.places.get(&key)?;
        let result = postcard::from_bytes(self.earlier.bytes(place)).ok()?;
        self.used().entry(key).or_insert_with(|| Kept::Earlier(place.clone()));
        Some(result)
    }

    pub fn put<T: Serialize>(&self, key: Key, result: &T) {
        if let Ok(bytes) = postcard::to_stdvec(result) {
            self.used().insert(key, Kept::New(bytes));
        }
    }

    /// How many steps were run, rather than taken from an earlier parse.
    pub fn steps_run(&self) -> usize {
        self.used().values().filter(|kept| matches!(kept, Kept::New(_))).count()
    }

    /// Writes what this parse used. Failing to is no error: the next parse merely does more.
    pub fn write(self, path: &Path) {
        let used = self.used.into_inner().unwrap_or_else(PoisonError::into_inner);
        let is_same =
            used.len() == self.earlier.places.len() && used.values().all(|kept| matches!(kept, Kept::Earlier(_)));
        if !self.is_on || is_same {
            return;
        }
        let mut payload = Vec::new();
        for (key, kept) in used {
            let bytes = match &kept {
                Kept::Earlier(place) => self.earlier.bytes(place),
                Kept::New(bytes) => bytes.as_slice(),
            };
            let Ok(length) = u32::try_from(bytes.len()) else { continue };
            payload.extend_from_slice(&key.0);
            payload.extend_from_slice(&length.to_le_bytes());
            payload.extend_from_slice(bytes);
        }
        sealed::write(path, &payload);
    }

    fn used(&self) -> MutexGuard<'_, BTreeMap<Key, Kept>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Earlier {
    /// Finds the entries: key, length, result.
    fn of(file: Sealed) -> Option<Self> {
        let payload = file.payload();
        let mut places = HashMap::new();
        let mut rest = payload;
        while !rest.is_empty() {
            let (key, behind) = rest.split_first_chunk::<{ size_of::<Sum>() }>()?;
            let (length, behind) = behind.split_first_chunk::<4>()?;
            let (result, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            let start = payload.len() - behind.len() - result.len();
            places.insert(Key(*key), start..start + result.len());
            rest = behind;
        }
        Some(Self { file: Some(file), places })
    }

    fn bytes(&self, place: &Range<usize>) -> &[u8] {
        self.file.as_ref().and_then(|file| file.payload().get(place.clone())).unwrap_or_default()
    }
}

impl KeyBuilder {
    /// `step` is the name of the step; no two steps share one.
    pub fn new(step: &str) -> Self {
        Self(Sha256::new()).with(step)
    }

    /// Adds an argument.
    pub fn with(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    pub fn key(self) -> Key {
        Key(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        KeyBuilder::new("test").with(name).key()
    }

    fn step(memo: &Memo, name: &str, result: Result<u32, ()>) -> Result<u32, ()> {
        memo.step(|| key(name), || result)
    }

    #[test]
    fn a_step_is_run_until_it_succeeds_and_forgotten_when_unused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("memo.bin");
        let memo = Memo::open(&path);
        assert_eq!(step(&memo, "a", Ok(1)), Ok(1));
        assert_eq!(step(&memo, "b", Ok(2)), Ok(2));
        assert_eq!(step(&memo, "c", Err(())), Err(()));
        memo.write(&path);

        let memo = Memo::open(&path);
        assert_eq!(step(&memo, "a", Ok(7)), Ok(1), "kept");
        assert_eq!(step(&memo, "c", Ok(3)), Ok(3), "failed before");
        memo.write(&path);

        let memo = Memo::open(&path);
        assert_eq!(step(&memo, "b", Ok(8)), Ok(8), "the last parse did not ask for it");
        assert_eq!(step(&memo, "c", Ok(9)), Ok(3));
    }

    #[test]
    fn a_damaged_file_is_an_empty_memo() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("memo.bin");
        let memo = Memo::open(&path);
        assert_eq!(step(&memo, "a", Ok(1)), Ok(1));
        memo.write(&path);
        let whole = std::fs::read(&path).expect("it was written");
        for position in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[position] ^= 1;
            std::fs::write(&path, damaged).expect("it is written");
            assert_eq!(step(&Memo::open(&path), "a", Ok(2)), Ok(2), "byte {position}");
            std::fs::write(&path, &whole[..position]).expect("it is written");
            assert_eq!(step(&Memo::open(&path), "a", Ok(2)), Ok(2), "{position} bytes");
        }
    }

    #[test]
    fn arguments_are_told_apart() {
        let split = |left: &str, right: &str| KeyBuilder::new("test").with(left).with(right).key();
        assert_ne!(split("ab", "c"), split("a", "bc"));
        assert_ne!(KeyBuilder::new("a").with("b").key(), KeyBuilder::new("b").with("a").key());
    }
}
