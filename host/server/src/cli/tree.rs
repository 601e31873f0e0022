//! A cluster as a tree for people.

use std::collections::{BTreeMap, BTreeSet};

use anstyle::Style;

use super::paint::{
    BAD, Cell, DIM, GOOD, NAME, NOTE, PLAIN, WARN, append, cut, paint, table, wrap,
};
use super::view::{ClusterView, FindingView, Reach, ServerView, Severity, Thread};
use super::words;

/// Narrower terminals are treated as if they had this width.
const LEAST_WIDTH: usize = 40;

/// The tree of a cluster: one line a server, its problems below it.
pub(crate) fn render(cluster: &ClusterView, width: Option<usize>) -> String {
    let width = width.map(|width| width.max(LEAST_WIDTH));
    let lines = layout(cluster);
    let rows: Vec<Vec<Cell>> = lines.iter().map(|line| row(cluster, line)).collect();
    let mut out = header(cluster);
    for (line, text) in lines.iter().zip(table(&rows, width)) {
        out.push('\n');
        out.push_str(&text);
        for finding in cluster
            .findings
            .iter()
            .filter(|finding| finding.server == line.server.id)
        {
            push_problem(
                &mut out,
                &line.below,
                finding.severity,
                &finding_text(finding),
                width,
            );
        }
        // A finding tells the same and more.
        let told = cluster
            .findings
            .iter()
            .any(|finding| finding.server == line.server.id);
        for text in troubles(line.server).iter().filter(|_| !told) {
            push_problem(&mut out, &line.below, Severity::Warning, text, width);
        }
    }
    let known = |finding: &&FindingView| {
        cluster
            .servers
            .iter()
            .any(|server| server.id == finding.server)
    };
    for finding in cluster.findings.iter().filter(|finding| !known(finding)) {
        push_problem(
            &mut out,
            "",
            finding.severity,
            &finding_text(finding),
            width,
        );
    }
    out.push('\n');
    out
}

fn header(cluster: &ClusterView) -> String {
    let mut facts = vec![match cluster.servers.len() {
        1 => "1 server".to_owned(),
        number => format!("{number} servers"),
    }];
    match cluster.automatic {
        Some(true) => facts.push("recovers by itself".to_owned()),
        Some(false) => facts.push("recovers on request".to_owned()),
        None => {}
    }
    let mut out = format!(
        "{}  {}",
        paint(NAME, &cluster.name),
        paint(DIM, &facts.join(" · "))
    );
    if let Some(recovery) = &cluster.recovery {
        append(
            &mut out,
            format_args!("  {}", paint(NOTE, &format!("{recovery} under way"))),
        );
    }
    out
}

/// One server's place in the tree.
struct Line<'a> {
    server: &'a ServerView,
    /// What stands before its address.
    branch: String,
    /// What stands before lines that belong to it, and to what is below it.
    below: String,
    /// It reads from its parent, which reads from it.
    mutual: bool,
}

/// Servers in the order of the tree: every one exactly once, whatever loops there are.
fn layout(cluster: &ClusterView) -> Vec<Line<'_>> {
    let by_id: BTreeMap<&str, &ServerView> = cluster
        .servers
        .iter()
        .map(|server| (server.id.as_str(), server))
        .collect();
    let mut children: BTreeMap<&str, Vec<&ServerView>> = BTreeMap::new();
    for server in &cluster.servers {
        if let Some(parent) = parent(server, &by_id) {
            children.entry(parent).or_default().push(server);
        }
    }
    for list in children.values_mut() {
        list.sort_by(|a, b| a.address.cmp(&b.address));
    }
    let primary = cluster.primary.as_deref();
    let mut roots: Vec<&ServerView> = cluster.servers.iter().collect();
    // The primary first, then those without a source; what is left after that are loops.
    roots.sort_by_key(|server| {
        (
            primary != Some(server.id.as_str()),
            parent(server, &by_id).is_some(),
            server.address.as_str(),
        )
    });
    let mut walk = Walk {
        children,
        seen: BTreeSet::new(),
        lines: Vec::new(),
    };
    for root in &roots {
        if primary == Some(root.id.as_str()) || parent(root, &by_id).is_none() {
            walk.visit(root, None, "", "");
        }
    }
    for root in roots {
        walk.visit(root, None, "", "");
    }
    walk.lines
}

fn parent<'a>(
    server: &'a ServerView,
    by_id: &BTreeMap<&'a str, &'a ServerView>,
) -> Option<&'a str> {
    server
        .channels
        .iter()
        .filter_map(|channel| channel.source.as_deref())
        .find(|source| by_id.contains_key(source))
}

struct Walk<'a> {
    children: BTreeMap<&'a str, Vec<&'a ServerView>>,
    seen: BTreeSet<&'a str>,
    lines: Vec<Line<'a>>,
}

impl<'a> Walk<'a> {
    fn visit(
        &mut self,
        server: &'a ServerView,
        above: Option<&'a ServerView>,
        branch: &str,
        stem: &str,
    ) {
        if !self.seen.insert(server.id.as_str()) {
            return;
        }
        let all = self
            .children
            .get(server.id.as_str())
            .cloned()
            .unwrap_or_default();
        let children: Vec<_> = all
            .into_iter()
            .filter(|child| !self.seen.contains(child.id.as_str()))
            .collect();
        let below = format!("{stem}{}", if children.is_empty() { "  " } else { "│ " });
        let reads_back = |above: &ServerView| {
            above
                .channels
                .iter()
                .any(|c| c.source.as_ref() == Some(&server.id))
        };
        let mutual = above.is_some_and(reads_back);
        self.lines.push(Line {
            server,
            branch: branch.to_owned(),
            below,
            mutual,
        });
        let last = children.len().saturating_sub(1);
        for (index, child) in children.into_iter().enumerate() {
            let (turn, stem_more) = if index == last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            self.visit(
                child,
                Some(server),
                &format!("{stem}{turn}"),
                &format!("{stem}{stem_more}"),
            );
        }
    }
}

fn row(cluster: &ClusterView, line: &Line<'_>) -> Vec<Cell> {
    let server = line.server;
    let is_primary = cluster.primary.as_ref() == Some(&server.id);
    let (mark, style) = mark(server);
    let (arrow, role) = match (is_primary, line.mutual) {
        (true, _) => ("", "primary"),
        (false, true) => ("⇄ ", "co-primary"),
        (false, false) => ("", server.role.as_str()),
    };
    let address = format!("{}{arrow}{mark} {}", line.branch, server.address);
    let emphasis = if is_primary { NAME } else { PLAIN };
    vec![
        Cell::new(if style == PLAIN { emphasis } else { style }, address),
        Cell::new(emphasis, role),
        access(server, is_primary),
        lag(server),
        Cell::new(NOTE, server.marks.join(", ")),
        Cell::new(DIM, server.version.clone()),
        Cell::new(DIM, server.gtid.clone()),
    ]
}

fn mark(server: &ServerView) -> (&'static str, Style) {
    match server.reach {
        Reach::Answering => ("●", PLAIN),
        Reach::Partial => ("◐", WARN),
        Reach::Silent => ("○", BAD),
        Reach::NotProbed => ("◌", DIM),
    }
}

/// Read-write or read-only, as last read; what a silent server said is no news.
fn access(server: &ServerView, is_primary: bool) -> Cell {
    let current = server.reach == Reach::Answering;
    match server.writable {
        Some(true) if !current => Cell::new(DIM, "rw?"),
        Some(false) if !current => Cell::new(DIM, "ro?"),
        Some(true) => Cell::new(if is_primary { GOOD } else { BAD }, "rw"),
        Some(false) => Cell::new(if is_primary { WARN } else { PLAIN }, "ro"),
        None => Cell::new(DIM, "?"),
    }
}

fn lag(server: &ServerView) -> Cell {
    let Some(lag) = server.lag.filter(|_| server.reach == Reach::Answering) else {
        return Cell::default();
    };
    let style = if lag.as_secs() >= 10 { WARN } else { DIM };
    Cell::new(style, format!("lag {}", words::short(lag)))
}

/// What is wrong with a server in its own words, beyond the cluster's findings.
fn troubles(server: &ServerView) -> Vec<String> {
    let mut texts = Vec::new();
    if let Some(failure) = &server.failure {
        texts.push(format!("does not answer: {failure}"));
    }
    for channel in &server.channels {
        let name = if channel.name.is_empty() {
            String::new()
        } else {
            format!("channel {}: ", channel.name)
        };
        let source = channel.address.as_deref().unwrap_or("an unknown source");
        match channel.receiver {
            Thread::Running => {}
            Thread::Connecting => texts.push(format!("{name}connecting to {source}")),
            Thread::Stopped => texts.push(format!("{name}receiver stopped, from {source}")),
            Thread::Unknown => texts.push(format!(
                "{name}state of the receiver not known, from {source}"
            )),
        }
        if channel.applier == Thread::Stopped {
            texts.push(format!("{name}applier stopped"));
        }
        texts.extend(channel.error.iter().map(|error| format!("{name}{error}")));
    }
    if let Some(errant) = &server.errant {
        texts.push(format!("errant transactions: {errant}"));
    }
    texts
}

fn finding_text(finding: &FindingView) -> String {
    match finding.evidence.first() {
        Some(evidence) => format!("{}: {evidence}", finding.code),
        None => finding.code.clone(),
    }
}

fn push_problem(
    out: &mut String,
    below: &str,
    severity: Severity,
    text: &str,
    width: Option<usize>,
) {
    let (sign, style) = match severity {
        Severity::Critical => ("✖", BAD),
        Severity::Warning => ("▲", WARN),
        Severity::Notice => ("·", DIM),
    };
    let indent = below.chars().count() + 2;
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent));
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    for (index, line) in wrap(&text, room).iter().enumerate() {
        let lead = if index == 0 { sign } else { " " };
        let line = cut(line, room);
        append(
            out,
            format_args!("\n{below}{} {}", paint(style, lead), paint(style, &line)),
        );
    }
}
