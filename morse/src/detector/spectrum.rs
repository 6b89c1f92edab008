//! Short-time spectra: where in time and frequency the power is.

use realfft::RealFftPlanner;

/// Power over time and frequency, scaled so that white noise of variance `s²` has mean `s²` in
/// every bin, whatever the window.
#[derive(Debug)]
pub(crate) struct Spectrum {
    /// Samples from one frame to the next.
    pub hop: usize,
    /// Samples in a frame.
    pub window: usize,
    /// Width of a bin, Hz.
    pub bin_hz: f64,
    /// Bins in a frame.
    pub bins: usize,
    /// Frame after frame.
    power: Vec<f32>,
}

impl Spectrum {
    /// Transforms every `hop` samples a Hann window of `window` samples; keeps bins to `top_hz`.
    ///
    /// A recording shorter than the window is padded with silence to one frame.
    pub(crate) fn new(
        planner: &mut RealFftPlanner<f32>,
        samples: &[f32],
        rate: f64,
        window: usize,
        hop: usize,
        top_hz: f64,
    ) -> Self {
        let fft = planner.plan_fft_forward(window);
        let bin_hz = rate / window as f64;
        let bins = ((top_hz / bin_hz).ceil() as usize + 1).min(window / 2);
        let taper: Vec<f32> = (0..window)
            .map(|i| {
                let x = (i as f64 + 0.5) / window as f64;
                (std::f64::consts::PI * x).sin().powi(2) as f32
            })
            .collect();
        let scale = 1.0 / taper.iter().map(|w| w * w).sum::<f32>();
        let frames = samples.len().saturating_sub(window) / hop + 1;
        let mut power = Vec::with_capacity(frames * bins);
        let mut input = fft.make_input_vec();
        let mut output = fft.make_output_vec();
        let mut scratch = fft.make_scratch_vec();
        for frame in 0..frames {
            let from = samples.get(frame * hop..).unwrap_or_default();
            for (i, (x, w)) in input.iter_mut().zip(&taper).enumerate() {
                *x = from.get(i).map_or(0.0, |s| s * w);
            }
            let done = fft.process_with_scratch(&mut input, &mut output, &mut scratch);
            debug_assert!(done.is_ok(), "buffers come from the plan itself");
            power.extend(output.iter().take(bins).map(|c| c.norm_sqr() * scale));
        }
        Self { hop, window, bin_hz, bins, power }
    }

    /// How many frames there are; at least one.
    pub(crate) fn frames(&self) -> usize {
        self.power.len() / self.bins
    }

    /// The power of each bin in one frame.
    pub(crate) fn frame(&self, index: usize) -> &[f32] {
        &self.power[index * self.bins..(index + 1) * self.bins]
    }

    /// The power in one bin of one frame.
    pub(crate) fn at(&self, frame: usize, bin: usize) -> f32 {
        self.power[frame * self.bins + bin]
    }

    /// The frame whose middle is nearest to a sample.
    pub(crate) fn frame_at(&self, sample: f64) -> usize {
        let frame = (sample - self.window as f64 / 2.0) / self.hop as f64;
        (frame.round().max(0.0) as usize).min(self.frames() - 1)
    }

    /// A frequency as a bin and a fraction of one.
    pub(crate) fn bin(&self, hz: f64) -> f64 {
        hz / self.bin_hz
    }
}

/// The middle value; reorders the slice. Zero of nothing.
pub(crate) fn median(values: &mut [f32]) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = (values.len() - 1) / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}
