//! How bad the line is, and how long frames should be on it.

/// Verdicts remembered: half of the weight lies on the last 44 frames.
const MEMORY: u64 = 64;
/// The same where patience pays.
const LONG_MEMORY: u64 = 512;
/// Fractions of a frame are counted in this unit.
const UNIT: u64 = 1 << 16;
/// Before the first loss, half a loss is taken to be about to come.
const PRIOR: u64 = UNIT / 2;
/// Bytes taken to have come through before the first frame.
const FIRST_EXPOSURE: u64 = 1024;
/// The same in packets of a modem.
const FIRST_PACKETS: u64 = 16;

/// The shortest payload worth a frame.
pub(crate) const MIN_PAYLOAD: usize = 32;

/// An estimate of the rate of byte errors, from frames that arrived and frames that did not.
///
/// Sums of losses and of bytes exposed fade by 1/64 with each verdict. A lost frame counts with
/// half of its bytes, since its first error lies in the middle of it on average.
#[derive(Debug)]
pub(crate) struct LossEstimate {
    memory: u64,
    losses: u64,
    exposure: u64,
}

impl LossEstimate {
    pub(crate) const fn new() -> Self {
        Self { memory: MEMORY, losses: 0, exposure: FIRST_EXPOSURE * UNIT }
    }

    /// Packets of a modem, which corrects what it can: they come through until they do not.
    pub(crate) const fn packets(payload: usize) -> Self {
        let exposure = FIRST_PACKETS * payload as u64 * UNIT;
        Self { memory: MEMORY, losses: 0, exposure }
    }

    pub(crate) const fn slow() -> Self {
        Self { memory: LONG_MEMORY, losses: 0, exposure: FIRST_EXPOSURE * UNIT }
    }

    /// A frame of `bytes` on the wire has arrived, or not.
    pub(crate) fn record(&mut self, bytes: usize, lost: bool) {
        let bytes = bytes as u64;
        self.losses -= self.losses / self.memory;
        self.exposure -= self.exposure / self.memory;
        if lost {
            self.losses += UNIT;
            self.exposure += bytes * UNIT / 2;
        } else {
            self.exposure += bytes * UNIT;
        }
    }

    /// Bytes between two errors, on average.
    pub(crate) fn bytes_per_error(&self) -> u64 {
        self.exposure / (self.losses + PRIOR)
    }

    /// The share of a line, in thousandths, that frames of the best size make of it.
    pub(crate) fn best_goodput(&self) -> u64 {
        let overhead = 13;
        let payload = self.best_payload(overhead, MIN_PAYLOAD, 1024) as u64;
        let bytes = payload + overhead as u64;
        // The first terms of e^-x, in thousandths.
        let x = (bytes * 1000 / self.bytes_per_error().max(1)).min(1000);
        payload * (1000 - x + x * x / 2000) / bytes
    }

    /// The payload with the best goodput when each frame costs `overhead` bytes besides.
    ///
    /// With q = 1/`bytes_per_error`, L / (L + h) * (1 - q)^(L + h) is largest where
    /// q * L * (L + h) = h.
    pub(crate) fn best_payload(&self, overhead: usize, min: usize, max: usize) -> usize {
        let h = overhead as u64;
        let root = (h * h + 4 * h * self.bytes_per_error()).isqrt();
        let best = usize::try_from((root - h) / 2).unwrap_or(max);
        best.clamp(min.min(max), max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The estimate settles where it should, with frames of the size that it asks for.
    #[test]
    fn finds_the_best_size() {
        let mut state = 1u64;
        let mut random = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(state >> 33).unwrap()) / f64::from(1u32 << 31)
        };
        for (error_rate, low, high) in [(0.0, 1000, 1024), (8e-4, 85, 150), (8e-3, 32, 40)] {
            let mut estimate = LossEstimate::new();
            let mut sum = 0;
            for round in 0..2000 {
                let payload = estimate.best_payload(11, MIN_PAYLOAD, 1024);
                let bytes = payload + 11;
                let lost = random() > f64::powi(1.0 - error_rate, bytes.try_into().unwrap());
                estimate.record(bytes, lost);
                sum += if round < 1000 { 0 } else { payload };
            }
            let mean = sum / 1000;
            assert!((low..=high).contains(&mean), "{error_rate}: {mean}");
        }
    }
}
