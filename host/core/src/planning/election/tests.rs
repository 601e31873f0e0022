use super::{AcceptedLoss, Choice, Consent, Election, ExpectedLoss, expected_loss};
use crate::ids::ServerId;
use crate::model::{RecoveryKind, Snapshot};
use crate::planning::{Blocked, candidates, loss_objections, raise_highest};
use crate::sketch;

fn id(name: &str) -> ServerId {
    ServerId::new(name)
}

/// The choice for p1's successor, in identity order, or the codes of what speaks against it.
fn choose(
    snapshot: &Snapshot,
    requested: Option<&str>,
    consent: Option<(&str, AcceptedLoss)>,
) -> Result<Choice, Vec<String>> {
    let list = candidates(snapshot, &id("p1"), None);
    let order: Vec<ServerId> = list.iter().map(|c| c.server.clone()).collect();
    let requested = requested.map(id);
    let consent = consent.map(|(server, loss)| Consent {
        server: id(server),
        loss,
    });
    let election = Election {
        kind: RecoveryKind::Failover,
        replaced: &id("p1"),
        order: &order,
        list: &list,
        snapshot,
        revoked_after: None,
        requested: requested.as_ref(),
        consent: consent.as_ref(),
    };
    let codes = |blocked: Blocked| blocked.reasons.into_iter().map(|why| why.code).collect();
    election.choose().map_err(codes)
}

fn chosen(text: &str) -> Result<String, Vec<String>> {
    choose(&sketch::snapshot(text), None, None).map(|choice| choice.successor.to_string())
}

const DEAD: &str = "p1 primary silent refused 2s ss=source";

/// The only acknowledger was restarted and threw its relay log away; then the primary died.
#[test]
fn what_was_received_once_is_not_forgotten() {
    for (primary, expected) in [
        (DEAD, Err(vec!["lost-since".to_owned()])),
        // Asynchronous: it is promoted, and the loss is stated.
        ("p1 primary silent refused 2s", Ok(5)),
    ] {
        let snapshot = sketch::snapshot(&format!(
            "cluster seen=1000
             {primary}
             r1 missing=5 <- p1 io=connecting acked=3s"
        ));
        let found = choose(&snapshot, None, None).map(|choice| choice.given_up);
        assert_eq!(found, expected, "{primary}");
        let loss = expected_loss(
            &snapshot,
            &id("p1"),
            &candidates(&snapshot, &id("p1"), None),
        );
        assert_eq!(loss, ExpectedLoss::AtMost { transactions: 5 }, "{primary}");
    }
}

#[test]
fn an_empty_server_or_one_with_a_gap_is_never_promoted() {
    for (replica, code) in [
        ("r1 missing=1000 <- p1 io=connecting", "empty"),
        ("r1 missing=900 <- p1 io=stopped:1236", "receiver-broken"),
    ] {
        let found = chosen(&format!(
            "cluster seen=1000\np1 primary silent refused 2s\n{replica}"
        ));
        assert_eq!(found, Err(vec![code.to_owned()]), "{replica}");
    }
}

#[test]
fn an_errant_transaction_neither_blocks_nor_spreads() {
    for flavor in ["", "mariadb"] {
        let two = |r1: &str, r2: &str| {
            let text = format!(
                "p1 {flavor} {DEAD}\nr1 {flavor} {r1} <- p1 io=connecting\nr2 {flavor} {r2} <- p1 io=connecting"
            )
            .replace(&format!("p1 {flavor} p1"), &format!("p1 {flavor}"));
            choose(&sketch::snapshot(&text), None, None)
        };
        // r1 has one that nobody else needs: r2 is promoted, and fetches nothing.
        let choice = two("errant=1", "").expect("r2 is clean");
        assert_eq!(
            (choice.successor, choice.catch_up_from),
            (id("r2"), None),
            "{flavor}"
        );
        // The laggard has one; each has one.
        assert_eq!(
            two("", "missing=3 errant=1").map(|c| c.successor),
            Ok(id("r1")),
            "{flavor}"
        );
        assert_eq!(
            two("errant=1", "errant=1").map(|c| c.given_up),
            Ok(0),
            "{flavor}"
        );
        // The errant one alone has the last rows: they cannot be had without it, so a person is
        // asked.
        let asked = two("errant=1", "missing=3");
        assert!(
            asked.expect_err("asked").contains(&"would-lose".to_owned()),
            "{flavor}"
        );
    }
}

#[test]
fn an_order_is_taken_literally() {
    let snapshot = sketch::snapshot(&format!(
        "{DEAD}
         r1 must_not <- p1 io=connecting
         r2 <- p1 io=connecting
         r3 silent refused 2s <- p1 io=connecting"
    ));
    assert_eq!(
        choose(&snapshot, None, None).map(|c| c.successor),
        Ok(id("r2"))
    );
    assert_eq!(
        choose(&snapshot, Some("r1"), None),
        Err(vec!["must-not".to_owned()])
    );
    assert_eq!(
        choose(&snapshot, Some("r3"), None),
        Err(vec!["not-read".to_owned()])
    );
    assert_eq!(
        choose(&snapshot, Some("r9"), None),
        Err(vec!["no-candidate".to_owned()])
    );
    // A named server may bring its errant transactions along: who names it wants it with them.
    let errant = sketch::snapshot(&format!("{DEAD}\nr1 errant=1 <- p1\nr2 <- p1"));
    assert_eq!(
        choose(&errant, Some("r1"), None).map(|c| c.successor),
        Ok(id("r1"))
    );
}

#[test]
fn consent_belongs_to_the_server_that_was_named_and_the_loss_that_was_shown() {
    use AcceptedLoss::{AtMost, Unknown};
    // r1 alone has the last rows, and cannot hand them on.
    let snapshot = sketch::snapshot(&format!(
        "{DEAD}
         r1 unapplied=5 <- p1 io=connecting sql=stopped:1062
         r2 missing=5 <- p1 io=connecting"
    ));
    let to = |server, consent| choose(&snapshot, Some(server), consent).map(|c| c.given_up);
    let lossy = || Err(vec!["would-lose".to_owned()]);
    assert_eq!(to("r2", None), lossy());
    assert_eq!(to("r2", Some(("r2", AtMost(4)))), lossy());
    assert_eq!(to("r2", Some(("r1", Unknown))), lossy());
    assert_eq!(to("r2", Some(("r2", AtMost(5)))), Ok(5));
    assert_eq!(
        to("r1", Some(("r1", Unknown))),
        Err(vec!["applier-broken".to_owned()])
    );
}

#[test]
fn who_may_still_acknowledge_blocks_until_a_person_accepts_it() {
    let split = "p1 primary silent timeout-connect 2s ss=source
         a <- p1 ss=replica
         b silent timeout-connect 2s <- p1 ss=replica
         c must_not <- p1";
    let snapshot = sketch::snapshot(split);
    let against = vec!["could-acknowledge".to_owned(), "may-hold".to_owned()];
    assert_eq!(
        choose(&snapshot, None, None).map(|c| c.given_up),
        Err(against.clone())
    );
    let few = Some(("a", AcceptedLoss::AtMost(10)));
    assert_eq!(
        choose(&snapshot, Some("a"), few).map(|c| c.given_up),
        Err(against)
    );
    let all = Some(("a", AcceptedLoss::Unknown));
    let choice = choose(&snapshot, Some("a"), all).expect("accepted");
    assert_eq!(choice.risked.len(), 2, "and it is said");
    let risked = sketch::snapshot(&format!("cluster risk=acknowledged\n{split}"));
    assert!(choose(&risked, None, None).is_ok());
    let list = candidates(&snapshot, &id("p1"), None);
    assert_eq!(
        loss_objections(&snapshot, &id("p1"), &list).len(),
        2,
        "known before it begins"
    );
    assert!(matches!(
        expected_loss(&snapshot, &id("p1"), &list),
        ExpectedLoss::Unknown { .. }
    ));
}

/// `{Baton, A} | {P, B, C, D}` without semi-synchronous replication.
#[test]
fn a_minority_of_the_members_promotes_nobody() {
    let chosen_beside = |others: &str| {
        chosen(&format!(
            "p1 primary silent timeout-connect 2s
             a <- p1
             b silent {others} 2s <- p1
             c silent {others} 2s <- p1
             d silent {others} 2s <- p1"
        ))
    };
    assert_eq!(
        chosen_beside("timeout-connect"),
        Err(vec!["minority".to_owned()])
    );
    // Their processes are gone: nobody is on another side.
    assert_eq!(chosen_beside("refused"), Ok("a".to_owned()));
    let pair = "p1 primary silent timeout-connect 2s\nr1 <- p1";
    assert_eq!(chosen(pair), Ok("r1".to_owned()));
}

#[test]
fn without_replicas_that_log_there_still_is_an_answer() {
    let text =
        format!("{DEAD}\nr1 noupdates <- p1 io=connecting\nr2 noupdates <- p1 io=connecting");
    assert_eq!(chosen(&text), Ok("r1".to_owned()));
    let text = format!("{DEAD}\nr1 noupdates <- p1 io=connecting\nr2 <- p1 io=connecting");
    assert_eq!(chosen(&text), Ok("r2".to_owned()));
}

/// m1 has rows of another cluster through its second channel: r1 lacks nothing.
#[test]
fn what_came_from_another_cluster_is_not_missing() {
    let snapshot = sketch::snapshot(
        "p1 primary silent refused 2s
         p2 rw errant=50
         m1 errant=unknown <- p1@one io=connecting <- p2@two
         r1 <- p1 io=connecting",
    );
    let list = candidates(&snapshot, &id("p1"), None);
    let missing = list.iter().map(|c| c.missing);
    assert!(
        missing.clone().all(|missing| missing == Some(0)),
        "{list:?}"
    );
}

#[test]
fn the_most_that_was_seen_grows_and_begins_anew_with_a_primary_that_lacks_it() {
    let count = |set: &crate::gtid::GtidSet| set.empty_like().missing_count(set);
    let calm = sketch::snapshot("p1 primary ss=source ahead=7\nr1 <- p1 missing=2");
    let highest = raise_highest(&calm, None).expect("something was read");
    assert_eq!(count(&highest.set), Some(1007), "acknowledged");
    for (text, expected) in [
        // Waiting sessions: what they wait for is not acknowledged.
        (
            "p1 primary ss=source ahead=7 waiting=2\nr1 missing=2 <- p1",
            998,
        ),
        ("p1 primary ahead=7\nr1 missing=2 <- p1", 998),
    ] {
        let found = raise_highest(&sketch::snapshot(text), None).expect("something was read");
        assert_eq!(count(&found.set), Some(expected), "{text}");
    }
    // Kept while the primary is away; given up with one that serves and lacks it.
    let dead = sketch::snapshot("p1 primary silent refused 2s\nr1 missing=9 <- p1");
    let kept = raise_highest(&dead, Some(&highest)).expect("kept");
    assert_eq!(count(&kept.set), Some(1007));
    let mut anew = sketch::snapshot("p1 primary missing=4\nr1 missing=4 <- p1");
    anew.taken_at = anew.taken_at.plus(std::time::Duration::from_secs(1));
    for server in anew.servers.values_mut() {
        let facts = server.facts.as_mut().expect("read");
        facts.at = facts.at.plus(std::time::Duration::from_secs(1));
    }
    let found = raise_highest(&anew, Some(&highest)).expect("something was read");
    assert_eq!(count(&found.set), Some(996));
}
