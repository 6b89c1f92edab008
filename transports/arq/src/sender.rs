//! The sending half: the bytes that the other side may lack, and which frame took them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use crate::config::Fec;
use crate::congestion::Congestion;
use crate::fec::Switch;
use crate::loss::LossEstimate;
use crate::ranges::RangeSet;
use crate::time::Instant;

/// A frame that is to be acknowledged.
#[derive(Debug)]
struct Sent {
    /// The offsets that it took, empty if it only asks for an answer.
    range: Range<u64>,
    bytes: usize,
    /// When its last byte is, or was, on the line.
    done: Instant,
    /// Whether the network, and not the program, said when to stop.
    was_full: bool,
    coded: bool,
    settled: bool,
}

/// What an acknowledgement says, in full numbers.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) largest: u64,
    pub(crate) next: u64,
    pub(crate) limit: u64,
    pub(crate) bitmap: &'a [u8],
}

impl Report<'_> {
    /// Whether frame `number` arrived; `None` if the report does not reach back so far.
    fn arrived(&self, number: u64) -> Option<bool> {
        let Some(index) = self.largest.checked_sub(number)?.checked_sub(1) else {
            return Some(true);
        };
        let byte = self.bitmap.get(usize::try_from(index / 8).ok()?)?;
        Some(byte >> (index % 8) & 1 == 1)
    }
}

/// What an acknowledgement taught.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Frames that arrived, and were not known to have.
    pub(crate) arrived: u64,
    /// Frames that must be taken for lost.
    pub(crate) lost: u64,
    pub(crate) rtt: Option<Duration>,
}

/// The stream on its way out.
///
/// The end of the stream takes one offset, so that it is sent, acknowledged and repeated as a byte.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// What lies between `acked` and `written`.
    buffer: VecDeque<u8>,
    capacity: usize,
    /// All before this offset has arrived.
    acked: u64,
    /// The first offset that was never sent.
    fresh: u64,
    /// The first offset that the application has not written.
    written: u64,
    /// The first offset that the other side has no room for.
    limit: u64,
    finished: bool,
    /// To be sent again; arrived out of order.
    lost: RangeSet,
    early: RangeSet,
    sent: VecDeque<Sent>,
    /// The number of `sent[0]`.
    first_number: u64,
    bytes_in_flight: u64,
    largest_arrived: Option<u64>,
    pub(crate) congestion: Option<Congestion>,
    pub(crate) loss: LossEstimate,
    pub(crate) fec: Switch,
}

impl Outgoing {
    pub(crate) fn new(capacity: usize, congestion: Option<Congestion>, fec: Fec) -> Self {
        Self {
            buffer: VecDeque::new(),
            capacity,
            acked: 0,
            fresh: 0,
            written: 0,
            limit: 0,
            finished: false,
            lost: RangeSet::new(),
            early: RangeSet::new(),
            sent: VecDeque::new(),
            first_number: 0,
            bytes_in_flight: 0,
            largest_arrived: None,
            congestion,
            loss: LossEstimate::new(),
            fec: Switch::new(fec),
        }
    }

    pub(crate) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.buffer.len())
    }

    /// Holds so many bytes at most from now on. What is there already stays.
    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
        self.written += bytes.len() as u64;
    }

    pub(crate) fn finish(&mut self) {
        self.finished = true;
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether the other side has all that was written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.acked >= self.written
    }

    /// Whether the other side has all, and knows that it is all.
    pub(crate) fn is_complete(&self) -> bool {
        self.acked > self.written
    }

    /// The other side has all, as it says itself.
    pub(crate) fn complete(&mut self) {
        self.advance(self.fresh);
        self.sent.clear();
        self.bytes_in_flight = 0;
    }

    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = self.limit.max(limit);
    }

    pub(crate) fn acked(&self) -> u64 {
        self.acked
    }

    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.first_number + self.sent.len() as u64
    }

    /// Bytes that were written and have never been sent.
    pub(crate) fn unsent(&self) -> usize {
        usize::try_from(self.written.saturating_sub(self.fresh)).unwrap_or(usize::MAX)
    }

    /// Bytes that are to go out, for the first time or again.
    pub(crate) fn waiting(&self) -> usize {
        let lost: u64 = self.lost.iter().map(|range| range.end - range.start).sum();
        self.unsent().saturating_add(usize::try_from(lost).unwrap_or(usize::MAX))
    }

    /// Frames without a verdict.
    pub(crate) fn in_flight(&self) -> usize {
        self.sent.len()
    }

    /// When the oldest frame without a verdict left.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.sent.front().map(|sent| sent.done)
    }

    /// What never was on the line and may go now.
    fn sendable(&self) -> Range<u64> {
        let room_for_all = self.limit >= self.written;
        self.fresh..if room_for_all { self.written + u64::from(self.finished) } else { self.limit }
    }

    /// Whether the network has room for another frame.
    pub(crate) fn network_has_room(&self) -> bool {
        self.congestion.as_ref().is_none_or(|c| c.has_room(self.bytes_in_flight))
    }

    /// When the oldest frame that later ones have overtaken will count as lost.
    pub(crate) fn overtaken_at(&self, late: Duration) -> Option<Instant> {
        let overtaken = self.largest_arrived? > self.first_number;
        self.sent.front().filter(|sent| overtaken && !sent.settled).map(|sent| sent.done + late)
    }

    /// Takes frames for lost that later ones overtook longer ago than `late`, and says how many.
    pub(crate) fn lose_late(&mut self, now: Instant, late: Duration) -> u64 {
        let mut lost = 0;
        while self.overtaken_at(late).is_some_and(|at| at <= now) {
            let Some(sent) = self.sent.pop_front() else { break };
            self.first_number += 1;
            if !sent.range.is_empty() && sent.range.end <= self.acked {
                self.bytes_in_flight -= sent.bytes as u64;
            } else {
                self.lose(now, &sent);
                lost += 1;
            }
            self.pop_settled();
        }
        lost
    }

    fn pop_settled(&mut self) {
        while self.sent.front().is_some_and(|sent| sent.settled) {
            self.sent.pop_front();
            self.first_number += 1;
        }
    }

    /// Whether [`next_range`](Self::next_range) has something to give.
    pub(crate) fn has_next(&self) -> bool {
        self.lost.len() > 0 || !self.sendable().is_empty()
    }

    /// Whether there is more to send, but no room for it on the other side.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.has_next() && self.fresh < self.written
    }

    /// What to send next, what is lost before what is new. An end of stream comes on top of `max`.
    pub(crate) fn next_range(&self, max: usize) -> Option<Range<u64>> {
        let range = self.lost.first().unwrap_or_else(|| self.sendable());
        self.cut(range, max)
    }

    /// Whether anything is left to send when `range` has gone.
    pub(crate) fn has_next_after(&self, range: &Range<u64>) -> bool {
        let lost_elsewhere =
            self.lost.iter().any(|lost| lost.start < range.start || lost.end > range.end);
        lost_elsewhere || self.sendable().end > range.end.max(self.fresh)
    }

    /// Whether any of `range` has been sent before.
    pub(crate) fn is_repeat(&self, range: &Range<u64>) -> bool {
        range.start < range.end.min(self.fresh)
    }

    /// The first bytes that may be missing over there, to ask with.
    pub(crate) fn probe_range(&self, max: usize) -> Option<Range<u64>> {
        let range = self.early.missing(self.acked..self.fresh).first()?;
        self.cut(range, max)
    }

    fn cut(&self, range: Range<u64>, max: usize) -> Option<Range<u64>> {
        let data = range.end.min(self.written).saturating_sub(range.start);
        let end = if data > max as u64 { range.start + max as u64 } else { range.end };
        (range.start < end).then_some(range.start..end)
    }

    /// Whether `range` has the end of the stream in it.
    pub(crate) fn covers_end(&self, range: &Range<u64>) -> bool {
        range.end > self.written
    }

    /// Copies the bytes of `range` to the end of `out`.
    pub(crate) fn copy(&self, range: &Range<u64>, out: &mut Vec<u8>) {
        let base = self.acked.min(self.written);
        let index = |offset: u64| usize::try_from(offset.max(base).min(self.written) - base);
        let (Ok(start), Ok(end)) = (index(range.start), index(range.end)) else { return };
        let (front, back) = self.buffer.as_slices();
        let split = front.len();
        out.extend_from_slice(front.get(start.min(split)..end.min(split)).unwrap_or_default());
        out.extend_from_slice(
            back.get(start.max(split) - split..end.max(split) - split).unwrap_or_default(),
        );
    }

    /// Notes that frame [`next_number`](Self::next_number) takes `range` away.
    pub(crate) fn on_sent(&mut self, range: Range<u64>, bytes: usize, done: Instant, coded: bool) {
        self.lost.remove(range.clone());
        self.fresh = self.fresh.max(range.end);
        self.bytes_in_flight += bytes as u64;
        let congestion = self.congestion.as_ref();
        let was_full = congestion.is_some_and(|c| self.bytes_in_flight * 2 > c.window());
        self.sent.push_back(Sent { range, bytes, done, was_full, coded, settled: false });
    }

    /// Learns from an acknowledgement. `None`: it speaks of what was never sent.
    pub(crate) fn on_report(&mut self, now: Instant, report: &Report<'_>) -> Option<Verdict> {
        if report.largest >= self.next_number() || report.next > self.fresh {
            return None;
        }
        let mut verdict = Verdict::default();
        self.advance(report.next);
        self.set_limit(report.limit);
        self.note_arrivals(now, report, &mut verdict);
        self.note_losses(now, report, &mut verdict);
        self.pop_settled();
        self.largest_arrived = self.largest_arrived.max(Some(report.largest));
        Some(verdict)
    }

    /// Takes all frames without a verdict for lost, and says how many there were.
    pub(crate) fn lose_all(&mut self, now: Instant) -> u64 {
        let sent = core::mem::take(&mut self.sent);
        self.first_number += sent.len() as u64;
        sent.into_iter().filter(|sent| !sent.settled).map(|sent| self.lose(now, &sent)).count()
            as u64
    }

    fn lose(&mut self, now: Instant, sent: &Sent) {
        self.bytes_in_flight -= sent.bytes as u64;
        if let Some(congestion) = &mut self.congestion {
            congestion.lost(now, sent.done);
        }
        let range = sent.range.start.max(self.acked)..sent.range.end.max(self.acked);
        let missing = self.early.missing(range);
        missing.iter().for_each(|range| self.lost.insert(range));
        if !sent.coded {
            self.loss.record(sent.bytes, true);
        }
        self.fec.record(sent.bytes, sent.coded, true);
    }

    fn advance(&mut self, next: u64) {
        if next > self.acked {
            let gone = next.min(self.written) - self.acked.min(self.written);
            self.buffer.drain(..usize::try_from(gone).unwrap_or(0).min(self.buffer.len()));
            self.acked = next;
            self.lost.remove(0..next);
            self.early.remove(0..next);
        }
    }

    fn note_arrivals(&mut self, now: Instant, report: &Report<'_>, verdict: &mut Verdict) {
        for (number, sent) in (self.first_number..=report.largest).zip(&mut self.sent) {
            if sent.settled || report.arrived(number) != Some(true) {
                continue;
            }
            sent.settled = true;
            self.early.insert(sent.range.start.max(self.acked)..sent.range.end.max(self.acked));
            self.lost.remove(sent.range.clone());
            if !sent.coded {
                self.loss.record(sent.bytes, false);
            }
            self.fec.record(sent.bytes, sent.coded, false);
            self.bytes_in_flight -= sent.bytes as u64;
            if let Some(congestion) = &mut self.congestion {
                congestion.arrived(sent.bytes, sent.done, sent.was_full);
            }
            verdict.arrived += 1;
            if number == report.largest {
                verdict.rtt = Some(now - sent.done);
            }
        }
    }

    fn note_losses(&mut self, now: Instant, report: &Report<'_>, verdict: &mut Verdict) {
        // A line delivers in order: what a later frame has overtaken is lost. A network does not:
        // there it takes time, see `lose_late`.
        let Some(overtaken) = report.largest.checked_sub(1) else { return };
        if self.congestion.is_some() {
            return;
        }
        let settled = usize::try_from((overtaken + 1).saturating_sub(self.first_number));
        let settled = settled.unwrap_or(usize::MAX).min(self.sent.len());
        let numbers = self.first_number..;
        self.first_number += settled as u64;
        let overtaken: Vec<_> = numbers.zip(self.sent.drain(..settled)).collect();
        for (number, sent) in overtaken.iter().filter(|(_, sent)| !sent.settled) {
            // A report that does not reach back so far says nothing of bytes that have arrived.
            if report.arrived(*number).is_some() || sent.range.end > self.acked {
                self.lose(now, sent);
                verdict.lost += 1;
            } else {
                self.bytes_in_flight -= sent.bytes as u64;
            }
        }
    }
}
