//! Laws of MySQL's sets, each also held against plain sets of single transactions.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::gtid::{GNO_MAX, Interval, MysqlGtidSet, Tag, Uuid};

type Part = (Uuid, Option<Tag>, Interval);

/// Few servers, tags and numbers, so that sets meet often; sometimes at the upper limit.
fn parts() -> impl Strategy<Value = Vec<Part>> {
    let uuid = (0..3_u8).prop_map(|byte| Uuid::from_bytes([byte; 16]));
    let tag = proptest::option::of(prop_oneof![Just("a"), Just("_b"), Just("c1")])
        .prop_map(|tag| tag.map(|text| text.parse().unwrap()));
    let first = prop_oneof![9 => 1..40_u64, 1 => (GNO_MAX - 40)..=GNO_MAX];
    let interval = (first, 0..6_u64).prop_map(|(first, more)| {
        Interval::from_first_to_last(first, (first + more).min(GNO_MAX)).unwrap()
    });
    proptest::collection::vec((uuid, tag, interval), 0..24)
}

fn sets() -> impl Strategy<Value = MysqlGtidSet> {
    parts().prop_map(|parts| parts.into_iter().collect())
}

fn members(set: &MysqlGtidSet) -> BTreeSet<(Uuid, Option<Tag>, u64)> {
    let numbers = set.iter().flat_map(|entry| {
        let intervals = entry.intervals.iter();
        intervals
            .flat_map(|interval| interval.start()..interval.end())
            .map(move |number| (entry.uuid, entry.tag.cloned(), number))
    });
    numbers.collect()
}

fn assert_normal(set: &MysqlGtidSet) {
    let mut previous_stream = None;
    for entry in set.iter() {
        let stream = Some((entry.uuid, entry.tag));
        assert!(previous_stream < stream, "streams ascend in {set:?}");
        previous_stream = stream;
        assert!(!entry.intervals.is_empty(), "no stream is empty in {set:?}");
        let mut previous_end = 0;
        for interval in entry.intervals.iter() {
            assert!(
                previous_end < interval.start(),
                "a gap before each interval in {set:?}"
            );
            assert!(
                interval.start() < interval.end(),
                "no interval is empty in {set:?}"
            );
            assert!(
                interval.last() <= GNO_MAX,
                "numbers are in range in {set:?}"
            );
            previous_end = interval.end();
        }
    }
}

proptest! {
    #[test]
    fn printing_and_reading_gives_the_same(set in sets()) {
        prop_assert_eq!(&MysqlGtidSet::parse(&set.to_string()).unwrap(), &set);
        prop_assert_eq!(&MysqlGtidSet::parse(&set.one_line().to_string()).unwrap(), &set);
    }

    #[test]
    fn the_order_of_parts_does_not_matter(
        (ordered, shuffled) in parts()
            .prop_flat_map(|parts| (Just(parts.clone()), Just(parts).prop_shuffle())),
    ) {
        let text: Vec<String> = shuffled
            .iter()
            .map(|(uuid, tag, interval)| match tag {
                Some(tag) => format!("{uuid}:{tag}:{interval}"),
                None => format!("{uuid}:{interval}"),
            })
            .collect();
        let collected: MysqlGtidSet = ordered.into_iter().collect();
        prop_assert_eq!(&MysqlGtidSet::parse(&text.join(" ,")).unwrap(), &collected);
        let mut grown = MysqlGtidSet::new();
        for (uuid, tag, interval) in shuffled {
            grown.insert(uuid, tag, interval);
        }
        prop_assert_eq!(&grown, &collected);
        assert_normal(&collected);
    }

    #[test]
    fn operations_agree_with_plain_sets(a in sets(), b in sets()) {
        let (plain_a, plain_b) = (members(&a), members(&b));
        prop_assert_eq!(members(&a.union(&b)), &plain_a | &plain_b);
        prop_assert_eq!(members(&a.intersect(&b)), &plain_a & &plain_b);
        prop_assert_eq!(members(&a.subtract(&b)), &plain_a - &plain_b);
        prop_assert_eq!(a.contains(&b), plain_a.is_superset(&plain_b));
        prop_assert_eq!(a.is_subset_of(&b), plain_a.is_subset(&plain_b));
        prop_assert_eq!(a.count(), plain_a.len() as u64);
        prop_assert_eq!(a.is_empty(), plain_a.is_empty());
        prop_assert_eq!(a == b, plain_a == plain_b);
        for entry in a.iter() {
            for number in (1..48).chain(GNO_MAX - 48..=GNO_MAX) {
                let member = (entry.uuid, entry.tag.cloned(), number);
                prop_assert_eq!(
                    entry.intervals.contains_number(number),
                    plain_a.contains(&member)
                );
            }
        }
    }

    #[test]
    fn results_are_in_normal_form(a in sets(), b in sets()) {
        assert_normal(&a.union(&b));
        assert_normal(&a.intersect(&b));
        assert_normal(&a.subtract(&b));
        let uuid = Uuid::from_bytes([1; 16]);
        assert_normal(&a.restrict_to_uuid(uuid));
        assert_normal(&a.without_uuid(uuid));
        prop_assert_eq!(a.restrict_to_uuid(uuid).union(&a.without_uuid(uuid)), a);
    }

    #[test]
    fn union_and_intersection_commute_associate_and_are_idempotent(
        a in sets(), b in sets(), c in sets(),
    ) {
        prop_assert_eq!(a.union(&b), b.union(&a));
        prop_assert_eq!(a.union(&b).union(&c), a.union(&b.union(&c)));
        prop_assert_eq!(&a.union(&a), &a);
        prop_assert_eq!(a.intersect(&b), b.intersect(&a));
        prop_assert_eq!(a.intersect(&b).intersect(&c), a.intersect(&b.intersect(&c)));
        prop_assert_eq!(&a.intersect(&a), &a);
        prop_assert_eq!(a.intersect(&b.union(&c)), a.intersect(&b).union(&a.intersect(&c)));
    }

    #[test]
    fn a_difference_is_disjoint_from_what_was_taken(a in sets(), b in sets()) {
        let rest = a.subtract(&b);
        prop_assert!(rest.intersect(&b).is_empty());
        prop_assert_eq!(rest.union(&a.intersect(&b)), a.clone());
        prop_assert_eq!(a.is_subset_of(&b), rest.is_empty());
        prop_assert!(a.union(&b).contains(&a));
    }

    #[test]
    fn no_text_makes_reading_panic(
        text in any::<String>(), set in sets(), at in any::<prop::sample::Index>(),
    ) {
        drop(MysqlGtidSet::parse(&text));
        let mut spoiled = set.to_string();
        spoiled.insert_str(at.index(spoiled.len() + 1), &text);
        drop(MysqlGtidSet::parse(&spoiled));
    }

    #[test]
    fn whatever_is_read_prints_canonically(
        text in "[0-3a: ,\n{}-]{0,80}|([01]{32}(:[0-9ab-]{0,5}){0,4},? ?){0,3}",
    ) {
        if let Ok(set) = MysqlGtidSet::parse(&text) {
            assert_normal(&set);
            prop_assert_eq!(MysqlGtidSet::parse(&set.to_string()).unwrap(), set);
        }
    }
}

/// A million intervals on each side: a quadratic algorithm would not come back from this.
#[test]
fn large_sets_are_handled_whole() {
    let uuids = (0..1000_u16).map(|id| {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&id.to_be_bytes());
        Uuid::from_bytes(bytes)
    });
    let parts = |offset: u64| {
        let uuids = uuids.clone();
        uuids.flat_map(move |uuid| {
            let numbers = (0..1000_u64).map(move |k| 4 * k + offset);
            numbers.map(move |n| (uuid, None, Interval::from_first_to_last(n, n + 1).unwrap()))
        })
    };
    let (a, b): (MysqlGtidSet, MysqlGtidSet) = (parts(1).collect(), parts(2).collect());
    assert_eq!(a.subtract(&b).count(), 1_000_000);
    assert_eq!(a.union(&b).count(), 3_000_000);
    assert_eq!(a.intersect(&b).count(), 1_000_000);
}
