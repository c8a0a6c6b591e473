//! Bytes to lines, in bounded memory.

use super::MAX_LINE_BYTES;

/// Room for the remark that a line was cut.
const REMARK_BYTES: usize = 64;

/// Cuts a stream of bytes into lines. Holds at most one line of 64 KiB.
#[derive(Debug, Default)]
pub(crate) struct LineSplitter {
    partial: Vec<u8>,
    /// Bytes of the present line that did not fit.
    left_out: usize,
}

impl LineSplitter {
    /// Takes the next bytes and gives each line that is complete now to `emit`.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], emit: &mut impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.keep(line);
            self.end_line(emit);
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.keep(bytes);
    }

    /// The stream has ended: a last line without a line break counts too.
    pub(crate) fn finish(&mut self, emit: &mut impl FnMut(&str)) {
        if !self.partial.is_empty() {
            self.end_line(emit);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = (MAX_LINE_BYTES - REMARK_BYTES).saturating_sub(self.partial.len());
        let (kept, left_out) = bytes.split_at(room.min(bytes.len()));
        self.partial.extend_from_slice(kept);
        self.left_out += left_out.len();
    }

    fn end_line(&mut self, emit: &mut impl FnMut(&str)) {
        if self.left_out == 0 && self.partial.last() == Some(&b'\r') {
            self.partial.pop();
        }
        let text = String::from_utf8_lossy(&self.partial);
        // A replaced byte takes three, so the text may have grown past the bound again.
        let end = text.floor_char_boundary(MAX_LINE_BYTES - REMARK_BYTES);
        let left_out = self.left_out + (text.len() - end);
        if left_out == 0 {
            emit(&text);
        } else {
            let kept = text.get(..end).unwrap_or_default();
            emit(&format!("{kept} [cut: {left_out} bytes more]"));
        }
        self.partial.clear();
        self.left_out = 0;
        // One long line must not hold its memory for good.
        self.partial.shrink_to(4096);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut splitter = LineSplitter::default();
        let mut lines = Vec::new();
        let mut emit = |line: &str| lines.push(line.to_owned());
        for chunk in chunks {
            splitter.feed(chunk, &mut emit);
        }
        splitter.finish(&mut emit);
        lines
    }

    #[test]
    fn lines_come_out_whole() {
        assert_eq!(lines(&[b"a\nb", b"c\r\n\n", b"end"]), ["a", "bc", "", "end"]);
        assert_eq!(lines(&[b""]), [""; 0]);
        assert_eq!(lines(&[b"bad \xff byte\n"]), ["bad \u{fffd} byte"]);
        assert_eq!(
            lines(&["split ä".as_bytes().split_at(7).0, b"\xa4\n"]),
            ["split ä"]
        );
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let long = vec![b'x'; 100_000];
        let lines = lines(&[&long, b"\nnext\n"]);
        assert!(
            lines[0].ends_with(&format!("x [cut: {} bytes more]", 100_000 - (64 * 1024 - 64))),
            "{}",
            &lines[0][lines[0].len() - 50..]
        );
        assert_eq!(lines[1], "next");
    }

    proptest! {
        #[test]
        fn the_cut_into_chunks_does_not_matter(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            cut in 0_usize..200,
        ) {
            let cut = cut.min(bytes.len());
            prop_assert_eq!(lines(&[&bytes[..cut], &bytes[cut..]]), lines(&[&bytes]));
        }

        #[test]
        fn no_line_is_longer_than_the_bound(byte in any::<u8>(), length in 0_usize..300_000) {
            for line in lines(&[&vec![byte; length]]) {
                prop_assert!(line.len() <= MAX_LINE_BYTES);
            }
        }
    }
}
