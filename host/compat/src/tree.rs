//! The predecessor's ASCII topologies.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::{LegacyCluster, MAINTENANCE_LAG, key_text};
use crate::shape::{Instance, Key};

/// Which of the three forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Description in brackets, aligned.
    Plain,
    /// As `Plain`, and the tags. Baton has none yet.
    Tags,
    /// Columns between bars.
    Tabulated,
}

struct Row<'a> {
    depth: usize,
    instance: &'a Instance,
}

/// The tree of a cluster: lines joined by newlines, none at the end.
pub(crate) fn tree(legacy: &LegacyCluster<'_>, instances: &[Instance], form: Form) -> String {
    let top = legacy
        .primary()
        .map(|server| crate::cluster::key(&server.address));
    let rows = rows(instances, top.as_ref());
    let lines = match form {
        Form::Plain => aligned(&rows, ""),
        Form::Tags => aligned(&rows, " []"),
        Form::Tabulated => tabulated(&rows),
    };
    lines.join("\n")
}

/// Depth-first, from the primary. Servers that hang elsewhere (an old primary that returned) follow
/// as trees of their own; the predecessor leaves them out.
fn rows<'a>(instances: &'a [Instance], top: Option<&Key>) -> Vec<Row<'a>> {
    let by_key: BTreeMap<&Key, &Instance> = instances.iter().map(|i| (&i.key, i)).collect();
    let is_root = |i: &&Instance| !by_key.contains_key(&i.source_key);
    let mut roots: Vec<&Instance> = by_key.values().copied().filter(is_root).collect();
    roots.sort_by_key(|i| {
        (
            Some(&i.key) != top,
            std::cmp::Reverse(i.replicas.len()),
            &i.key,
        )
    });
    let mut walk = Walk {
        by_key: &by_key,
        seen: BTreeSet::new(),
        rows: Vec::new(),
    };
    for root in roots {
        walk.visit(root, 0);
    }
    // What is left hangs in loops: co-primaries are drawn side by side, one level in.
    let co_primaries = by_key.values().copied().filter(|i| i.is_co_primary);
    for left in co_primaries.chain(by_key.values().copied()) {
        walk.visit(left, 1);
    }
    walk.rows
}

struct Walk<'w, 'a> {
    by_key: &'w BTreeMap<&'a Key, &'a Instance>,
    seen: BTreeSet<&'a Key>,
    rows: Vec<Row<'a>>,
}

impl<'a> Walk<'_, 'a> {
    fn visit(&mut self, root: &'a Instance, depth: usize) {
        // A stack and not a recursion: a chain may be as long as an enemy likes.
        let mut stack = vec![(root, depth)];
        while let Some((instance, depth)) = stack.pop() {
            if !self.seen.insert(&instance.key) {
                continue;
            }
            self.rows.push(Row { depth, instance });
            for key in instance.replicas.iter().rev() {
                let is_side = |child: &&&Instance| child.is_co_primary && instance.is_co_primary;
                if let Some(child) = self.by_key.get(key).filter(|child| !is_side(child)) {
                    stack.push((child, depth + 1));
                }
            }
        }
    }
}

fn aligned(rows: &[Row<'_>], suffix: &str) -> Vec<String> {
    let names: Vec<String> = rows.iter().map(name).collect();
    let width = names.iter().map(chars).max().unwrap_or_default();
    let line = |(row, name): (&Row<'_>, &String)| {
        let tokens = tokens(row.instance);
        let filled: Vec<&str> = tokens
            .iter()
            .map(String::as_str)
            .filter(|t| !t.is_empty())
            .collect();
        format!("{name:width$} [{}]{suffix}", filled.join(","))
    };
    rows.iter().zip(&names).map(line).collect()
}

fn tabulated(rows: &[Row<'_>]) -> Vec<String> {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            std::iter::once(name(row))
                .chain(tokens(row.instance))
                .collect()
        })
        .collect();
    let width = |column: usize| {
        cells
            .iter()
            .filter_map(|row| row.get(column))
            .map(chars)
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..7).map(width).collect();
    let pad = |(column, (cell, width)): (usize, (&String, &usize))| {
        if column == 1 {
            format!("{cell:>width$}")
        } else {
            format!("{cell:width$}")
        }
    };
    let line = |row: &Vec<String>| {
        row.iter()
            .zip(&widths)
            .enumerate()
            .map(pad)
            .collect::<Vec<_>>()
            .join("|")
    };
    cells.iter().map(line).collect()
}

fn chars(text: impl AsRef<str>) -> usize {
    text.as_ref().chars().count()
}

fn name(row: &Row<'_>) -> String {
    let instance = row.instance;
    let text = key_text(&instance.key);
    if row.depth == 0 {
        return text;
    }
    let is_good =
        is_running(instance) && instance.is_last_check_valid && instance.is_recently_checked;
    let mark = if is_good { '+' } else { '-' };
    format!("{}{mark} {text}", "  ".repeat(row.depth - 1))
}

fn tokens(instance: &Instance) -> [String; 6] {
    let format = if instance.log_bin_enabled {
        instance.binlog_format
    } else {
        "nobinlog"
    };
    [
        lag(instance),
        status(instance).to_owned(),
        instance.version.clone(),
        if instance.read_only { "ro" } else { "rw" }.to_owned(),
        format.to_owned(),
        extras(instance).join(","),
    ]
}

fn is_replica(instance: &Instance) -> bool {
    !instance.source_key.hostname.is_empty()
}

fn is_running(instance: &Instance) -> bool {
    is_replica(instance) && instance.receiver_running && instance.applier_running
}

fn lag(instance: &Instance) -> String {
    let is_seen = instance.is_last_check_valid && instance.is_recently_checked;
    let is_told = is_running(instance) && instance.seconds_behind.valid;
    if !is_seen {
        "unknown".to_owned()
    } else if is_replica(instance) && !is_told {
        "null".to_owned()
    } else {
        format!("{}s", instance.lag.int64)
    }
}

fn status(instance: &Instance) -> &'static str {
    if !instance.is_last_check_valid {
        "invalid"
    } else if !instance.is_recently_checked {
        "unchecked"
    } else if is_replica(instance) && !is_running(instance) {
        "nonreplicating"
    } else if is_replica(instance) && instance.lag.int64 > MAINTENANCE_LAG.as_secs() {
        "lag"
    } else {
        "ok"
    }
}

fn extras(instance: &Instance) -> Vec<&'static str> {
    let is_gtid =
        instance.using_oracle_gtid || instance.using_mariadb_gtid || instance.supports_oracle_gtid;
    let gtid = if instance.gtid_errant.is_empty() {
        "GTID"
    } else {
        "GTID:errant"
    };
    [
        (instance.log_bin_enabled && instance.log_updates, ">>"),
        (is_gtid, gtid),
        (instance.semi_sync_source_status, "semi:master"),
        (instance.semi_sync_replica_status, "semi:replica"),
        (instance.is_downtimed, "downtimed"),
    ]
    .into_iter()
    .filter_map(|(is_so, token)| is_so.then_some(token))
    .collect()
}
