//! What an entry carries, and what becomes of proposing it.

use std::fmt;

use bytes::Bytes;
use openraft::raft::responder::Responder;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Types;

/// An encoded entry of the state machine: encoded once by its proposer, and handed on as it is to disk, network and apply.
#[derive(Clone, PartialEq, Eq)]
pub struct Data(pub Bytes);

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Data, E> {
        Ok(Data(Bytes::copy_from_slice(bytes)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Data, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = items.next_element::<u8>()? {
            bytes.push(byte);
        }
        Ok(Data(bytes.into()))
    }
}

/// Told what became of a proposal. Called by openraft's own tasks: it must not wait.
pub struct Outcome<T>(Box<dyn FnOnce(T) + Send>);

impl<T> Outcome<T> {
    pub fn new(tell: impl FnOnce(T) + Send + 'static) -> Self {
        Self(Box::new(tell))
    }
}

impl<T: Send + 'static> Responder<Types, T> for Outcome<T> {
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}
