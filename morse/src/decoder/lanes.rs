//! Maxima over slices, shaped so that the compiler uses vectors.

use super::trie::LANES;

/// The greatest of `x + y + z`.
pub(crate) fn best3(x: &[f32], y: &[f32], z: &[f32]) -> f32 {
    let mut best = [f32::NEG_INFINITY; LANES];
    let (mut xs, mut ys, mut zs) =
        (x.chunks_exact(LANES), y.chunks_exact(LANES), z.chunks_exact(LANES));
    for ((x, y), z) in xs.by_ref().zip(ys.by_ref()).zip(zs.by_ref()) {
        for lane in 0..LANES {
            best[lane] = greater(best[lane], x[lane] + y[lane] + z[lane]);
        }
    }
    let mut rest = greatest(best);
    for ((x, y), z) in xs.remainder().iter().zip(ys.remainder()).zip(zs.remainder()) {
        rest = greater(rest, x + y + z);
    }
    rest
}

/// The greatest of `x + y`.
pub(crate) fn best2(x: &[f32], y: &[f32]) -> f32 {
    let mut best = [f32::NEG_INFINITY; LANES];
    let (mut xs, mut ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    for (x, y) in xs.by_ref().zip(ys.by_ref()) {
        for lane in 0..LANES {
            best[lane] = greater(best[lane], x[lane] + y[lane]);
        }
    }
    let mut rest = greatest(best);
    for (x, y) in xs.remainder().iter().zip(ys.remainder()) {
        rest = greater(rest, x + y);
    }
    rest
}

fn greatest(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = greater(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// Raises each of `best` to `from` and `add`, if that is more.
pub(crate) fn raise(best: &mut [f32; LANES], from: &[f32], add: f32) {
    for (best, from) in best.iter_mut().zip(from) {
        *best = greater(*best, from + add);
    }
}

/// One instruction, unlike `f32::max`, which minds what is no number.
fn greater(x: f32, y: f32) -> f32 {
    if y > x { y } else { x }
}
