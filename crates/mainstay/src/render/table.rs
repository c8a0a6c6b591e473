//! Tables with aligned columns.

use crate::render::color::{Color, Palette};

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// One cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    color: Option<Color>,
}

impl Cell {
    /// A cell with a colour.
    pub(crate) fn colored(text: impl Into<String>, color: Color) -> Self {
        Self {
            text: text.into(),
            color: Some(color),
        }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.to_string(),
            color: None,
        }
    }
}

/// Lines of a table: heads in capitals, two spaces between columns, no space at the end.
pub(crate) fn table(heads: &[(&str, Align)], rows: &[Vec<Cell>], palette: Palette) -> String {
    let width_of = |column: usize, head: &str| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.text.chars().count())
            .chain([head.chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(column, (head, _))| width_of(column, head))
        .collect();
    let head: Vec<Cell> = heads
        .iter()
        .map(|(head, _)| Cell::colored(*head, Color::DIM))
        .collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for ((cell, width), (_, align)) in row.iter().zip(&widths).zip(heads) {
            let gap = " ".repeat(width.saturating_sub(cell.text.chars().count()));
            let shown = match cell.color {
                Some(color) => palette.paint(color, &cell.text),
                None => cell.text.clone(),
            };
            match align {
                Align::Left => line.extend([shown.as_str(), &gap]),
                Align::Right => line.extend([gap.as_str(), &shown]),
            }
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = vec![
            vec!["orders-1".into(), 7.into(), "fine".into()],
            vec!["münze".into(), 1200.into(), Cell::from("")],
        ];
        let heads = [
            ("NAME", Align::Left),
            ("CALLS", Align::Right),
            ("NOTE", Align::Left),
        ];
        expect![[r"
            NAME      CALLS  NOTE
            orders-1      7  fine
            münze      1200
        "]]
        .assert_eq(&table(&heads, &rows, Palette::PLAIN));
    }
}
