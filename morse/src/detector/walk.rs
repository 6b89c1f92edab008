//! Smoothing of a quantity that wanders: level, frequency.

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When, seconds.
    pub at: f64,
    pub value: f64,
    pub variance: f64,
}

/// Smooths measurements of a random walk both ways (Rauch, Tung, Striebel). The walk's rate, in
/// squared units a second, is the one of `rates` under which the measurements are likeliest; any
/// but the first must be `surer` by so much, `ln`.
///
/// Returns the smoothed value at each measurement and the rate.
pub(crate) fn smooth(samples: &[Sample], rates: &[f64], surer: f64) -> (Vec<f64>, f64) {
    let mut best = (f64::NEG_INFINITY, Vec::new(), 0.0);
    for (i, &rate) in rates.iter().enumerate() {
        let (fit, smooth) = pass(samples, rate);
        let fit = if i == 0 { fit + surer } else { fit };
        if fit > best.0 {
            best = (fit, smooth, rate);
        }
    }
    (best.1, best.2)
}

fn pass(samples: &[Sample], rate: f64) -> (f64, Vec<f64>) {
    let Some(first) = samples.first() else { return (0.0, Vec::new()) };
    let (mut mean, mut var) = (first.value, 1e6);
    let mut fit = 0.0;
    let mut filtered = Vec::with_capacity(samples.len());
    let mut predicted = Vec::with_capacity(samples.len());
    let mut before = first.at;
    for (i, s) in samples.iter().enumerate() {
        var += rate * (s.at - before).max(0.0);
        before = s.at;
        predicted.push(var);
        let total = var + s.variance;
        let miss = s.value - mean;
        if i > 0 {
            // A stray measurement counts as three deviations at most.
            fit -= 0.5 * (total.ln() + (miss * miss / total).min(9.0));
        }
        let gain = var / total;
        mean += gain * miss;
        var *= 1.0 - gain;
        filtered.push((mean, var));
    }
    let mut out = vec![mean; samples.len()];
    for i in (0..samples.len() - 1).rev() {
        let (m, v) = filtered[i];
        let gain = v / predicted[i + 1];
        out[i] = m + gain * (out[i + 1] - m);
    }
    (fit, out)
}

/// The smoothed value between measurements, by straight lines; constant outside them.
pub(crate) fn between(samples: &[Sample], smooth: &[f64], now: f64, hint: &mut usize) -> f64 {
    while *hint + 1 < samples.len() && samples[*hint + 1].at <= now {
        *hint += 1;
    }
    let i = *hint;
    let j = (i + 1).min(samples.len() - 1);
    let span = samples[j].at - samples[i].at;
    let f = if span > 0.0 { ((now - samples[i].at) / span).clamp(0.0, 1.0) } else { 0.0 };
    smooth[i] * (1.0 - f) + smooth[j] * f
}
