//! Where a command's output goes.

use std::io::{ErrorKind, Write as _};

/// Standard output, with colours where they belong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// Columns; `None` if it is no terminal.
    pub(crate) width: Option<usize>,
    /// The API's JSON is wanted.
    pub(crate) json: bool,
}

impl Screen {
    /// The process's own.
    pub(crate) fn new(json: bool) -> Self {
        let width = terminal_size::terminal_size_of(std::io::stdout())
            .map(|(width, _)| usize::from(width.0));
        Self { width, json }
    }

    /// Prints lines.
    pub(crate) fn show(text: &str) {
        let mut out = anstream::stdout().lock();
        let done = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
        match done {
            Ok(()) => {}
            // The reader (`head`, a pager) has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) => eprint(&format!("cannot write to standard output: {error}")),
        }
    }

    /// Prints the API's JSON.
    pub(crate) fn show_json(value: &serde_json::Value) {
        Self::show(&format!("{value:#}"));
    }
}

/// Prints to standard error; nothing can be done if that fails.
pub(crate) fn eprint(text: &str) {
    let done = writeln!(anstream::stderr().lock(), "{text}");
    drop(done);
}
