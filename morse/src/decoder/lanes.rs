//! Maxima over slices, shaped so that the compiler uses vectors.

use super::trie::LANES;

/// The greatest of `x + y + z`, over two sets of them.
pub(crate) fn best_of_both(
    (x1, y1, z1): (&[f32], &[f32], &[f32]),
    (x2, y2, z2): (&[f32], &[f32], &[f32]),
) -> f32 {
    let mut best = [f32::NEG_INFINITY; LANES];
    raise3(&mut best, x1, y1, z1);
    raise3(&mut best, x2, y2, z2);
    greatest(best)
}

#[inline]
fn raise3(best: &mut [f32; LANES], x: &[f32], y: &[f32], z: &[f32]) {
    let (mut xs, mut ys, mut zs) =
        (x.chunks_exact(LANES), y.chunks_exact(LANES), z.chunks_exact(LANES));
    for ((x, y), z) in xs.by_ref().zip(ys.by_ref()).zip(zs.by_ref()) {
        for lane in 0..LANES {
            best[lane] = greater(best[lane], x[lane] + y[lane] + z[lane]);
        }
    }
    let rest = xs.remainder().iter().zip(ys.remainder()).zip(zs.remainder());
    for (best, ((x, y), z)) in best.iter_mut().zip(rest) {
        *best = greater(*best, x + y + z);
    }
}

/// The greatest of `x + y`.
#[inline]
pub(crate) fn best2(x: &[f32], y: &[f32]) -> f32 {
    let mut best = [f32::NEG_INFINITY; LANES];
    let (mut xs, mut ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    for (x, y) in xs.by_ref().zip(ys.by_ref()) {
        for lane in 0..LANES {
            best[lane] = greater(best[lane], x[lane] + y[lane]);
        }
    }
    for (best, (x, y)) in best.iter_mut().zip(xs.remainder().iter().zip(ys.remainder())) {
        *best = greater(*best, x + y);
    }
    greatest(best)
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
pub(crate) fn raise<const N: usize>(best: &mut [f32; N], from: &[f32], add: f32) {
    for (best, from) in best.iter_mut().zip(from) {
        *best = greater(*best, from + add);
    }
}

/// One instruction, unlike `f32::max`, which minds what is no number.
fn greater(x: f32, y: f32) -> f32 {
    if y > x { y } else { x }
}
