//! What the end-to-end tests have in common.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use baton_sandbox::{Server, Writer, WriterReport};
use serde_json::Value;

use crate::Bed;

/// Generous: what is tested is that it happens, not how fast.
pub const LIMIT: Duration = Duration::from_secs(40);

/// Makes a test for each flavour of a function that takes one; further needs may follow.
#[macro_export]
macro_rules! both_flavors {
    ($(#[$about:meta])* $name:ident, $body:path $(, $need:expr)*) => {
        $(#[$about])*
        mod $name {
            #[allow(unused_imports, reason = "the test's own needs may name it")]
            use baton_sandbox::{Flavor, Need};

            #[test]
            fn mariadb() {
                baton_sandbox::require!(Flavor::MariaDb, Need::Baton $(, $need)*);
                $body(Flavor::MariaDb).unwrap();
            }

            #[test]
            fn mysql() {
                baton_sandbox::require!(Flavor::MySql, Need::Baton $(, $need)*);
                $body(Flavor::MySql).unwrap();
            }
        }
    };
}

/// A text of a JSON object, or `-`.
pub fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("-")
}

/// Waits until the writer uses another server than `old`; a failure shows the node's log.
///
/// # Errors
/// If that takes too long.
pub fn wait_for_successor(bed: &Bed, writer: &Writer, old: &str) -> Result<()> {
    bed.wait("another server takes writes", LIMIT, || {
        writer.server_in_use().is_some_and(|server| server != old)
    })
}

/// Stops the writer; the one server that takes writes now has every row it saw acknowledged.
///
/// # Errors
/// If several or no servers take writes, or a row is missing.
pub fn require_nothing_lost(bed: &Bed, writer: Writer) -> Result<WriterReport> {
    let report = writer.stop()?;
    let primary = require_one_writable(bed)?;
    let lost = report.lost_on(primary)?;
    ensure!(
        lost.is_empty(),
        "acknowledged rows are not on {primary}: {lost:?}\n{}",
        describe_loss(bed, &report, &lost)
    );
    Ok(report)
}

/// Who has the lost rows, what was acknowledged around them, and what the node did.
fn describe_loss(bed: &Bed, report: &WriterReport, lost: &[u64]) -> String {
    let mut lines = Vec::new();
    for server in bed.topology.servers() {
        match report.lost_on(server) {
            Ok(missing) => lines.push(format!("{server} lacks {missing:?}")),
            Err(error) => lines.push(format!("{server}: {error:#}")),
        }
    }
    let rows = report.acknowledged();
    for (index, _) in rows
        .iter()
        .enumerate()
        .filter(|(_, row)| lost.contains(&row.id))
    {
        for row in rows.iter().take(index + 4).skip(index.saturating_sub(3)) {
            let ago = row.at.elapsed();
            let server = report.server_of(row);
            lines.push(format!(
                "row {} acknowledged by {server} {ago:?} ago",
                row.id
            ));
        }
    }
    for row in bed.recoveries().unwrap_or_default() {
        lines.push(row.to_string());
        let id = word(&row, "id");
        let steps = bed.api.get(&format!("/api/v1/recoveries/{id}"));
        lines.push(steps.map_or_else(|error| format!("{error:#}"), |steps| steps.to_string()));
    }
    lines.join("\n")
}

/// The one server that takes writes.
///
/// # Errors
/// If several or no servers do.
pub fn require_one_writable(bed: &Bed) -> Result<&Server> {
    let names: Vec<&str> = bed.topology.writable().iter().map(|s| s.name()).collect();
    bed.only_writable()
        .with_context(|| format!("one server takes writes, not {names:?}"))
}

/// Waits until each of these servers replicates.
///
/// # Errors
/// If that takes too long.
pub fn wait_for_replication(bed: &Bed, names: &[&str]) -> Result<()> {
    let stopped = || {
        let runs = |name: &&&str| bed.topology[**name].is_replicating().unwrap_or(false);
        names.iter().filter(|name| !runs(name)).count()
    };
    bed.wait(&format!("{names:?} replicate"), LIMIT, || stopped() == 0)
}
