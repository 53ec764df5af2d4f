//! Foreign text made fit for an error message: one line, of bounded length.

/// Longest message that is kept, in characters: it ends in CNI errors and in Kubernetes events, whose limit is 1,024 bytes.
pub(crate) const MESSAGE_CHARS: usize = 500;

/// Longest quotation of an answer that makes no sense, in characters: enough to recognise a proxy's error page.
pub(crate) const QUOTE_CHARS: usize = 80;

/// Runs of white space become one space, and what is longer than `chars` is cut with an ellipsis.
pub(crate) fn one_line(text: &str, chars: usize) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if let Some((cut, _)) = line.char_indices().nth(chars) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_folded() {
        assert_eq!(one_line(" a\r\n\tb  c\n", 9), "a b c");
        assert_eq!(one_line(" \n", 9), "");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(one_line("ääää", 4), "ääää");
        assert_eq!(one_line("äääää", 4), "ääää…");
    }
}
