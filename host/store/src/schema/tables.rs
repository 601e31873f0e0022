//! What tables there are, read out of the migrations, so that a copy of the whole state forgets
//! none.

use std::sync::LazyLock;

use super::{MIGRATIONS, statements};

/// Tables that belong to one database rather than to the state: its own schema's versions.
const OWN: &str = "baton_schema";

/// Rows that one statement inserts: the round trips of a copy, each of which a cluster of several
/// nodes answers late.
pub(crate) const BATCH: usize = 50;

/// A table of the state.
#[derive(Debug)]
pub(crate) struct Table {
    /// Name.
    pub(crate) name: &'static str,
    /// Reads the first rows, in the order of the key, which is the first column.
    pub(crate) first: &'static str,
    /// Reads the rows after a key.
    pub(crate) after: &'static str,
    /// Finds the row of a key.
    pub(crate) find: &'static str,
    /// Inserts one row.
    pub(crate) insert: &'static str,
    /// Inserts [`BATCH`] rows.
    pub(crate) insert_batch: &'static str,
    /// Removes the row of a key.
    pub(crate) remove: &'static str,
}

/// All tables of the state, each after those that it refers to.
pub(crate) static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
    let all = MIGRATIONS
        .iter()
        .flat_map(|migration| statements(migration.sql));
    all.filter_map(|statement| table(&statement)).collect()
});

/// A table out of the statement that makes it. The texts live as long as the program, as the ones
/// written in it do.
fn table(statement: &str) -> Option<Table> {
    let rest = statement.strip_prefix("CREATE TABLE ")?;
    let (name, rest) = rest.split_once(" (")?;
    if name == OWN {
        return None;
    }
    let name: &'static str = name.to_owned().leak();
    let columns: Vec<&str> = rest
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("PRIMARY KEY"))
        .filter_map(|line| line.split_once(' '))
        .map(|(column, _)| column)
        .collect();
    let key = *columns.first()?;
    let list = columns.join(", ");
    let places = format!("({})", vec!["?"; columns.len()].join(", "));
    let batch = vec![places.as_str(); BATCH].join(", ");
    Some(Table {
        first: format!("SELECT {list} FROM {name} ORDER BY {key} LIMIT ?").leak(),
        after: format!("SELECT {list} FROM {name} WHERE {key} > ? ORDER BY {key} LIMIT ?").leak(),
        find: format!("SELECT {key} FROM {name} WHERE {key} = ?").leak(),
        insert: format!("INSERT INTO {name} ({list}) VALUES {places}").leak(),
        insert_batch: format!("INSERT INTO {name} ({list}) VALUES {batch}").leak(),
        remove: format!("DELETE FROM {name} WHERE {key} = ?").leak(),
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_known_with_its_columns() {
        let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        for expected in [
            "baton_lease",
            "baton_server",
            "baton_recovery",
            "baton_step",
            "baton_audit",
        ] {
            assert!(
                names.contains(&expected),
                "{expected} is missing in {names:?}"
            );
        }
        let lease = TABLES.iter().find(|table| table.name == "baton_lease");
        let expected = "INSERT INTO baton_lease (name, holder, epoch, renewals, ttl_ms, guard) VALUES (?, ?, ?, ?, ?, ?)";
        assert_eq!(lease.map(|table| table.insert), Some(expected));
    }

    #[test]
    fn every_table_has_one_key_column_and_it_comes_first() {
        let all = MIGRATIONS
            .iter()
            .flat_map(|migration| statements(migration.sql));
        for statement in all.filter(|statement| statement.starts_with("CREATE TABLE ")) {
            let first = statement
                .lines()
                .nth(1)
                .and_then(|line| line.trim().split(' ').next());
            let key = format!("PRIMARY KEY ({})", first.unwrap_or_default());
            assert!(statement.contains(&key), "{statement}");
        }
    }

    #[test]
    fn no_migration_changes_a_table_behind_its_back() {
        for migration in MIGRATIONS {
            for statement in statements(migration.sql) {
                let is_change = statement.starts_with("ALTER") || statement.starts_with("DROP");
                assert!(!is_change, "read it here first: {statement}");
            }
        }
    }
}
