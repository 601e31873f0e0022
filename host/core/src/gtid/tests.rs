//! Tables and laws of the GTID sets. The same answers are compared with real servers' in
//! `tests/e2e/tests/gtid_functions.rs`.

mod errant_table;
mod mariadb_laws;
mod mariadb_table;
mod mysql_laws;
mod mysql_table;
