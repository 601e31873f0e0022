//! Result sets as plain data, so that reading them needs no connection and recorded answers can be
//! tested.

use std::str::FromStr;

/// One result set: text or NULL in each cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Column names as the server writes them.
    pub columns: Vec<String>,
    /// Rows; a row of the wrong length is a short record, not a fault.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// All rows.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.rows.iter().map(|values| Record {
            columns: &self.columns,
            values,
        })
    }

    /// The first row.
    pub fn first(&self) -> Option<Record<'_>> {
        self.records().next()
    }

    /// Whether there is such a column, whatever the rows say.
    pub fn has_column(&self, name: &str) -> bool {
        self.columns
            .iter()
            .any(|column| column.eq_ignore_ascii_case(name))
    }

    /// Turns a table of names and values (`SHOW VARIABLES`, `SHOW STATUS`) into one row with the
    /// names as columns.
    pub fn from_pairs(pairs: &Table) -> Table {
        let mut table = Table {
            columns: Vec::new(),
            rows: vec![Vec::new()],
        };
        for pair in &pairs.rows {
            let mut cells = pair.iter();
            if let (Some(Some(name)), Some(value), Some(row)) =
                (cells.next(), cells.next(), table.rows.first_mut())
            {
                table.columns.push(name.clone());
                row.push(value.clone());
            }
        }
        table
    }
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    columns: &'a [String],
    values: &'a [Option<String>],
}

impl<'a> Record<'a> {
    /// The text under the first of `names` that is a column; `None` if there is none or it is NULL.
    pub fn text(&self, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| {
            let at = self
                .columns
                .iter()
                .position(|column| column.eq_ignore_ascii_case(name))?;
            self.values.get(at)?.as_deref()
        })
    }

    /// Whether there is such a column.
    pub fn has(&self, name: &str) -> bool {
        self.columns
            .iter()
            .any(|column| column.eq_ignore_ascii_case(name))
    }

    /// The text, if it is not empty.
    pub fn filled(&self, names: &[&str]) -> Option<&'a str> {
        self.text(names)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    /// The text, or nothing.
    pub fn owned(&self, names: &[&str]) -> String {
        self.text(names).unwrap_or_default().to_owned()
    }

    /// The number; `None` if the text is not one.
    pub fn number<N: FromStr>(&self, names: &[&str]) -> Option<N> {
        self.text(names)?.trim().parse().ok()
    }

    /// The switch; `None` if the text is not one.
    pub fn flag(&self, names: &[&str]) -> Option<bool> {
        let text = self.text(names)?;
        if ["1", "on", "yes", "true"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word))
        {
            Some(true)
        } else if ["0", "off", "no", "false", ""]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word))
        {
            Some(false)
        } else {
            None
        }
    }

    /// The first cell, whatever its name.
    pub fn first(&self) -> Option<&'a str> {
        self.values.first()?.as_deref()
    }
}

#[cfg(test)]
pub(crate) mod recorded {
    //! Reads answers as the `mysql` client prints them with `\G`.

    use super::Table;

    /// The table printed in `text`: `name: value` lines, rows parted by lines of stars. `NULL` is
    /// NULL.
    pub(crate) fn vertical(text: &str) -> Table {
        let mut table = Table::default();
        for line in text.lines() {
            if line.starts_with("***") {
                table.rows.push(Vec::new());
                continue;
            }
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let (name, value) = (name.trim(), value.strip_prefix(' ').unwrap_or(value));
            if table.rows.len() == 1 {
                table.columns.push(name.to_owned());
            }
            let cell = (value != "NULL").then(|| value.to_owned());
            table
                .rows
                .last_mut()
                .expect("a row begins with stars")
                .push(cell);
        }
        table
    }
}
