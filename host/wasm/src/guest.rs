//! The host's side of one call: what the policy may allocate, and the one function it may call.

use std::fmt::Write as _;

use wasmtime::ResourceLimiter;

use crate::bindings::{log, topology, types};
use crate::limits::{LOG_LINE_BYTES_MAX, LOG_LINES_MAX, TABLE_ELEMENTS_MAX};

/// State of one call, dropped with its store.
pub(crate) struct Guest {
    lines: Vec<String>,
    dropped: u64,
    memory_used: usize,
    memory_max: usize,
    memory_refused: bool,
}

impl Guest {
    pub(crate) fn new(memory_max: usize) -> Self {
        Self {
            lines: Vec::new(),
            dropped: 0,
            memory_used: 0,
            memory_max,
            memory_refused: false,
        }
    }

    /// Whether the policy asked for more memory than it may have. It is told no and may go on; if
    /// it then fails, this is why.
    pub(crate) fn memory_refused(&self) -> bool {
        self.memory_refused
    }

    /// The lines written, the last one saying how many more there were.
    pub(crate) fn into_lines(mut self) -> Vec<String> {
        if self.dropped > 0 {
            self.lines
                .push(format!("warn: {} more lines were dropped", self.dropped));
        }
        self.lines
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self
            .memory_used
            .saturating_add(desired.saturating_sub(current));
        let granted = used <= self.memory_max;
        if granted {
            self.memory_used = used;
        } else {
            self.memory_refused = true;
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }
}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) {
        if self.lines.len() >= LOG_LINES_MAX {
            self.dropped += 1;
            return;
        }
        let word = match level {
            log::Level::Trace => "trace",
            log::Level::Debug => "debug",
            log::Level::Info => "info",
            log::Level::Warn => "warn",
            log::Level::Error => "error",
        };
        self.lines.push(format!("{word}: {}", printable(&message)));
    }
}

// These interfaces hold types only.
impl types::Host for Guest {}
impl topology::Host for Guest {}

/// The beginning of a text from a policy, safe for terminals and log files.
pub(crate) fn printable(text: &str) -> String {
    let mut clean = String::new();
    for character in text.chars() {
        if clean.len() >= LOG_LINE_BYTES_MAX {
            clean.push('…');
            break;
        }
        if character.is_control() {
            // Writing to a String cannot fail.
            write!(clean, "{}", character.escape_default()).unwrap_or_default();
        } else {
            clean.push(character);
        }
    }
    clean
}
