//! What is in a frame: the parts that `SPEC.md` names, and their bytes.

use alloc::string::String;
use alloc::vec::Vec;

use crc::{CRC_32_ISCSI, Crc, Digest, Table};

use crate::config::Profile;
use crate::number::{put, take};

/// CRC-32C, as iSCSI has it (RFC 3720, section 12.1).
static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);
const CRC_BYTES: usize = 4;

/// The version of `SPEC.md` that this crate speaks.
pub(crate) const VERSION: u8 = 1;
/// The most bytes of a bitmap, which thereby covers 256 numbers.
pub(crate) const MAX_BITMAP: usize = 32;
/// The longest reason that an abort carries.
pub(crate) const MAX_REASON: usize = 64;

const CLASS: u8 = 0b1100_0000;
const SYN: u8 = 0b0100_0000;
const RESET: u8 = 0b1000_0000;
const DONE: u8 = 0b1100_0000;
const NUMBER: u8 = 1;
const ACK: u8 = 1 << 1;
const DATA: u8 = 1 << 2;
const FIN: u8 = 1 << 3;
const POLL: u8 = 1 << 4;
const MORE: u8 = 1 << 5;

const HAS_FEC: u8 = 1;
const HAS_ESCAPES: u8 = 1 << 1;
const HAS_COOKIE: u8 = 1 << 2;

/// Bytes of a frame that carries data and nothing else, without its payload.
pub(crate) fn data_overhead(profile: Profile) -> usize {
    1 + profile.number_width() + profile.offset_width() + CRC_BYTES
}

/// The check that both ends add to a frame: of whom it is from and whom it is for, then of itself.
///
/// The ids come first, so a frame of another session never passes: if one end has another id, the
/// state of the CRC before the frame differs for certain (four bytes are one burst of 32 bits), and
/// two states that differ stay different.
#[derive(Clone)]
pub(crate) struct Check(Digest<'static, u32, Table<16>>);

impl Check {
    pub(crate) fn session(from: u32, to: u32) -> Self {
        let mut digest = CRC.digest();
        digest.update(&from.to_le_bytes());
        digest.update(&to.to_le_bytes());
        Self(digest)
    }

    /// The check of a SYN, which belongs to no session yet.
    pub(crate) fn greeting() -> Self {
        let mut digest = CRC.digest();
        digest.update(b"ipfi-arq");
        Self(digest)
    }

    /// Appends the check of all that `frame` holds.
    pub(crate) fn seal(&self, frame: &mut Vec<u8>) {
        let sum = self.sum(frame);
        frame.extend_from_slice(&sum.to_le_bytes());
    }

    /// The frame without its check, if the check is right.
    pub(crate) fn open<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        let (body, sum) = frame.split_last_chunk::<CRC_BYTES>()?;
        (self.sum(body) == u32::from_le_bytes(*sum)).then_some(body)
    }

    fn sum(&self, body: &[u8]) -> u32 {
        let mut digest = self.0.clone();
        digest.update(body);
        digest.finalize()
    }
}

/// Whether this, if it is a frame at all, is a SYN: it needs another check.
pub(crate) fn is_syn(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| first & CLASS == SYN)
}

/// How a side introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Syn {
    pub(crate) version: u8,
    pub(crate) profile: u8,
    /// The sender's id, never zero.
    pub(crate) id: u32,
    /// The id of the other side as far as the sender has heard it, or zero.
    pub(crate) heard: u32,
    pub(crate) max_payload: u16,
    pub(crate) credit: u8,
    pub(crate) fec: bool,
    pub(crate) escapes: u32,
    pub(crate) cookie: Option<u64>,
}

impl Syn {
    /// With its check at least `least` bytes long.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, least: usize) {
        out.extend_from_slice(&[SYN, self.version, self.profile]);
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.heard.to_le_bytes());
        out.extend_from_slice(&self.max_payload.to_le_bytes());
        let fec = if self.fec { HAS_FEC } else { 0 };
        let escapes = if self.escapes == 0 { 0 } else { HAS_ESCAPES };
        let cookie = if self.cookie.is_none() { 0 } else { HAS_COOKIE };
        out.extend_from_slice(&[self.credit, fec | escapes | cookie]);
        if self.escapes != 0 {
            out.extend_from_slice(&self.escapes.to_le_bytes());
        }
        if let Some(cookie) = self.cookie {
            out.extend_from_slice(&cookie.to_le_bytes());
        }
        out.resize(out.len().max(least.saturating_sub(CRC_BYTES)), 0);
        Check::greeting().seal(out);
    }

    /// Bytes after the parts known here are left for later versions.
    pub(crate) fn decode(frame: &[u8]) -> Option<Self> {
        let mut body = Check::greeting().open(frame)?.strip_prefix(&[SYN])?;
        let rest = &mut body;
        let mut narrow = |width| take(rest, width);
        let version = u8::try_from(narrow(1)?).ok()?;
        let profile = u8::try_from(narrow(1)?).ok()?;
        let id = u32::try_from(narrow(4)?).ok().filter(|&id| id != 0)?;
        let heard = u32::try_from(narrow(4)?).ok()?;
        let max_payload = u16::try_from(narrow(2)?).ok()?;
        let credit = u8::try_from(narrow(1)?).ok()?;
        let has = u8::try_from(narrow(1)?).ok()?;
        let escapes = if has & HAS_ESCAPES == 0 { 0 } else { u32::try_from(narrow(4)?).ok()? };
        let cookie = if has & HAS_COOKIE == 0 { None } else { Some(narrow(8)?) };
        let fec = has & HAS_FEC != 0;
        Some(Self { version, profile, id, heard, max_payload, credit, fec, escapes, cookie })
    }
}

/// What one side has received, as it travels: numbers cut to the profile's width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    /// The largest frame number received.
    pub(crate) largest: u64,
    /// All of the stream before this offset has arrived.
    pub(crate) next: u64,
    /// How far past `next` the other side may send, in the profile's units.
    pub(crate) credit: u8,
    /// Bit `i` of byte `j` stands for frame `largest - 1 - 8j - i`.
    pub(crate) bitmap: Vec<u8>,
}

impl Ack {
    pub(crate) fn encoded_len(&self, profile: Profile) -> usize {
        profile.number_width() + profile.offset_width() + 2 + self.bitmap.len()
    }
}

/// A frame of a session, except for aborts. `payload` borrows from what was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// Present if the frame is to be acknowledged.
    pub(crate) number: Option<u64>,
    pub(crate) ack: Option<Ack>,
    /// Where the payload belongs in the stream. Present with payload or `fin`.
    pub(crate) offset: Option<u64>,
    pub(crate) payload: &'a [u8],
    /// The stream ends after this payload.
    pub(crate) fin: bool,
    /// Answer at once. On a half-duplex link: it is your turn.
    pub(crate) poll: bool,
    /// Half duplex only: there is more to send when the turn comes back.
    pub(crate) more: bool,
}

impl<'a> Frame<'a> {
    pub(crate) fn encode(&self, profile: Profile, check: &Check, out: &mut Vec<u8>) {
        let flag = |bit, set| if set { bit } else { 0 };
        out.push(
            flag(NUMBER, self.number.is_some())
                | flag(ACK, self.ack.is_some())
                | flag(DATA, self.offset.is_some())
                | flag(FIN, self.fin)
                | flag(POLL, self.poll)
                | flag(MORE, self.more),
        );
        if let Some(number) = self.number {
            put(out, number, profile.number_width());
        }
        if let Some(ack) = &self.ack {
            put(out, ack.largest, profile.number_width());
            put(out, ack.next, profile.offset_width());
            out.push(ack.credit);
            put(out, ack.bitmap.len() as u64, 1);
            out.extend_from_slice(&ack.bitmap);
        }
        if let Some(offset) = self.offset {
            put(out, offset, profile.offset_width());
            out.extend_from_slice(self.payload);
        }
        check.seal(out);
    }

    /// Reads what follows the check: `body` is without it.
    pub(crate) fn decode(profile: Profile, body: &'a [u8]) -> Option<Self> {
        let (&flags, mut rest) = body.split_first()?;
        let has = |bit| flags & bit != 0;
        if flags & CLASS != 0 || (has(FIN) && !has(DATA)) || (has(DATA) && !has(NUMBER)) {
            return None;
        }
        let number =
            if has(NUMBER) { Some(take(&mut rest, profile.number_width())?) } else { None };
        let ack = if has(ACK) { Some(Self::decode_ack(profile, &mut rest)?) } else { None };
        let offset = if has(DATA) { Some(take(&mut rest, profile.offset_width())?) } else { None };
        if offset.is_none() && !rest.is_empty() {
            return None;
        }
        let (fin, poll, more) = (has(FIN), has(POLL), has(MORE));
        Some(Self { number, ack, offset, payload: rest, fin, poll, more })
    }

    fn decode_ack(profile: Profile, rest: &mut &[u8]) -> Option<Ack> {
        let largest = take(rest, profile.number_width())?;
        let next = take(rest, profile.offset_width())?;
        let credit = u8::try_from(take(rest, 1)?).ok()?;
        let length = usize::try_from(take(rest, 1)?).ok().filter(|&n| n <= MAX_BITMAP)?;
        let (bitmap, tail) = rest.split_at_checked(length)?;
        *rest = tail;
        Some(Ack { largest, next, credit, bitmap: bitmap.to_vec() })
    }
}

/// A farewell: this side has the whole stream of the other, and knows that the other has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Done;

impl Done {
    pub(crate) fn encode(check: &Check, out: &mut Vec<u8>) {
        out.push(DONE);
        check.seal(out);
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        (body == [DONE]).then_some(Self)
    }
}

/// An abort: this side has ended the stream, for this reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reset {
    pub(crate) code: u8,
    pub(crate) reason: String,
}

impl Reset {
    pub(crate) fn encode(&self, check: &Check, out: &mut Vec<u8>) {
        out.extend_from_slice(&[RESET, self.code]);
        out.extend_from_slice(self.reason.as_bytes());
        check.seal(out);
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let (&code, reason) = body.strip_prefix(&[RESET])?.split_first()?;
        let reason = reason.get(..MAX_REASON).unwrap_or(reason);
        Some(Self { code, reason: String::from_utf8_lossy(reason).into_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn profiles() -> impl Strategy<Value = Profile> {
        prop_oneof![
            Just(Profile::Serial),
            Just(Profile::HalfDuplex),
            Just(Profile::FullDuplex),
            Just(Profile::Datagram)
        ]
    }

    proptest! {
        #[test]
        fn frames_round_trip(
            profile in profiles(),
            (number, poll, more) in any::<(u8, bool, bool)>(),
            ack in prop::option::of((any::<u8>(), any::<u16>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..=MAX_BITMAP))),
            data in prop::option::of((any::<u16>(), prop::collection::vec(any::<u8>(), 0..300), any::<bool>())),
        ) {
            let payload = data.as_ref().map(|(_, bytes, _)| bytes.clone()).unwrap_or_default();
            let frame = Frame {
                number: Some(number.into()),
                ack: ack.map(|(largest, next, credit, bitmap)| Ack { largest: largest.into(), next: next.into(), credit, bitmap }),
                offset: data.as_ref().map(|(offset, _, _)| (*offset).into()),
                payload: &payload,
                fin: data.as_ref().is_some_and(|(_, _, fin)| *fin),
                poll,
                more,
            };
            let check = Check::session(1, 2);
            let mut wire = Vec::new();
            frame.encode(profile, &check, &mut wire);
            prop_assert_eq!(Frame::decode(profile, check.open(&wire).unwrap()), Some(frame));
            prop_assert_eq!(Check::session(2, 1).open(&wire), None, "an echo must not pass");
            prop_assert_eq!(Check::session(3, 2).open(&wire), None, "another session must not pass");
        }

        #[test]
        fn any_bytes_decode_or_not(profile in profiles(), bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = (Frame::decode(profile, &bytes), Reset::decode(&bytes), Syn::decode(&bytes));
        }
    }

    #[test]
    fn greetings_round_trip_and_grow() {
        let syn = Syn {
            version: 1,
            profile: 0,
            id: 7,
            heard: 9,
            max_payload: 1024,
            credit: 255,
            fec: true,
            escapes: 0x000a_0000,
            cookie: Some(5),
        };
        let mut wire = Vec::new();
        syn.encode(&mut wire, 0);
        assert!(is_syn(&wire));
        assert_eq!(Syn::decode(&wire), Some(syn.clone()));

        let mut longer = wire[..wire.len() - CRC_BYTES].to_vec();
        longer.push(0xff);
        Check::greeting().seal(&mut longer);
        assert_eq!(Syn::decode(&longer), Some(syn), "a later version may append");
    }

    #[test]
    fn aborts_round_trip() {
        let reset = Reset { code: 3, reason: "no more paper".into() };
        let (check, mut wire) = (Check::session(1, 2), Vec::new());
        reset.encode(&check, &mut wire);
        assert_eq!(Reset::decode(check.open(&wire).unwrap()), Some(reset));
    }
}
