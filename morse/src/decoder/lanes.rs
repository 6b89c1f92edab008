//! Maxima over slices, shaped so that the compiler uses vectors.

const LANES: usize = 8;

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
    let rest = xs.remainder().iter().zip(ys.remainder()).zip(zs.remainder());
    let rest = rest.map(|((x, y), z)| x + y + z);
    best.into_iter().chain(rest).fold(f32::NEG_INFINITY, greater)
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
    let rest = xs.remainder().iter().zip(ys.remainder()).map(|(x, y)| x + y);
    best.into_iter().chain(rest).fold(f32::NEG_INFINITY, greater)
}

/// Raises each of `best` to `from` and `add`, if that is more.
pub(crate) fn raise(best: &mut [f32], from: &[f32], add: f32) {
    for (best, from) in best.chunks_exact_mut(LANES).zip(from.chunks_exact(LANES)) {
        for lane in 0..LANES {
            best[lane] = greater(best[lane], from[lane] + add);
        }
    }
}

/// One instruction, unlike `f32::max`, which minds what is no number.
fn greater(x: f32, y: f32) -> f32 {
    if y > x { y } else { x }
}
