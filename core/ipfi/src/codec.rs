//! How values are written.

#[cfg(any(feature = "bincode", feature = "msgpack"))]
mod guard;

use serde::{Deserialize, Serialize};

/// How values are written on a wire. Both sides must agree: the codec is named in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// bincode 2, standard configuration: small and fast; does not describe itself.
    #[cfg(feature = "bincode")]
    Bincode,
    /// `MessagePack`, structs as maps: understood by other languages and by tools.
    #[cfg(feature = "msgpack")]
    MessagePack,
}

#[cfg(any(feature = "bincode", feature = "msgpack"))]
/// One way to write values. This is all that a codec has to do.
trait Format {
    /// Appends a value.
    fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), String>;
    /// Reads a value at the beginning of `bytes`, and says how many of them it took.
    fn decode_front<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<(T, usize), Stop>;

    /// Reads a value that takes all of `bytes`.
    #[inline]
    fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, String> {
        match Self::decode_front(bytes) {
            Ok((value, used)) if used == bytes.len() => Ok(value),
            Ok((_, used)) => Err(format!("{} bytes too many", bytes.len() - used)),
            Err(Stop { why, .. }) => Err(why),
        }
    }
}

/// Why bytes are no value.
struct Stop {
    /// They end too early.
    cut: bool,
    why: String,
}

macro_rules! dispatch {
    ($codec:expr, $format:ident => $body:expr) => {
        match $codec {
            #[cfg(feature = "bincode")]
            Codec::Bincode => {
                type $format = bincode_format::Bincode;
                $body
            }
            #[cfg(feature = "msgpack")]
            Codec::MessagePack => {
                type $format = msgpack_format::MessagePack;
                $body
            }
        }
    };
}

impl Codec {
    /// The number in the handshake (SPEC.md, section 3.4).
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            #[cfg(feature = "bincode")]
            Self::Bincode => 1,
            #[cfg(feature = "msgpack")]
            Self::MessagePack => 2,
        }
    }

    /// The codec of a number in the handshake.
    #[inline]
    pub(crate) fn of(number: u8) -> Result<Self, String> {
        match number {
            #[cfg(feature = "bincode")]
            1 => Ok(Self::Bincode),
            #[cfg(feature = "msgpack")]
            2 => Ok(Self::MessagePack),
            0 => Err("the peer has not named its codec yet".into()),
            other => Err(format!("codec {other} is not compiled in")),
        }
    }

    /// Appends a value.
    ///
    /// # Errors
    ///
    /// The value refuses, or cannot be written in this codec.
    #[inline]
    pub fn encode<T: Serialize + ?Sized>(self, value: &T, out: &mut Vec<u8>) -> Result<(), String> {
        #[cfg(not(any(feature = "bincode", feature = "msgpack")))]
        let _ = (value, &out);
        dispatch!(self, F => F::encode(value, out))
    }

    /// What stands before arguments of this number that follow one by one.
    pub(crate) fn head_of_tuple(self, len: usize) -> Vec<u8> {
        let _ = len;
        match self {
            #[cfg(feature = "bincode")]
            Self::Bincode => Vec::new(),
            #[cfg(feature = "msgpack")]
            Self::MessagePack if len == 0 => vec![0xc0],
            #[cfg(feature = "msgpack")]
            Self::MessagePack => vec![0x90 | u8::try_from(len.min(15)).unwrap_or(15)],
        }
    }

    /// What stands before this many bytes.
    pub(crate) fn head_of_bytes(self, len: u32) -> Vec<u8> {
        let _ = len;
        match self {
            #[cfg(feature = "bincode")]
            Self::Bincode => {
                let mut head = Vec::new();
                // A length is written like any other number.
                let _ = self.encode(&len, &mut head);
                head
            }
            #[cfg(feature = "msgpack")]
            Self::MessagePack => [&[0xc6], &len.to_be_bytes()[..]].concat(),
        }
    }

    /// How many bytes stand before arguments that are read one by one.
    pub(crate) fn head_of_arguments(self) -> usize {
        match self {
            #[cfg(feature = "bincode")]
            Self::Bincode => 0,
            #[cfg(feature = "msgpack")]
            Self::MessagePack => 1,
        }
    }

    /// Reads what stands before bytes: their number, and how many bytes that took. `None` if it has
    /// not come yet.
    pub(crate) fn read_head_of_bytes(self, bytes: &[u8]) -> Result<Option<(u64, usize)>, String> {
        let _ = bytes;
        match self {
            #[cfg(feature = "bincode")]
            Self::Bincode => self.decode_front(bytes),
            #[cfg(feature = "msgpack")]
            Self::MessagePack => {
                let Some((&marker, rest)) = bytes.split_first() else { return Ok(None) };
                let size = match marker {
                    0xc4 => 1,
                    0xc5 => 2,
                    0xc6 => 4,
                    _ => return Err(format!("not bytes: {marker:#04x}")),
                };
                let len = rest.get(..size).map(|rest| {
                    let len = rest.iter().fold(0, |len, &byte| len << 8 | u64::from(byte));
                    (len, 1 + size)
                });
                Ok(len)
            }
        }
    }

    /// The same arguments, as our codecs read them: whoever writes all arguments as an array writes
    /// none as an empty one.
    #[inline]
    pub(crate) fn arguments(self, bytes: &[u8]) -> &[u8] {
        match self {
            #[cfg(feature = "msgpack")]
            Self::MessagePack if bytes == [0x90] => &[0xc0],
            _ => bytes,
        }
    }

    /// Reads a value that takes all of `bytes`.
    ///
    /// # Errors
    ///
    /// The bytes are not a value of this type, or not only that.
    #[inline]
    pub fn decode<'de, T: Deserialize<'de>>(self, bytes: &'de [u8]) -> Result<T, String> {
        #[cfg(not(any(feature = "bincode", feature = "msgpack")))]
        let _ = bytes;
        dispatch!(self, F => F::decode(bytes))
    }

    /// Reads a value at the beginning of `bytes`, and says how many of them it took; `None` if it may
    /// go on behind them.
    pub(crate) fn decode_front<'de, T: Deserialize<'de>>(
        self,
        bytes: &'de [u8],
    ) -> Result<Option<(T, usize)>, String> {
        #[cfg(not(any(feature = "bincode", feature = "msgpack")))]
        let _ = bytes;
        dispatch!(self, F => match F::decode_front(bytes) {
            Ok(front) => Ok(Some(front)),
            Err(Stop { cut: true, .. }) => Ok(None),
            Err(Stop { why, .. }) => Err(why),
        })
    }
}

#[cfg(feature = "bincode")]
mod bincode_format {
    use super::{Deserialize, Format, Serialize, Stop, guard::Guarded};
    use bincode::config::{Configuration, Limit, LittleEndian, Varint};
    use bincode::error::DecodeError;

    /// What decoding may claim, in bytes: without a limit nine bytes make it allocate 64 TiB.
    const LIMIT: usize = 256 << 20;
    const CONFIG: Configuration<LittleEndian, Varint, Limit<LIMIT>> =
        bincode::config::standard().with_limit::<LIMIT>();

    pub(super) struct Bincode;

    struct Append<'a>(&'a mut Vec<u8>);

    impl bincode::enc::write::Writer for Append<'_> {
        #[inline]
        fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }

    impl Format for Bincode {
        #[inline]
        fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
            bincode::serde::encode_into_writer(value, Append(out), CONFIG)
                .map_err(|error| error.to_string())
        }

        #[inline]
        fn decode_front<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<(T, usize), Stop> {
            match bincode::serde::borrow_decode_from_slice(bytes, CONFIG) {
                Ok((Guarded(value), used)) => Ok((value, used)),
                Err(error) => {
                    let cut = matches!(error, DecodeError::UnexpectedEnd { .. });
                    Err(Stop { cut, why: error.to_string() })
                }
            }
        }
    }
}

#[cfg(feature = "msgpack")]
mod msgpack_format {
    use super::{Deserialize, Format, Serialize, Stop, guard::Guarded};
    use rmp_serde::decode::Error;
    use std::io;

    pub(super) struct MessagePack;

    impl Format for MessagePack {
        fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
            let mut serializer = rmp_serde::Serializer::new(out).with_struct_map();
            value.serialize(&mut serializer).map_err(|error| error.to_string())
        }

        fn decode_front<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<(T, usize), Stop> {
            let mut rest = bytes;
            let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
            match Guarded::<T>::deserialize(&mut deserializer) {
                Ok(Guarded(value)) => Ok((value, bytes.len() - rest.len())),
                Err(error) => {
                    let cut = match &error {
                        Error::InvalidMarkerRead(error) | Error::InvalidDataRead(error) => {
                            error.kind() == io::ErrorKind::UnexpectedEof
                        }
                        _ => false,
                    };
                    Err(Stop { cut, why: error.to_string() })
                }
            }
        }
    }
}
