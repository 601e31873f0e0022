//! Showing a recovery while it goes on: one thread waits for the answer, this one reads the
//! journal.

use std::collections::BTreeSet;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;

use super::client::{Client, Verb, segment};
use super::failure::Failure;
use super::paint::table;
use super::screen::Screen;
use super::{json, timeline};

/// Between two looks at the journal: steps take milliseconds, people read slower.
const LOOK: Duration = Duration::from_millis(100);

/// Asks for a change and shows the steps of the recovery it leads to, until it ends.
pub(crate) fn change(
    client: &Client,
    screen: Screen,
    path: &str,
    body: &Value,
    limit: Duration,
) -> Result<Value, Failure> {
    if screen.json {
        return client.change(Verb::Post, path, body, limit);
    }
    let mut journal = Journal {
        client,
        screen,
        known: ids(client),
        shown: BTreeSet::new(),
    };
    std::thread::scope(|scope| {
        let (send, receive) = channel();
        scope.spawn(move || send.send(client.change(Verb::Post, path, body, limit)));
        loop {
            match receive.recv_timeout(LOOK) {
                Ok(answer) => {
                    journal.show_new();
                    return answer;
                }
                Err(RecvTimeoutError::Timeout) => journal.show_new(),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::Refused(
                        "the request ended without an answer".to_owned(),
                    ));
                }
            }
        }
    })
}

/// The latest recoveries.
fn ids(client: &Client) -> BTreeSet<String> {
    recent(client)
        .iter()
        .filter_map(|recovery| json::text(recovery, "id"))
        .collect()
}

fn recent(client: &Client) -> Vec<Value> {
    // Progress is a courtesy: if it cannot be read, the answer still comes.
    client
        .read("/api/v1/recoveries?limit=5")
        .map(|answer| json::items(&answer).to_vec())
        .unwrap_or_default()
}

struct Journal<'a> {
    client: &'a Client,
    screen: Screen,
    /// Recoveries of before the request.
    known: BTreeSet<String>,
    /// Numbers of lines that were shown.
    shown: BTreeSet<u64>,
}

impl Journal<'_> {
    fn show_new(&mut self) {
        let recoveries = recent(self.client);
        let new = recoveries
            .iter()
            .filter_map(|recovery| json::text(recovery, "id"));
        for id in new
            .filter(|id| !self.known.contains(id))
            .collect::<Vec<_>>()
        {
            let Ok(recovery) = self
                .client
                .read(&format!("/api/v1/recoveries/{}", segment(&id)))
            else {
                continue;
            };
            self.show_steps(json::list(&recovery, "steps"));
        }
    }

    fn show_steps(&mut self, steps: &[Value]) {
        let fresh = |step: &&Value| {
            json::number(step, "number").is_some_and(|number| self.shown.insert(number))
        };
        let new: Vec<&Value> = steps.iter().filter(fresh).collect();
        let new = timeline::rows_of_new(&new);
        if !new.is_empty() {
            Screen::show(&table(&new, self.screen.width).join("\n"));
        }
    }
}
