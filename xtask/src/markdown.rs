//! As much of Markdown as the checks of documents need: code spans and fenced blocks.

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// First word after the fence: the language.
    pub(crate) language: String,
    /// Its lines.
    pub(crate) lines: Vec<String>,
    /// Number of the line after the fence, from 1.
    pub(crate) first_line: usize,
}

/// A code span outside fenced blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// All fenced blocks.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    parse(text).0
}

/// All code spans that lie on one line, outside blocks.
pub(crate) fn spans(text: &str) -> Vec<Span> {
    parse(text).1
}

fn parse(text: &str) -> (Vec<Block>, Vec<Span>) {
    let (mut blocks, mut spans) = (vec![], vec![]);
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (open.take(), fence) {
            (Some(block), Some(_)) => blocks.push(block),
            (Some(mut block), None) => {
                block.lines.push(line.to_owned());
                open = Some(block);
            }
            (None, Some(info)) => {
                let language = info.split([' ', ',']).next().unwrap_or_default().to_owned();
                open = Some(Block { language, lines: vec![], first_line: index + 2 });
            }
            (None, None) => {
                let inside = line.split('`').skip(1).step_by(2);
                spans.extend(inside.map(|text| Span { text: text.to_owned(), line: index + 1 }));
            }
        }
    }
    blocks.extend(open);
    (blocks, spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_spans_are_told_apart() {
        let text = "a `b/c` and `d`\n```console\n$ run `x`\n```\n`last`\n";
        let span = |text: &str, line| Span { text: text.to_owned(), line };
        assert_eq!(spans(text), [span("b/c", 1), span("d", 1), span("last", 5)]);
        assert_eq!(blocks(text), [Block { language: "console".to_owned(), lines: vec!["$ run `x`".to_owned()], first_line: 3 }]);
    }
}
