//! Coloured text in columns. Colours are always written; the stream that prints them removes them
//! where they do not belong (no terminal, `NO_COLOR`).

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// No emphasis.
pub(crate) const PLAIN: Style = Style::new();
/// Less important.
pub(crate) const DIM: Style = Style::new().dimmed();
/// A name.
pub(crate) const NAME: Style = Style::new().bold();
/// As it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Worth a look.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// Wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Worth knowing.
pub(crate) const NOTE: Style = AnsiColor::Cyan.on_default();

/// A text in a style.
pub(crate) fn paint(style: Style, text: &str) -> String {
    if text.is_empty() || style == PLAIN {
        text.to_owned()
    } else {
        format!("{style}{text}{style:#}")
    }
}

/// Appends formatted text.
pub(crate) fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let written = std::fmt::Write::write_fmt(out, text);
    debug_assert!(written.is_ok());
}

/// One cell of a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn new(style: Style, text: impl Into<String>) -> Self {
        // Names and errors come from servers: no control character of theirs reaches the terminal.
        let text = text
            .into()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        Self { text, style }
    }

    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::new(PLAIN, text)
    }

    fn width(&self) -> usize {
        self.text.width()
    }
}

/// Rows as lines, columns aligned, two blanks between them. A cell that is too long for `width` is
/// cut with `…`.
pub(crate) fn table(rows: &[Vec<Cell>], width: Option<usize>) -> Vec<String> {
    const GAP: usize = 2;
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(Cell::width)
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<Cell>| {
        let (mut line, mut used, mut pending) = (String::new(), 0_usize, 0_usize);
        for (cell, column_width) in row.iter().zip(&widths) {
            if *column_width == 0 {
                continue;
            }
            let room = width.map_or(usize::MAX, |width| width.saturating_sub(used + pending));
            let text = cut(&cell.text, room);
            if !text.is_empty() {
                line.push_str(&" ".repeat(pending));
                line.push_str(&paint(cell.style, &text));
                used += pending + text.width();
                pending = 0;
            }
            pending += column_width.saturating_sub(text.width()) + GAP;
        }
        line
    };
    rows.iter().map(line).collect()
}

/// The beginning of a text, `width` columns wide at most.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// A text broken at blanks into lines of at most `width` columns.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_by_what_is_seen() {
        let rows = [
            vec![Cell::new(BAD, "größe"), Cell::plain(""), Cell::plain("x")],
            vec![
                Cell::plain("日本"),
                Cell::plain(""),
                Cell::new(GOOD, "y\u{1b}[2J"),
            ],
        ];
        let plain: Vec<String> = table(&rows, Some(11))
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect();
        assert_eq!(plain, ["größe  x", "日本   y […"]);
    }

    #[test]
    fn long_texts_are_cut_or_wrapped() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("incompressible x", 4), ["incompressible", "x"]);
    }
}
