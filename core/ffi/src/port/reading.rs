//! Payloads that came, byte by byte or as a whole, and items of streams.

use ipfi_proto::{Code, Read};

use super::{Current, Port, count, number};
use crate::status::{IPFI_NO_THING, IPFI_NONE, IPFI_OK, IPFI_OVER};
use crate::things::Thing;

impl Port {
    /// How many bytes of the payload were not taken yet.
    #[must_use]
    pub fn length(&self) -> i32 {
        count(self.payload().len())
    }

    /// What was not taken yet.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.current.payload.get(self.current.at..).unwrap_or_default()
    }

    /// The next byte of the payload, or [`IPFI_NONE`].
    pub fn take(&mut self) -> i32 {
        let byte = self.payload().first().copied();
        self.current.at += usize::from(byte.is_some());
        byte.map_or(IPFI_NONE, i32::from)
    }

    /// Fills a buffer with what comes next of the payload; says how much.
    pub fn take_all(&mut self, buffer: &mut [u8]) -> i32 {
        let n = buffer.len().min(self.payload().len());
        if let (Some(place), Some(bytes)) = (buffer.get_mut(..n), self.payload().get(..n)) {
            place.copy_from_slice(bytes);
        }
        self.current.at += n;
        count(n)
    }

    /// The next stream or callback that came with the payload, or [`IPFI_NONE`]. The order is that of
    /// the places by which the payload names them.
    pub fn take_thing(&mut self) -> i32 {
        self.current.things.pop_front().map_or(IPFI_NONE, number)
    }

    /// Takes the next item of a stream: it becomes the payload, as that of an event would.
    /// [`IPFI_NONE`] if there is none yet, [`IPFI_OVER`] at the end, of which the code is 0 if
    /// everything came.
    pub fn read(&mut self, stream: u32) -> i32 {
        let Some(&Thing::Receiver { id, .. }) = self.things.get(stream) else {
            return IPFI_NO_THING;
        };
        self.forget_current();
        loop {
            if let Some(items) = self.reading.get_mut(&stream) {
                if let Some(item) = items.take() {
                    let things = items.take_handles();
                    self.current = Current {
                        payload: item,
                        subject: stream,
                        things: self.things.receive(things).into(),
                        ..Current::default()
                    };
                    return IPFI_OK;
                }
                let cost = items.cost();
                self.reading.remove(&stream);
                self.engine.consume(id, cost);
            }
            match self.engine.read(id) {
                Read::Items(items) => {
                    self.reading.insert(stream, items);
                }
                Read::End { code, text } => {
                    self.things.remove(stream);
                    self.current.subject = stream;
                    self.current.code = code.0;
                    self.current.payload = text.into_bytes();
                    return IPFI_OVER;
                }
                _ => return IPFI_NONE,
            }
        }
    }

    /// Lets go of items that were read from the engine and not by the application.
    pub(super) fn forget_reading(&mut self, stream: u32, code: Code) {
        if let Some(mut items) = self.reading.remove(&stream) {
            for received in items.take_handles() {
                self.engine.dispose(received, code);
            }
        }
    }
}
