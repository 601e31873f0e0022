//! What a MariaDB 10.11 server answered to the same texts, differences, and bad input.

use crate::gtid::{Advance, GtidSet, MariadbGtid, MariadbGtidSet};

fn state(text: &str) -> MariadbGtidSet {
    MariadbGtidSet::parse_state(text).unwrap()
}

fn position(text: &str) -> MariadbGtidSet {
    MariadbGtidSet::parse(text).unwrap()
}

#[test]
fn states_and_their_positions() {
    let cases = [
        ("", "", ""),
        (" \n", "", ""),
        ("0-1-5", "0-1-5", "0-1-5"),
        ("00-01-005", "0-1-5", "0-1-5"),
        ("0-1-5,0-2-6", "0-1-5,0-2-6", "0-2-6"),
        ("0-1-5,\n0-2-6 ", "0-1-5,0-2-6", "0-2-6"),
        // The last one written is the position, whatever its number.
        ("0-2-6,0-1-5", "0-2-6,0-1-5", "0-1-5"),
        ("0-1-9,0-2-9,0-3-7", "0-1-9,0-2-9,0-3-7", "0-3-7"),
        ("1-1-1,0-2-9,0-1-3", "0-2-9,0-1-3,1-1-1", "0-1-3,1-1-1"),
        ("0-3-1,0-1-2,0-2-3", "0-1-2,0-3-1,0-2-3", "0-2-3"),
        (
            "10-1-1,2-2-9,0-10-3,0-2-4",
            "0-10-3,0-2-4,2-2-9,10-1-1",
            "0-2-4,2-2-9,10-1-1",
        ),
        (
            "4294967295-4294967295-18446744073709551615",
            "4294967295-4294967295-18446744073709551615",
            "4294967295-4294967295-18446744073709551615",
        ),
    ];
    for (text, canonical, last) in cases {
        assert_eq!(state(text).to_string(), canonical, "{text:?}");
        assert_eq!(position(text).to_string(), canonical, "{text:?}");
        assert_eq!(state(text).position().to_string(), last, "{text:?}");
        assert_eq!(state(text).position(), position(last), "{text:?}");
    }
}

#[test]
fn texts_that_are_refused() {
    let texts = [
        "x",
        "0-1",
        "0-1-5-6",
        "0-1-5x",
        "0-1--5",
        "0-1-+5",
        "0 - 1 - 5",
        "0-1-5,",
        ",0-1-5",
        "0-1-5,,1-1-1",
        "4294967296-1-1",
        "0-4294967296-1",
        "0-1-18446744073709551616",
        "0-1-5, 0-1-6",
        "3e11fa47-71ca:1",
    ];
    let refusals = texts.map(|text| {
        let message = MariadbGtidSet::parse(text).expect_err(text).to_string();
        format!(
            "{text:24} {}",
            message.trim_start_matches("cannot read MariaDB GTIDs: ")
        )
    });
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    x                        no domain-server-sequence at byte 0: "x"
    0-1                      no domain-server-sequence at byte 0: "0-1"
    0-1-5-6                  no domain-server-sequence at byte 0: "0-1-5-6"
    0-1-5x                   no domain-server-sequence at byte 0: "0-1-5x"
    0-1--5                   no domain-server-sequence at byte 0: "0-1--5"
    0-1-+5                   no domain-server-sequence at byte 0: "0-1-+5"
    0 - 1 - 5                no domain-server-sequence at byte 0: "0 - 1 - 5"
    0-1-5,                   no domain-server-sequence at byte 6: ""
    ,0-1-5                   no domain-server-sequence at byte 0: ""
    0-1-5,,1-1-1             no domain-server-sequence at byte 6: ""
    4294967296-1-1           no domain-server-sequence at byte 0: "4294967296-1-1"
    0-4294967296-1           no domain-server-sequence at byte 0: "0-4294967296-1"
    0-1-18446744073709551616 no domain-server-sequence at byte 0: "0-1-18446744073709551616"
    0-1-5, 0-1-6             server 1 is twice in domain 0, again at byte 7
    3e11fa47-71ca:1          no domain-server-sequence at byte 0: "3e11fa47-71ca:1"
    "#);
}

/// The ranges missing in the second, then what is unknown, then how the first stands to it.
fn verdict_of(one: &MariadbGtidSet, two: &MariadbGtidSet) -> String {
    let difference = one.difference(two);
    let advance = GtidSet::compare(&one.clone().into(), &two.clone().into());
    let advance = match advance.unwrap() {
        Advance::Equal => "equal".to_owned(),
        Advance::Ahead(count) => format!("ahead {count}"),
        Advance::Behind(count) => format!("behind {count}"),
        Advance::Diverged { ahead, behind } => format!("diverged {ahead}/{behind}"),
    };
    let unknown: Vec<String> = difference
        .unknown()
        .iter()
        .map(ToString::to_string)
        .collect();
    format!("[{difference}] unknown [{}] {advance}", unknown.join(","))
}

#[test]
fn differences_of_states() {
    let cases = [
        ("", "", "[] unknown [] equal"),
        ("0-1-5", "", "[0-1-1..5] unknown [] ahead 5"),
        ("", "0-1-5", "[] unknown [] behind 5"),
        ("0-1-5", "0-1-5", "[] unknown [] equal"),
        ("0-1-105", "0-1-103", "[0-1-104..105] unknown [] ahead 2"),
        ("0-1-105", "0-1-104", "[0-1-105] unknown [] ahead 1"),
        // A failover in between: server 2 follows 1 at 99.
        (
            "0-1-98,0-2-105",
            "0-1-98",
            "[0-2-99..105] unknown [] ahead 7",
        ),
        (
            "0-1-98,0-2-105,0-3-110",
            "0-1-98",
            "[0-2-99..105,0-3-106..110] unknown [] ahead 12",
        ),
        (
            "0-1-98,0-2-105",
            "0-1-98,0-2-100",
            "[0-2-101..105] unknown [] ahead 5",
        ),
        // The old primary has two more than its successor knew.
        (
            "0-1-100",
            "0-1-98,0-2-105",
            "[0-1-99..100] unknown [] diverged 2/7",
        ),
        // It followed its successor afterwards, with its own two in its log.
        (
            "0-1-100,0-2-105",
            "0-1-98,0-2-105",
            "[0-1-99..100] unknown [] ahead 2",
        ),
        // Someone wrote to replica 3, which then received more.
        ("0-3-101,0-1-105", "0-1-105", "[0-3-101] unknown [] ahead 1"),
        // Domains stand for themselves.
        (
            "0-1-5,1-1-7",
            "0-1-5,1-1-3",
            "[1-1-4..7] unknown [] ahead 4",
        ),
        (
            "0-1-5,1-1-7",
            "0-1-6,1-1-3",
            "[1-1-4..7] unknown [] diverged 4/1",
        ),
    ];
    for (one, two, verdict) in cases {
        assert_eq!(
            verdict_of(&state(one), &state(two)),
            verdict,
            "{one} against {two}"
        );
    }
}

#[test]
fn differences_with_positions_never_take_unknown_for_absent() {
    let cases = [
        ("0-1-5", "0-1-5", "[] unknown [] equal"),
        ("0-1-105", "0-1-103", "[0-1-104..105] unknown [] ahead 2"),
        ("0-2-105", "0-1-98", "[0-2-99..105] unknown [] ahead 7"),
        // Server 1 may have written all of its 98 before server 2 reached 105.
        ("0-1-98", "0-2-105", "[] unknown [0-1-98] behind 7"),
        ("0-1-100", "0-2-100", "[] unknown [0-1-100] equal"),
        (
            "0-1-100,1-1-5",
            "0-2-100",
            "[1-1-1..5] unknown [0-1-100] ahead 5",
        ),
    ];
    for (one, two, verdict) in cases {
        assert_eq!(
            verdict_of(&position(one), &position(two)),
            verdict,
            "{one} against {two}"
        );
    }
    // Up to their position, they may have all of what server 2 wrote; the complete state says
    // that server 1 wrote nothing.
    assert_eq!(
        verdict_of(&state("0-2-110"), &position("0-1-105")),
        "[0-2-106..110] unknown [] diverged 5/1"
    );
    // A position may include all of a state's transactions, up to its own number.
    assert_eq!(
        verdict_of(&position("0-1-110"), &state("0-2-105")),
        "[0-1-106..110] unknown [] ahead 5"
    );
}

#[test]
fn joining_a_state_with_a_position() {
    // The state has it: its completeness stays.
    let covered = state("0-1-98,0-2-105").union(&position("0-1-98"));
    assert_eq!(covered, state("0-1-98,0-2-105"));
    // Restored from a backup at 98, then promoted as server 2.
    let restored = state("0-2-105").union(&position("0-1-98"));
    assert_eq!(restored.to_string(), "0-1-98,0-2-105");
    assert_eq!(
        verdict_of(&state("0-1-98,0-2-105"), &restored),
        "[] unknown [] equal"
    );
    assert_eq!(
        verdict_of(&state("0-9-50,0-1-98,0-2-105"), &restored),
        "[] unknown [0-9-50] equal"
    );
    assert_eq!(
        verdict_of(&state("0-1-98,0-3-99,0-2-105"), &restored),
        "[0-3-99] unknown [] ahead 1"
    );
    // A replica without log_slave_updates has only its own old writes in its log.
    let forgetful = state("0-3-50").union(&position("0-1-98"));
    assert_eq!(
        verdict_of(&state("0-3-50,0-2-80,0-1-98"), &forgetful),
        "[] unknown [0-2-80] equal"
    );
}

#[test]
fn containing() {
    // Diverged: the position is reached, the transactions are not there.
    let (old, new) = (state("0-1-100"), state("0-1-98,0-2-105"));
    assert!(new.contains_position(&old) && !new.contains(&old));
    assert!(!old.contains_position(&new) && !old.contains(&new));
    assert!(new.contains(&state("0-1-98,0-2-105")) && new.contains(&state("")));
    assert!(state("0-1-5").contains_position(&position("0-7-5")));
    assert!(!state("0-1-5").contains_position(&position("1-1-1")));
    assert_eq!(new.missing_count(&old), 2);
    assert_eq!(old.missing_count(&new), 7);
}

#[test]
fn parts_of_a_set() {
    let mut set = state("0-1-98,0-2-105");
    assert_eq!(set.highest(0), Some(105));
    assert_eq!(set.highest(1), None);
    assert_eq!(set.seq(0, 1), Some(98));
    assert_eq!(set.seq(0, 3), None);
    set.record(MariadbGtid {
        domain: 0,
        server: 1,
        seq: 99,
    });
    assert_eq!(set.to_string(), "0-2-105,0-1-99");
    assert_eq!(set.position().to_string(), "0-1-99");
    assert_eq!(set.subtract(&state("0-2-105")).to_string(), "0-1-99");
    assert_eq!(set.iter().count(), 2);
    assert_eq!(
        "0-1-99".parse(),
        Ok(MariadbGtid {
            domain: 0,
            server: 1,
            seq: 99
        })
    );
    assert!("0-1-99 ".parse::<MariadbGtid>().is_err());
}

#[test]
fn numbers_at_the_limit() {
    let most = state("0-1-18446744073709551615");
    assert_eq!(most.difference(&state("")).count(), u64::MAX);
    let two = state("0-1-18446744073709551615,1-1-18446744073709551615");
    assert_eq!(two.difference(&state("")).count(), u64::MAX);
    let diverged = state("0-1-18446744073709551615,0-2-18446744073709551615");
    assert_eq!(
        diverged.difference(&most).to_string(),
        "0-2-18446744073709551615"
    );
    assert_eq!(state("0-1-0").difference(&state("")).count(), 0);
}
