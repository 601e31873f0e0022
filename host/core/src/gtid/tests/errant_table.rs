//! The questions a failover asks, in both flavours.

use std::collections::BTreeSet;

use crate::gtid::{Advance, Errant, GtidSet, Origin};

const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

fn mysql(text: &str) -> GtidSet {
    GtidSet::parse_mysql(&text.replace('U', UUID)).unwrap()
}

fn mariadb(state: &str) -> GtidSet {
    GtidSet::parse_mariadb_history(state, "").unwrap()
}

fn errant(count: u64, text: &str, unknown: &str) -> Errant {
    let text = text.replace('U', UUID);
    Errant {
        count,
        text,
        unknown: unknown.to_owned(),
        unknown_of: if unknown.is_empty() {
            BTreeSet::new()
        } else {
            BTreeSet::from([Origin::ServerId(1)])
        },
    }
}

#[test]
fn errant_transactions_of_mysql() {
    assert_eq!(GtidSet::errant(&mysql("U:1-5"), &mysql("U:1-9")), None);
    assert_eq!(GtidSet::errant(&mysql(""), &mysql("")), None);
    assert_eq!(
        GtidSet::errant(&mysql("U:1-9:t:1"), &mysql("U:1-7")),
        Some(errant(3, "U:8-9:t:1", ""))
    );
}

#[test]
fn errant_transactions_of_mariadb() {
    let source = mariadb("0-1-98,0-2-105");
    assert_eq!(GtidSet::errant(&mariadb("0-1-98,0-2-103"), &source), None);
    assert_eq!(
        GtidSet::errant(&mariadb("0-1-100"), &source),
        Some(errant(2, "0-1-99..100", ""))
    );
    assert_eq!(
        GtidSet::errant(&mariadb("0-1-98,0-3-99,0-2-105,1-3-1"), &source),
        Some(errant(2, "0-3-99,1-3-1", ""))
    );
}

#[test]
fn a_source_known_by_position_leaves_others_writes_unknown() {
    let source = GtidSet::parse_mariadb("0-2-105").unwrap();
    assert_eq!(
        GtidSet::errant(&mariadb("0-1-98,0-2-105"), &source),
        Some(errant(0, "", "0-1-98"))
    );
    assert_eq!(
        GtidSet::errant(&mariadb("0-1-98,0-3-106,0-2-105"), &source),
        Some(errant(1, "0-3-106", "0-1-98"))
    );
    let restored = GtidSet::parse_mariadb_history("0-2-105", "0-1-98").unwrap();
    assert_eq!(GtidSet::errant(&mariadb("0-1-98,0-2-105"), &restored), None);
}

#[test]
fn comparing() {
    let compare = |one: &str, two: &str| GtidSet::compare(&mysql(one), &mysql(two)).unwrap();
    assert_eq!(compare("U:1-5", "U:1-5"), Advance::Equal);
    assert_eq!(compare("U:1-5", "U:1-3"), Advance::Ahead(2));
    assert_eq!(compare("U:1-3", "U:1-5"), Advance::Behind(2));
    assert_eq!(
        compare("U:1-3:7", "U:1-5"),
        Advance::Diverged {
            ahead: 1,
            behind: 2
        }
    );
}

#[test]
fn operations_of_each_flavour() {
    let (one, two) = (mysql("U:1-5"), mysql("U:4-7"));
    assert_eq!(one.union(&two), mysql("U:1-7"));
    assert_eq!(one.subtract(&two), mysql("U:1-3"));
    assert_eq!(one.surplus(&two), Some(format!("{UUID}:1-3")));
    assert_eq!(one.missing_count(&two), Some(2));
    assert!(one.contains(&mysql("U:2")) && !one.contains(&two));
    let (one, two) = (mariadb("0-1-105"), mariadb("0-1-103"));
    assert_eq!(one.union(&two), one);
    assert_eq!(one.subtract(&two), mariadb("0-1-105"));
    assert_eq!(one.surplus(&two).as_deref(), Some("0-1-104..105"));
    assert_eq!(two.missing_count(&one), Some(2));
    assert!(one.contains(&two) && !two.contains(&one));
    assert!(one.empty_like().is_empty() && one.empty_like() == mariadb(""));
    assert_eq!(one.to_string(), "0-1-105");
}

#[test]
fn sets_of_different_flavours_have_nothing_in_common() {
    let (one, two) = (mysql("U:1-5"), mariadb("0-1-5"));
    for (one, two) in [(&one, &two), (&two, &one)] {
        assert_eq!(one.missing_count(two), None);
        assert_eq!(one.surplus(two), None);
        assert_eq!(GtidSet::compare(one, two), None);
        assert_eq!(&one.subtract(two), one);
        assert!(!one.contains(two) && one.contains(&two.empty_like()));
        assert_eq!(&one.union(two), one);
        assert_eq!(&one.empty_like().union(two), two);
        assert_eq!(
            GtidSet::errant(one, two),
            Some(Errant {
                count: 0,
                text: String::new(),
                unknown: one.to_string(),
                unknown_of: BTreeSet::new(),
            })
        );
    }
}

#[test]
fn histories_that_cannot_be_read() {
    assert!(GtidSet::parse_mysql("0-1-5").is_err());
    assert!(GtidSet::parse_mariadb(UUID).is_err());
    assert!(GtidSet::parse_mariadb_history("0-1-5", "x").is_err());
    assert!(GtidSet::parse_mariadb_history("x", "").is_err());
}
