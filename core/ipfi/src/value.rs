//! Values that travel.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Serialize};

/// What may be an argument: a value that serde can write, and of which it knows the shape.
///
/// The shape is what the two sides compare before the first call (see [`Shape`](crate::Shape)), and
/// serde tells it through `Deserialize`. `&str` and all owned types that derive both traits are
/// values.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent in a call",
    label = "not a value that travels",
    note = "derive both `serde::Serialize` and `serde::Deserialize` for it, and send owned values or `&str`"
)]
pub trait Value: Serialize + Deserialize<'static> {}

impl<T: Serialize + Deserialize<'static>> Value for T {}

/// Bytes that are copied as a whole. A `Vec<u8>` works as well, but serde takes it byte by byte.
///
/// ```
/// let bytes = ipfi::Bytes::from(vec![1, 2, 3]);
/// assert_eq!(bytes.len(), 3);
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(Vec<u8>);

impl Bytes {
    /// The vector inside.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut items: A,
            ) -> Result<Bytes, A::Error> {
                // Others may write bytes as a list of numbers.
                let mut bytes = Vec::new();
                while let Some(byte) = items.next_element()? {
                    bytes.push(byte);
                }
                Ok(Bytes(bytes))
            }
        }

        // As a slice: what is not there is never allocated.
        deserializer.deserialize_bytes(Visitor)
    }
}
