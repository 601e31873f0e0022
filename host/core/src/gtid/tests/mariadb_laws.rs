//! Laws of MariaDB's sets, over arbitrary sets and over histories that servers could have.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::gtid::{Advance, GtidSet, MariadbGtid, MariadbGtidSet};

/// Any entries in any order: numbers go backwards, servers alternate.
fn gtids() -> impl Strategy<Value = Vec<MariadbGtid>> {
    let number = prop_oneof![9 => 1..20_u64, 1 => Just(u64::MAX)];
    let gtid = (0..3_u32, 1..5_u32, number).prop_map(|(domain, server, seq)| MariadbGtid {
        domain,
        server,
        seq,
    });
    proptest::collection::vec(gtid, 0..12)
}

fn states() -> impl Strategy<Value = MariadbGtidSet> {
    gtids().prop_map(|gtids| state_of(&gtids))
}

fn state_of(gtids: &[MariadbGtid]) -> MariadbGtidSet {
    let mut set = MariadbGtidSet::new();
    for gtid in gtids {
        set.record(*gtid);
    }
    set
}

/// States, positions and both joined.
fn sets() -> impl Strategy<Value = MariadbGtidSet> {
    prop_oneof![
        states(),
        states().prop_map(|set| set.position()),
        (states(), states()).prop_map(|(state, other)| state.union(&other.position())),
    ]
}

/// Sets whose numbers never went backwards, so that the last writer has the highest.
fn ordered_sets() -> impl Strategy<Value = MariadbGtidSet> {
    gtids().prop_map(|mut gtids| {
        gtids.sort_by_key(|gtid| (gtid.seq, gtid.server));
        state_of(&gtids)
    })
}

fn entries(set: &MariadbGtidSet) -> BTreeMap<(u32, u32), u64> {
    set.iter()
        .map(|gtid| ((gtid.domain, gtid.server), gtid.seq))
        .collect()
}

/// One server's log in domain 0: which server wrote number 1, 2, and so on.
fn log_of(writers: &[u32]) -> MariadbGtidSet {
    let numbered = (1..).zip(writers);
    let gtids: Vec<MariadbGtid> = numbered
        .map(|(seq, server)| MariadbGtid {
            domain: 0,
            server: *server,
            seq,
        })
        .collect();
    state_of(&gtids)
}

fn writers(servers: std::ops::Range<u32>, at_most: usize) -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(servers, 0..=at_most)
}

proptest! {
    #[test]
    fn printing_and_reading_gives_the_same(state in states()) {
        prop_assert_eq!(&MariadbGtidSet::parse_state(&state.to_string()).unwrap(), &state);
        let position = state.position();
        prop_assert_eq!(&MariadbGtidSet::parse(&position.to_string()).unwrap(), &position);
    }

    #[test]
    fn printing_does_not_depend_on_the_form(set in sets()) {
        let text = set.to_string();
        prop_assert_eq!(&MariadbGtidSet::parse_state(&text).unwrap().to_string(), &text);
        prop_assert_eq!(&MariadbGtidSet::parse(&text).unwrap().to_string(), &text);
    }

    #[test]
    fn union_commutes_associates_and_is_idempotent(
        a in ordered_sets(), b in ordered_sets(), c in ordered_sets(),
    ) {
        let b = b.position();
        prop_assert_eq!(a.union(&b), b.union(&a));
        prop_assert_eq!(a.union(&b).union(&c), a.union(&b.union(&c)));
        prop_assert_eq!(&a.union(&a), &a);
        prop_assert_eq!(&b.union(&b), &b);
    }

    #[test]
    fn entries_join_in_any_order_even_if_numbers_went_backwards(
        a in sets(), b in sets(), c in sets(),
    ) {
        prop_assert_eq!(a.union(&b), b.union(&a));
        prop_assert_eq!(entries(&a.union(&b).union(&c)), entries(&a.union(&b.union(&c))));
        prop_assert_eq!(&a.union(&a), &a);
        prop_assert!(a.union(&b).contains(&a) && a.union(&b).contains_position(&a));
    }

    #[test]
    fn a_difference_is_disjoint_from_what_was_taken(a in sets(), b in sets()) {
        let difference = a.difference(&b);
        for range in difference.missing() {
            prop_assert!(range.first <= range.last && range.first > 0);
            prop_assert_eq!(a.seq(range.domain, range.server), Some(range.last));
            prop_assert!(b.seq(range.domain, range.server).unwrap_or(0) < range.first);
        }
        let missing = entries(&a.subtract(&b));
        let unknown: Vec<_> = difference.unknown().iter().map(|g| (g.domain, g.server)).collect();
        for ((domain, server), seq) in entries(&a) {
            let is_covered = b.seq(domain, server).is_some_and(|known| known >= seq);
            let is_missing = missing.contains_key(&(domain, server));
            let is_unknown = unknown.contains(&(domain, server));
            let outcomes = [is_covered, is_missing, is_unknown];
            prop_assert_eq!(outcomes.iter().filter(|is| **is).count(), 1);
        }
        prop_assert_eq!(b.contains(&a), a.subtract(&b).is_empty());
        prop_assert_eq!(b.contains(&a), b.missing_count(&a) == 0);
    }

    #[test]
    fn nothing_of_a_state_is_unknown(a in sets(), b in states()) {
        prop_assert!(a.difference(&b).unknown().is_empty());
    }

    #[test]
    fn no_fewer_are_missing_than_positions_say(a in ordered_sets(), b in ordered_sets()) {
        for (a, b) in [(a.clone(), b.clone()), (a.position(), b.position())] {
            let by_position = (0..3_u32).map(|domain| {
                let highest = |set: &MariadbGtidSet| set.highest(domain).unwrap_or(0);
                highest(&a).saturating_sub(highest(&b))
            });
            let by_position = by_position.fold(0, u64::saturating_add);
            prop_assert!(b.missing_count(&a) >= by_position);
            prop_assert_eq!(by_position == 0, b.contains_position(&a));
        }
        let exactly = (0..3_u32).map(|domain| {
            let highest = |set: &MariadbGtidSet| set.position().highest(domain).unwrap_or(0);
            highest(&a).saturating_sub(highest(&b))
        });
        let (a, b) = (a.position(), b.position());
        let is_same_writer = entries(&a).keys().all(|(domain, server)| {
            b.highest(*domain).is_none() || b.seq(*domain, *server).is_some()
        });
        if is_same_writer {
            prop_assert_eq!(b.missing_count(&a), exactly.fold(0, u64::saturating_add));
        }
    }

    /// Two logs with a common beginning: the counts are what each wrote after it.
    #[test]
    fn counts_are_exact_for_logs_that_parted(
        common in writers(1..5, 12), first in writers(1..3, 8), second in writers(3..5, 8),
    ) {
        let one = log_of(&[common.clone(), first.clone()].concat());
        let two = log_of(&[common, second.clone()].concat());
        let advance = match (first.len() as u64, second.len() as u64) {
            (0, 0) => Advance::Equal,
            (ahead, 0) => Advance::Ahead(ahead),
            (0, behind) => Advance::Behind(behind),
            (ahead, behind) => Advance::Diverged { ahead, behind },
        };
        prop_assert_eq!(GtidSet::compare(&one.clone().into(), &two.clone().into()), Some(advance));
        // What is certain from a position is true of the log.
        let known = one.difference(&two.position());
        let is_beyond = |g: &MariadbGtid| two.seq(0, g.server).is_none_or(|seq| seq < g.seq);
        for range in known.missing() {
            prop_assert!(is_beyond(&range.last_gtid()));
        }
        for gtid in one.iter().filter(|gtid| is_beyond(gtid)) {
            let is_reported = known.missing().iter().any(|range| range.last_gtid() == gtid)
                || known.unknown().contains(&gtid);
            prop_assert!(is_reported, "{gtid} is neither missing nor unknown");
        }
    }

    #[test]
    fn no_text_makes_reading_panic(
        text in any::<String>(), set in sets(), at in any::<prop::sample::Index>(),
    ) {
        drop(MariadbGtidSet::parse(&text));
        let mut spoiled = set.to_string();
        spoiled.insert_str(at.index(spoiled.len() + 1), &text);
        drop(MariadbGtidSet::parse_state(&spoiled));
    }

    #[test]
    fn whatever_is_read_prints_canonically(
        text in "([0-3]-[0-3]-[0-9]{1,3},){0,5}[0-3]-[0-3]-[0-9] ?",
    ) {
        if let Ok(set) = MariadbGtidSet::parse(&text) {
            prop_assert_eq!(MariadbGtidSet::parse(&set.to_string()).unwrap(), set);
        }
    }
}
