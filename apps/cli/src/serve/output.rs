//! What a command prints, line by line, as text.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// The longest character of UTF-8, in bytes.
const CHARACTER: usize = 4;

/// Lines of `R`. Those longer than a limit come in pieces, which end between characters; what is not
/// UTF-8 is replaced.
pub(super) struct Lines<R> {
    output: BufReader<R>,
    limit: usize,
    /// A character that did not fit into the piece before.
    begun: Vec<u8>,
    /// What comes next goes on with the line of the piece before.
    goes_on: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// `limit` is in bytes, no less than a character has.
    pub(super) fn new(output: R, limit: usize) -> Self {
        let limit = limit.max(CHARACTER);
        Self { output: BufReader::new(output), limit, begun: Vec::new(), goes_on: false }
    }

    /// The next line or piece of one, without its end; `None` after the last. An error ends it too.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            let mut piece = std::mem::take(&mut self.begun);
            let room = self.limit.saturating_sub(piece.len());
            let mut room = (&mut self.output).take(room as u64);
            let read = room.read_until(b'\n', &mut piece).await;
            if piece.is_empty() {
                return None;
            }
            let ended = read.is_err() || piece.len() < self.limit || piece.last() == Some(&b'\n');
            if !ended {
                let whole = piece.len() - cut(&piece);
                self.begun = piece.split_off(whole);
            }
            let goes_on = std::mem::replace(&mut self.goes_on, !ended);
            if piece.last() == Some(&b'\n') {
                piece.pop();
                if goes_on && piece.is_empty() {
                    continue; // The piece before was the whole line.
                }
            }
            return Some(String::from_utf8_lossy(&piece).into_owned());
        }
    }
}

/// How many bytes at the end of `piece` may be the first ones of a character.
fn cut(piece: &[u8]) -> usize {
    let end = piece.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len());
    if end < CHARACTER { end } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };

    use proptest::prelude::*;
    use tokio::io::ReadBuf;

    use super::*;

    /// Gives its bytes in pieces of these sizes.
    struct Chunks<'a>(&'a [u8], std::iter::Cycle<std::slice::Iter<'a, usize>>);

    impl AsyncRead for Chunks<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let n = self.1.next().copied().unwrap_or(1).min(self.0.len()).min(buf.remaining());
            let (now, later) = self.0.split_at(n);
            buf.put_slice(now);
            self.0 = later;
            Poll::Ready(Ok(()))
        }
    }

    fn pieces(bytes: &[u8], sizes: &[usize], limit: usize) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut lines = Lines::new(Chunks(bytes, sizes.iter().cycle()), limit);
            let mut pieces = Vec::new();
            while let Some(piece) = lines.next().await {
                pieces.push(piece);
            }
            pieces
        })
    }

    #[test]
    fn lines_end_where_they_end() {
        let of = |text: &str| pieces(text.as_bytes(), &[100], 4);
        assert_eq!(of(""), [""; 0]);
        assert_eq!(of("\n\n"), ["", ""]);
        assert_eq!(of("a\nb"), ["a", "b"]);
        // As long as the limit, with and without the end of the line, and an empty line after it.
        assert_eq!(of("abcd"), ["abcd"]);
        assert_eq!(of("abcd\nx"), ["abcd", "x"]);
        assert_eq!(of("abcd\n\nx"), ["abcd", "", "x"]);
        assert_eq!(of("abcde\n"), ["abcd", "e"]);
        // Between characters.
        assert_eq!(of("a\u{df}\u{df}\u{df}"), ["a\u{df}", "\u{df}\u{df}"]);
        assert_eq!(of("abc\u{1f600}\n"), ["abc", "\u{1f600}"]);
        assert_eq!(pieces(b"abc\xf0\x9f", &[1], 4), ["abc", "\u{fffd}"]);
    }

    proptest! {
        /// However it is cut and whatever it is, the pieces of a line are that line.
        #[test]
        fn pieces_make_the_line(
            lines in prop::collection::vec(
                prop_oneof![
                    "[a\u{df}\u{20ac}\u{1f600}]{0,40}".prop_map(String::into_bytes),
                    prop::collection::vec(any::<u8>(), 0..40),
                ],
                0..6,
            ),
            sizes in prop::collection::vec(1..20_usize, 1..8),
            limit in 4..24_usize,
        ) {
            for line in lines {
                let line: Vec<u8> = line.into_iter().filter(|&byte| byte != b'\n').collect();
                let text = String::from_utf8_lossy(&line).into_owned();
                let pieces = pieces(&[&line[..], b"\n"].concat(), &sizes, limit);
                prop_assert_eq!(pieces.concat(), text);
                prop_assert!(pieces.len() <= 1 + line.len() / (limit - 3));
                prop_assert!(pieces.len() == 1 || pieces.iter().all(|piece| !piece.is_empty()));
            }
        }
    }
}
