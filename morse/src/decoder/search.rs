//! The search: the text whose keying explains the sound best.
//!
//! A Viterbi search over the tree of codes in which every mark and gap is a stretch of time with a
//! length of its own (a hidden semi-Markov model). Where a mark begins, how long a dot is and which
//! character it belongs to are decided together, once everything has been heard. Nothing is kept
//! to trace the path back but the scores themselves: the winning length is found again.

use super::durations::{Lengths, Table};
use super::evidence::Evidence;
use super::lanes::{best2, raise};
use super::trie::{LANES, Step, Trie};
use crate::alphabet::Mark;

const BLANK: usize = 512;

/// A stretch in which the key was down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stroke {
    pub mark: Mark,
    /// First frame.
    pub start: usize,
    /// First frame after it.
    pub end: usize,
    /// `ln` likelihood ratio against noise.
    pub evidence: f32,
}

/// A character on the best path.
#[derive(Clone, Debug)]
pub(crate) struct Glyph {
    /// Its node in the tree.
    pub node: u8,
    pub strokes: Vec<Stroke>,
    /// How much better it is than the next character that could end here, `ln`.
    pub margin: f32,
    /// Whether the gap before it is one between words.
    pub word_before: bool,
}

/// The best path.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub score: f32,
    pub glyphs: Vec<Glyph>,
}

impl Path {
    /// The marks: first frame, and first frame after.
    pub(crate) fn marks(&self) -> Vec<(usize, usize)> {
        self.glyphs.iter().flat_map(|g| &g.strokes).map(|s| (s.start, s.end)).collect()
    }
}

/// Searches for the best text; `speed` chooses a table for each frame.
pub(crate) fn search(evidence: &Evidence, tables: &[Table], speed: &[u8]) -> Path {
    Search::new(evidence, tables, speed).run()
}

struct Search<'a> {
    trie: &'static Trie,
    evidence: &'a Evidence,
    tables: &'a [Table],
    speed: &'a [u8],
    /// Row for row of time: score of "the next mark may begin here" at each inner node.
    ready: Vec<f32>,
    /// Score of "a mark ended here" at each inner node.
    marked: Vec<f32>,
    /// Score of "a character ended here" and its node.
    ended: Vec<f32>,
    node: Vec<u8>,
}

impl<'a> Search<'a> {
    fn new(evidence: &'a Evidence, tables: &'a [Table], speed: &'a [u8]) -> Self {
        let trie = Trie::shared();
        let rows = BLANK + evidence.frames + 1;
        Self {
            trie,
            evidence,
            tables,
            speed,
            ready: vec![f32::NEG_INFINITY; rows * trie.inner],
            marked: vec![f32::NEG_INFINITY; rows * trie.inner],
            ended: vec![f32::NEG_INFINITY; rows],
            node: vec![0; rows],
        }
    }

    fn table(&self, t: usize) -> &'a Table {
        &self.tables[usize::from(self.speed[t.saturating_sub(1)])]
    }

    fn run(mut self) -> Path {
        let inner = self.trie.inner;
        let mut paused = f32::NEG_INFINITY;
        let mut pending = 1; // the earliest end of a character not yet counted as a pause
        let mut dots = vec![0.0_f32; inner];
        let mut dashes = vec![0.0_f32; inner];
        let mut best = (0.0_f32, 0_usize);
        self.ready[BLANK * inner] = 0.0;
        for t in 1..=self.evidence.frames {
            let table = self.table(t);
            let row = BLANK + t;
            self.marks(&mut dots, &mut dashes, t);
            let mut end = (f32::NEG_INFINITY, 0_u8);
            let marked = &mut self.marked[row * inner..(row + 1) * inner];
            for step in &self.trie.steps {
                let score = match step.mark {
                    Mark::Dot => dots[usize::from(step.parent)],
                    Mark::Dash => dashes[usize::from(step.parent)],
                };
                let child = usize::from(step.child);
                if child < inner {
                    marked[child] = score;
                }
                let whole = score + self.trie.prior[child];
                if whole > end.0 {
                    end = (whole, step.child);
                }
            }
            self.ended[row] = end.0;
            self.node[row] = end.1;
            if end.0 > best.0 {
                best = (end.0, t);
            }
            let ready = &mut self.ready[row * inner..(row + 1) * inner];
            gather(ready, &self.marked, row, &table.inner, None);
            let outer = &table.outer;
            let gap =
                best2(&self.ended[row - outer.longest..=row - outer.shortest], &outer.reversed);
            while pending + outer.longest < t {
                paused = paused.max(self.ended[BLANK + pending] + table.pause);
                pending += 1;
            }
            // Nothing before: the sound may begin with silence of any length.
            ready[0] = gap.max(paused).max(0.0);
        }
        let glyphs = self.trace(best.1);
        Path { score: best.0, glyphs }
    }

    /// Follows the best path back from the end of its last character.
    fn trace(&self, end: usize) -> Vec<Glyph> {
        let mut glyphs = Vec::new();
        let mut t = end;
        while t > 0 {
            let node = self.node[BLANK + t];
            let margin = self.margin(t);
            let mut strokes = Vec::new();
            let mut at = node;
            let begin = loop {
                let Some(step) = self.trie.steps.iter().find(|s| s.child == at) else { break 0 };
                let stroke = self.stroke(t, *step);
                strokes.push(stroke);
                t = stroke.start;
                at = step.parent;
                if at == 0 {
                    break t;
                }
                t = self.inner_gap(t, at);
            };
            strokes.reverse();
            let previous = self.outer_gap(begin);
            let word_before = previous.is_some_and(|p| begin - p >= self.table(begin).word_from);
            glyphs.push(Glyph { node, strokes, margin, word_before });
            t = previous.unwrap_or(0);
        }
        glyphs.reverse();
        glyphs
    }

    /// Scores of marks that end at `t`, after each inner node.
    fn marks(&self, dots: &mut [f32], dashes: &mut [f32], t: usize) {
        let (dot, dash) = (&self.table(t).dot, &self.table(t).dash);
        let evidence = self.evidence.dots(t, dot.shortest, dot.longest);
        gather(dots, &self.ready, BLANK + t, dot, Some(evidence));
        let evidence = self.evidence.dashes(t, dash.shortest, dash.longest);
        gather(dashes, &self.ready, BLANK + t, dash, Some(evidence));
    }

    /// How much better the character that ends at `t` is than any other that could.
    fn margin(&self, t: usize) -> f32 {
        let inner = self.trie.inner;
        let mut dots = vec![0.0; inner];
        let mut dashes = vec![0.0; inner];
        self.marks(&mut dots, &mut dashes, t);
        let mut best = [f32::NEG_INFINITY; 2];
        for step in &self.trie.steps {
            let score = match step.mark {
                Mark::Dot => dots[usize::from(step.parent)],
                Mark::Dash => dashes[usize::from(step.parent)],
            } + self.trie.prior[usize::from(step.child)];
            if score > best[0] {
                best = [score, best[0]];
            } else if score > best[1] {
                best[1] = score;
            }
        }
        best[0] - best[1]
    }

    fn stroke(&self, t: usize, step: Step) -> Stroke {
        let table = self.table(t);
        let (lengths, row) = match step.mark {
            Mark::Dot => (&table.dot, self.evidence.dots(t, table.dot.shortest, table.dot.longest)),
            Mark::Dash => {
                (&table.dash, self.evidence.dashes(t, table.dash.shortest, table.dash.longest))
            }
        };
        let parent = usize::from(step.parent);
        let mut best = (f32::NEG_INFINITY, 1, 0.0);
        for (i, (lp, e)) in lengths.reversed.iter().zip(row).enumerate() {
            let d = lengths.longest - i;
            let v = self.ready[(BLANK + t - d) * self.trie.inner + parent] + (lp + e);
            if v > best.0 {
                best = (v, d, *e);
            }
        }
        Stroke { mark: step.mark, start: t.saturating_sub(best.1), end: t, evidence: best.2 }
    }

    /// Where the mark before the gap inside a character that ends at `t` ended.
    fn inner_gap(&self, t: usize, node: u8) -> usize {
        let lengths = &self.table(t).inner;
        let mut best = (f32::NEG_INFINITY, 1);
        for (i, lp) in lengths.reversed.iter().enumerate() {
            let d = lengths.longest - i;
            let v = self.marked[(BLANK + t - d) * self.trie.inner + usize::from(node)] + lp;
            if v > best.0 {
                best = (v, d);
            }
        }
        t.saturating_sub(best.1)
    }

    /// Where the character before the gap that ends at `t` ended; `None` if there is none.
    fn outer_gap(&self, t: usize) -> Option<usize> {
        let value = self.ready[(BLANK + t) * self.trie.inner];
        if value <= 0.0 || t == 0 {
            return None;
        }
        let table = self.table(t);
        let mut best = (f32::NEG_INFINITY, 0);
        for (i, lp) in table.outer.reversed.iter().enumerate() {
            let d = table.outer.longest - i;
            let v = self.ended[BLANK + t - d] + lp;
            if v > best.0 {
                best = (v, d);
            }
        }
        if best.0 + 1e-3 < value {
            // A pause: the best end of a character before all gaps of known length.
            for p in 1..t.saturating_sub(table.outer.longest) {
                let v = self.ended[BLANK + p] + table.pause;
                if v > best.0 {
                    best = (v, t - p);
                }
            }
        }
        (best.1 > 0 && best.1 < t).then(|| t - best.1)
    }
}

/// `out[n]` is the greatest over lengths `d` of `from[row - d][n] + lengths[d] + evidence[d]`.
fn gather(out: &mut [f32], from: &[f32], row: usize, lengths: &Lengths, evidence: Option<&[f32]>) {
    let inner = out.len();
    let rows = &from[(row - lengths.longest) * inner..(row - lengths.shortest + 1) * inner];
    let mut wide = out.chunks_exact_mut(WIDE);
    for (column, out) in wide.by_ref().enumerate() {
        gather_columns::<WIDE>(out, &rows[column * WIDE..], inner, &lengths.reversed, evidence);
    }
    let done = inner - inner % WIDE;
    for (column, out) in wide.into_remainder().chunks_exact_mut(LANES).enumerate() {
        let rows = &rows[done + column * LANES..];
        gather_columns::<LANES>(out, rows, inner, &lengths.reversed, evidence);
    }
}

/// So many nodes at once as registers hold.
const WIDE: usize = 3 * LANES;

#[inline]
fn gather_columns<const N: usize>(
    out: &mut [f32],
    rows: &[f32],
    inner: usize,
    lengths: &[f32],
    evidence: Option<&[f32]>,
) {
    let mut best = [f32::NEG_INFINITY; N];
    let sources = rows.chunks(inner).zip(lengths);
    if let Some(evidence) = evidence {
        for ((source, length), evidence) in sources.zip(evidence) {
            raise(&mut best, &source[..N], length + evidence);
        }
    } else {
        for (source, length) in sources {
            raise(&mut best, &source[..N], *length);
        }
    }
    out.copy_from_slice(&best);
}
