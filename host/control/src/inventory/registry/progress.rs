//! What makes no progress: receivers that receive nothing, and commits that wait.

use std::collections::BTreeMap;

use baton_core::analysis::is_cut_off;
use baton_core::ids::ServerId;
use baton_core::model::{Channel, Outage, SemiSync, ServerFacts, Space, ThreadState};
use baton_core::time::{Observed, Timestamp};

use super::Inventory;
use super::entry::stamp;

/// Notes for each channel its latest run of readings that showed a receiver which does not reach
/// its source.
pub(super) fn note_outages(
    outages: &mut Vec<Outage>,
    old: Option<&Observed<ServerFacts>>,
    new: &ServerFacts,
    at: Timestamp,
) {
    // A channel that is pointed elsewhere starts without a past.
    outages.retain(|outage| {
        let now = find(new, &outage.channel);
        let before = old.and_then(|old| find(&old.value, &outage.channel));
        now.zip(before)
            .is_some_and(|(now, before)| now.source == before.source)
    });
    for channel in new.channels.iter().filter(|channel| is_cut_off(channel)) {
        let was_cut_off = old
            .and_then(|old| find(&old.value, &channel.name))
            .is_some_and(is_cut_off);
        let known = outages
            .iter_mut()
            .find(|outage| outage.channel == channel.name);
        match known {
            Some(outage) if was_cut_off => outage.last = at,
            Some(outage) => (outage.since, outage.last) = (at, at),
            None => outages.push(Outage {
                channel: channel.name.clone(),
                since: at,
                last: at,
            }),
        }
    }
}

/// Forgets that a channel starves once something arrives on it, or its receiver does not run.
pub(super) fn note_stillness(
    starving: &mut Vec<(String, Timestamp)>,
    old: Option<&Observed<ServerFacts>>,
    new: &ServerFacts,
) {
    starving.retain(|(name, _)| {
        let before = old.and_then(|old| find(&old.value, name));
        find(new, name)
            .zip(before)
            .is_some_and(|(now, before)| is_still(before, now))
    });
}

/// Notes since when sessions wait for acknowledgements while nothing is executed.
pub(super) fn note_wait(
    since: &mut Option<Timestamp>,
    old: Option<&Observed<ServerFacts>>,
    new: &ServerFacts,
    at: Timestamp,
) {
    let waits = new
        .semi_sync
        .as_ref()
        .is_some_and(SemiSync::has_waiting_sessions);
    note_still(since, waits, (old, new), at);
}

/// Notes since when statements wait for disk space while nothing is executed.
pub(super) fn note_space(
    since: &mut Option<Timestamp>,
    old: Option<&Observed<ServerFacts>>,
    new: &ServerFacts,
    at: Timestamp,
) {
    let waits = matches!(new.vitals.space, Space::Awaited { .. });
    note_still(since, waits, (old, new), at);
}

/// Notes since when each XA transaction is prepared. Without the privilege to see them, nothing is
/// noted.
pub(super) fn note_prepared(
    since: &mut BTreeMap<String, Timestamp>,
    new: &ServerFacts,
    at: Timestamp,
) {
    let prepared = new.prepared.as_ref();
    since.retain(|name, _| prepared.is_some_and(|prepared| prepared.contains(name)));
    for name in prepared.into_iter().flatten() {
        since.entry(name.clone()).or_insert(at);
    }
}

fn note_still(
    since: &mut Option<Timestamp>,
    waits: bool,
    (old, new): (Option<&Observed<ServerFacts>>, &ServerFacts),
    at: Timestamp,
) {
    let moved = old.is_none_or(|old| old.value.executed != new.executed);
    *since = match *since {
        _ if !waits => None,
        Some(since) if !moved => Some(since),
        Some(_) | None => Some(at),
    };
}

fn find<'f>(facts: &'f ServerFacts, channel: &str) -> Option<&'f Channel> {
    facts.channels.iter().find(|found| found.name == channel)
}

/// Both readings show a running receiver, and nothing arrived between them: no transaction, no part
/// of one, no heartbeat.
fn is_still(before: &Channel, now: &Channel) -> bool {
    let runs = |channel: &Channel| channel.receiver == ThreadState::Running;
    runs(before)
        && runs(now)
        && before.source == now.source
        && before.received == now.received
        && before.read_position == now.read_position
        && before.heartbeats == now.heartbeats
}

impl Inventory {
    /// Notes the channels of `id` whose receiver runs and lacks what its source had executed when
    /// it was read *before*. A full or stalled disk under the relay log, and a connection whose
    /// other end is gone, look like this.
    pub(super) fn note_starving(&mut self, id: &ServerId) {
        let Some(own) = self.servers.get(id).and_then(|entry| entry.facts.as_ref()) else {
            return;
        };
        let lacking: Vec<(String, u64)> = own
            .value
            .channels
            .iter()
            .filter(|channel| channel.receiver == ThreadState::Running && !channel.filtered)
            .filter_map(|channel| Some((channel.name.clone(), self.lacks(channel, own)?)))
            .collect();
        let at = own.at;
        let Some(entry) = self.servers.get_mut(id) else {
            return;
        };
        // If the source was read later, the reading adds nothing: keep what is known.
        entry.starving.retain(|(name, _)| {
            !lacking
                .iter()
                .any(|(channel, lacks)| channel == name && *lacks == 0)
        });
        for (channel, _) in lacking.iter().filter(|(_, lacks)| *lacks > 0) {
            if !entry.starving.iter().any(|(name, _)| name == channel) {
                stamp(&mut entry.starving, channel, at);
            }
        }
    }

    /// How many transactions of its source, as that one was read *before*, the replica lacks.
    /// `None` if it was not.
    fn lacks(&self, channel: &Channel, replica: &Observed<ServerFacts>) -> Option<u64> {
        let address = channel.source.as_ref();
        let source = address
            .and_then(|address| self.addresses.get(address))
            .and_then(|id| self.servers.get(id)?.facts.as_ref())?;
        if source.at >= replica.at {
            return None;
        }
        let possessed = replica.value.executed.union(&channel.received);
        possessed.missing_count(&source.value.executed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{note_outages, note_prepared, note_space, note_stillness, note_wait};
    use baton_core::ids::ServerId;
    use baton_core::model::ServerFacts;
    use baton_core::sketch::snapshot;
    use baton_core::time::{Observed, Timestamp};

    fn facts(sketch: &str) -> ServerFacts {
        let snapshot = snapshot(&format!("p1 primary {sketch}"));
        let name = if sketch.contains("<-") { "r1" } else { "p1" };
        let facts = snapshot.facts(&ServerId::new(name));
        facts.expect("read").clone()
    }

    fn replica(words: &str) -> ServerFacts {
        facts(&format!("\nr1 <- p1 {words}"))
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// Plays readings a second apart.
    fn play(
        readings: &[ServerFacts],
        mut note: impl FnMut(Option<&Observed<ServerFacts>>, &ServerFacts, Timestamp),
    ) {
        let mut old: Option<Observed<ServerFacts>> = None;
        for (second, reading) in (1_u64..).zip(readings) {
            note(old.as_ref(), reading, at(second * 1000));
            old = Some(Observed {
                at: at(second * 1000),
                value: reading.clone(),
            });
        }
    }

    #[test]
    fn an_outage_lasts_from_its_first_to_its_last_reading() {
        let (on, off) = (replica(""), replica("io=connecting"));
        let mut outages = Vec::new();
        let readings = [off.clone(), on.clone(), off.clone(), off, on];
        play(&readings, |old, new, at| {
            note_outages(&mut outages, old, new, at);
        });
        let spans: Vec<_> = outages
            .iter()
            .map(|outage| (outage.since, outage.last))
            .collect();
        assert_eq!(spans, [(at(3000), at(4000))]);
    }

    #[test]
    fn an_outage_is_forgotten_with_its_source() {
        let mut outages = Vec::new();
        let elsewhere = facts("\nr2 <- p1\nr1 <- r2");
        play(&[replica("io=connecting"), elsewhere], |old, new, at| {
            note_outages(&mut outages, old, new, at);
        });
        assert!(outages.is_empty());
    }

    #[test]
    fn a_channel_starves_until_something_arrives_or_its_receiver_stops() {
        for (after, expected) in [("", true), ("missing=3", false), ("io=stopped", false)] {
            let mut starving = vec![(String::new(), at(1))];
            play(&[replica("")], |_, _, _| {});
            let old = Observed {
                at: at(1),
                value: replica(""),
            };
            note_stillness(&mut starving, Some(&old), &replica(after));
            assert_eq!(!starving.is_empty(), expected, "{after}");
        }
    }

    #[test]
    fn commits_wait_since_nothing_was_executed() {
        let (idle, waits, more) = (
            facts("ss=source"),
            facts("ss=locked"),
            facts("ss=locked missing=1"),
        );
        for (readings, expected) in [
            (
                vec![idle.clone(), waits.clone(), waits.clone()],
                Some(at(2000)),
            ),
            (
                vec![waits.clone(), more.clone(), more.clone()],
                Some(at(2000)),
            ),
            (vec![waits.clone(), waits, idle], None),
        ] {
            let mut since = None;
            play(&readings, |old, new, at| {
                note_wait(&mut since, old, new, at);
            });
            assert_eq!(since, expected);
        }
    }

    #[test]
    fn space_is_awaited_since_nothing_was_executed() {
        let (fine, waits, more) = (
            facts(""),
            facts("space=waits:2"),
            facts("space=waits:2 missing=1"),
        );
        for (readings, expected) in [
            (
                vec![fine.clone(), waits.clone(), waits.clone()],
                Some(at(2000)),
            ),
            (vec![waits.clone(), more.clone(), more], Some(at(2000))),
            (vec![waits.clone(), waits, fine], None),
        ] {
            let mut since = None;
            play(&readings, |old, new, at| {
                note_space(&mut since, old, new, at);
            });
            assert_eq!(since, expected);
        }
    }

    #[test]
    fn a_transaction_is_prepared_since_readings_show_it() {
        let mut since = BTreeMap::new();
        let readings = ["prepared=x", "prepared=x,y", "prepared=y", "prepared=x,y"].map(facts);
        play(&readings, |_, new, at| note_prepared(&mut since, new, at));
        let expected = [("x", at(4000)), ("y", at(2000))];
        assert_eq!(
            since,
            expected.map(|(name, at)| (name.to_owned(), at)).into()
        );
        note_prepared(&mut since, &facts(""), at(5000));
        assert_eq!(since, BTreeMap::new());
    }
}
