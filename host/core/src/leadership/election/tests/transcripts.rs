//! What one node does as things happen.

use std::time::Duration;

use super::play::{Play, TTL, peer, settings};
use crate::ids::{LeaseEpoch, NodeName};
use crate::leadership::{Contact, Order, Peers};

#[test]
fn a_free_lease_is_taken_renewed_and_given_up() {
    let mut play = Play::new(&[peer("n2")]);
    play.pass(50).granted(1, 1).pass(2_100).granted(1, 2);
    play.order(Order::StepDown).pass(10_100).denied("n2", 2, 5);
    insta::assert_snapshot!(play.text(), @r"
    10.00s started
        -> claim above epoch 0, if the lease is free
    10.05s granted
        lease taken: epoch 1
        = leader of epoch 1 until 20.00s
    11.05s time has passed
        = the lease counts as half a vote
    12.05s time has passed
        -> renew epoch 1
    12.15s granted
        = leader of epoch 1 until 22.05s
    12.15s order: step down
        leadership lost: given up
        -> release epoch 1
        = follower
        = the lease does not count as half a vote
    22.15s time has passed
        -> claim above epoch 1, if the lease is free
    22.25s denied: n2 holds epoch 2, renewal 5
    ");
}

/// Found by `the_lease_is_half_a_vote_for_at_most_one_node`: the store had executed a renewal, then
/// the release; another node took the lease; and the late answer to the renewal made the old leader
/// lead again.
#[test]
fn an_answer_that_comes_after_the_lease_was_given_up_is_not_used() {
    let mut play = Play::new(&[peer("n2")]);
    play.granted(1, 1).pass(2_100).order(Order::StepDown);
    play.granted(1, 2).pass(1_000);
    insta::assert_snapshot!(play.text(), @r"
    10.00s started
        -> claim above epoch 0, if the lease is free
    10.00s granted
        lease taken: epoch 1
        = leader of epoch 1 until 20.00s
    11.00s time has passed
        = the lease counts as half a vote
    12.00s time has passed
        -> renew epoch 1
    12.10s order: step down
        leadership lost: given up
        -> release epoch 1
        = follower
        = the lease does not count as half a vote
    12.10s granted
        -> release epoch 1
    ");
}

#[test]
fn the_lease_of_a_process_that_is_gone_is_claimed_early_and_votes_later() {
    let mut play = Play::new(&[peer("n2")]);
    play.denied("n2", 4, 7).pass(500);
    let now = play.now;
    play.contact("n2", Contact::Gone(now));
    play.granted(5, 1).pass(2_000).granted(5, 2).pass(2_000);
    play.granted(5, 3).pass(2_000);
    insta::assert_snapshot!(play.text(), @r"
    10.00s started
        -> claim above epoch 0, if the lease is free
    10.00s denied: n2 holds epoch 4, renewal 7
    10.50s n2 is gone
        -> claim above epoch 4, expecting epoch 4, renewal 7
    10.50s granted
        lease taken: epoch 5
        = leader of epoch 5 until 20.50s
    12.50s time has passed
        -> renew epoch 5
    12.50s granted
        = leader of epoch 5 until 22.50s
    14.50s time has passed
        -> renew epoch 5
    14.50s granted
        = leader of epoch 5 until 24.50s
    16.30s time has passed
        = the lease counts as half a vote
    16.50s time has passed
        -> renew epoch 5
    ");
}

#[test]
fn a_silent_leader_is_replaced_after_the_silence_limit_and_in_rank_order() {
    let mut first = Play::new(&[peer("n2")]);
    first.denied("n2", 4, 7);
    let now = first.now;
    first.contact("n2", Contact::Silent(now));
    first.denied("n2", 4, 7).pass(2_100);
    let mut second = Play::new(&[peer("n0"), peer("n2")]);
    second.denied("n2", 4, 7);
    second.contact("n2", Contact::Silent(now));
    second.denied("n2", 4, 7).pass(2_500);
    insta::assert_snapshot!(format!("{}--\n{}", first.text(), second.text()), @r"
    10.00s started
        -> claim above epoch 0, if the lease is free
    10.00s denied: n2 holds epoch 4, renewal 7
    10.00s n2 is silent
        -> claim above epoch 4, if the lease is free
    10.00s denied: n2 holds epoch 4, renewal 7
    12.00s time has passed
        -> claim above epoch 4, expecting epoch 4, renewal 7
    --
    10.00s started
        -> claim above epoch 0, if the lease is free
    10.00s denied: n2 holds epoch 4, renewal 7
    10.00s n2 is silent
        -> claim above epoch 4, if the lease is free
    10.00s denied: n2 holds epoch 4, renewal 7
    12.00s time has passed
        -> claim above epoch 4, if the lease is free
    12.40s time has passed
        leads without the store: epoch 5
        = leader of epoch 5 without the store, its own
    ");
}

#[test]
fn a_silent_leader_that_another_peer_hears_is_not_replaced() {
    let mut other = peer("n3");
    other.hears = vec![NodeName::new("n2")];
    let mut play = Play::new(&[peer("n2"), other]);
    play.denied("n2", 4, 7);
    let now = play.now;
    play.contact("n2", Contact::Silent(now));
    play.denied("n2", 4, 7).pass(2_500);
    insta::assert_snapshot!(play.text(), @r"
    10.00s started
        -> claim above epoch 0, if the lease is free
    10.00s denied: n2 holds epoch 4, renewal 7
    10.00s n2 is silent
        -> claim above epoch 4, if the lease is free
    10.00s denied: n2 holds epoch 4, renewal 7
    12.00s time has passed
        -> claim above epoch 4, if the lease is free
    ");
}

#[test]
fn a_silent_leader_that_renews_its_lease_is_not_replaced() {
    let mut play = Play::new(&[peer("n2")]);
    play.denied("n2", 4, 7);
    let now = play.now;
    play.contact("n2", Contact::Silent(now));
    play.denied("n2", 4, 7).pass(2_000).denied("n2", 4, 8);
    play.pass(2_000).denied("n2", 4, 9).pass(1_000);
    insta::assert_snapshot!(play.text(), @r"
    10.00s started
        -> claim above epoch 0, if the lease is free
    10.00s denied: n2 holds epoch 4, renewal 7
    10.00s n2 is silent
        -> claim above epoch 4, if the lease is free
    10.00s denied: n2 holds epoch 4, renewal 7
    12.00s time has passed
        -> claim above epoch 4, expecting epoch 4, renewal 7
    12.00s denied: n2 holds epoch 4, renewal 8
    14.00s time has passed
        -> claim above epoch 4, if the lease is free
    14.00s denied: n2 holds epoch 4, renewal 9
    ");
}

#[test]
fn a_leader_goes_on_without_the_store_and_renews_when_it_is_back() {
    let mut play = Play::new(&[peer("n2")]);
    play.granted(3, 1).pass(2_000).failed();
    for _ in 0..4 {
        play.pass(2_000).failed();
    }
    play.pass(2_000).granted(3, 2);
    insta::assert_snapshot!(play.text(), @r"
    10.00s started
        -> claim above epoch 0, if the lease is free
    10.00s granted
        lease taken: epoch 3
        = leader of epoch 3 until 20.00s
    11.00s time has passed
        = the lease counts as half a vote
    12.00s time has passed
        -> renew epoch 3
    12.00s no answer
    14.00s time has passed
        -> renew epoch 3
    14.00s no answer
    15.00s time has passed
        = the lease does not count as half a vote
    16.00s time has passed
        -> renew epoch 3
    16.00s no answer
    18.00s time has passed
        -> renew epoch 3
    18.00s no answer
    20.00s time has passed
        goes on without the store: epoch 3
        -> renew epoch 3
        = leader of epoch 3 without the store, granted
    20.00s no answer
    22.00s time has passed
        -> renew epoch 3
    22.00s granted
        lease taken: epoch 3
        = leader of epoch 3 until 32.00s
    ");
}

#[test]
fn a_node_leads_without_the_store_when_the_leader_is_gone() {
    let mut play = Play::new(&[peer("n2")]);
    play.denied("n2", 4, 7).pass(2_000).failed();
    let now = play.now;
    play.contact("n2", Contact::Gone(now)).failed().pass(400);
    play.failed().pass(100).granted(6, 1);
    insta::assert_snapshot!(play.text(), @r"
    10.00s started
        -> claim above epoch 0, if the lease is free
    10.00s denied: n2 holds epoch 4, renewal 7
    12.00s time has passed
        -> claim above epoch 4, if the lease is free
    12.00s no answer
    12.00s n2 is gone
        -> claim above epoch 4, expecting epoch 4, renewal 7
    12.00s no answer
    12.02s time has passed
        -> claim above epoch 4, expecting epoch 4, renewal 7
    12.32s time has passed
        leads without the store: epoch 5
        = leader of epoch 5 without the store, its own
    12.40s no answer
    12.50s time has passed
        -> claim above epoch 5, expecting epoch 4, renewal 7
    12.50s granted
        lease taken: epoch 6
        = leader of epoch 6 until 22.50s
    ");
}

#[test]
fn nobody_leads_without_the_store_beside_a_peer_that_does() {
    let mut play = Play::new(&[peer("n2"), peer("n3")]);
    play.denied("n2", 4, 7).pass(2_000).failed();
    let now = play.now;
    play.contact("n2", Contact::Gone(now)).leads("n3", 5, false);
    play.pass(1_000);
    insta::assert_snapshot!(play.text(), @r"
    10.00s started
        -> claim above epoch 0, if the lease is free
    10.00s denied: n2 holds epoch 4, renewal 7
    12.00s time has passed
        -> claim above epoch 4, if the lease is free
    12.00s no answer
    12.00s n2 is gone
        -> claim above epoch 4, expecting epoch 4, renewal 7
    12.00s n3 leads under epoch 5
    ");
}

#[test]
fn a_process_that_stalled_trusts_nothing_until_it_has_asked() {
    let mut play = Play::new(&[peer("n2")]);
    play.granted(3, 1).pass(1_100).stall(3_000);
    let epoch = |play: &Play| play.election.epoch_for(play.now, Duration::ZERO);
    assert_eq!(epoch(&play), None, "another node may lead by now");
    play.pass(20).granted(3, 2);
    assert_eq!(epoch(&play), Some(LeaseEpoch(3)));
    insta::assert_snapshot!(play.text(), @r"
    10.00s started
        -> claim above epoch 0, if the lease is free
    10.00s granted
        lease taken: epoch 3
        = leader of epoch 3 until 20.00s
    11.00s time has passed
        = the lease counts as half a vote
    14.10s runs again
        the process stalled for 3s
        -> renew epoch 3
        = the lease does not count as half a vote
    14.12s granted
        = leader of epoch 3 until 24.10s
        = the lease counts as half a vote
    ");
}

#[test]
fn an_operator_moves_the_lease_to_a_node_whose_leader_is_alive() {
    let mut play = Play::new(&[peer("n2")]);
    play.denied("n2", 4, 7)
        .pass(500)
        .order(Order::Lead)
        .pass(100);
    play.denied("n2", 4, 8).pass(100).granted(5, 1).pass(2_000);
    play.granted(5, 2).pass(2_000).granted(5, 3).pass(2_300);
    insta::assert_snapshot!(play.text(), @r"
    10.00s started
        -> claim above epoch 0, if the lease is free
    10.00s denied: n2 holds epoch 4, renewal 7
    10.50s order: lead
    10.60s time has passed
        -> claim above epoch 4, expecting epoch 4, renewal 7
    10.60s denied: n2 holds epoch 4, renewal 8
    10.70s time has passed
        -> claim above epoch 4, expecting epoch 4, renewal 8
    10.70s granted
        lease taken: epoch 5
        = leader of epoch 5 until 20.70s
    12.70s time has passed
        -> renew epoch 5
    12.70s granted
        = leader of epoch 5 until 22.70s
    14.70s time has passed
        -> renew epoch 5
    14.70s granted
        = leader of epoch 5 until 24.70s
    16.70s time has passed
        -> renew epoch 5
    16.90s time has passed
        = the lease counts as half a vote
    ");
}

#[test]
fn a_barred_process_gives_the_lease_up_and_claims_nothing() {
    let mut play = Play::new(&[peer("n2")]);
    play.granted(3, 1);
    play.order(Order::Bar("same name".to_owned())).pass(3_000);
    play.order(Order::Unbar).pass(200);
    insta::assert_snapshot!(play.text(), @r"
    10.00s started
        -> claim above epoch 0, if the lease is free
    10.00s granted
        lease taken: epoch 3
        = leader of epoch 3 until 20.00s
    10.00s order: do not act
        must not act: same name
        leadership lost: given up
        -> release epoch 3
        = follower
    13.00s order: act again
        may act again
    13.10s time has passed
        -> claim above epoch 3, if the lease is free
    ");
}

#[test]
fn a_lease_runs_out_where_nodes_do_not_lead_without_the_store() {
    let mut settings = settings("n1", TTL);
    settings.without_store = false;
    let mut play = Play::with(settings, &[]);
    play.granted(3, 1).pass(2_000).failed();
    for _ in 0..4 {
        play.pass(2_000).failed();
    }
    insta::assert_snapshot!(play.text(), @r"
    10.00s started
        -> claim above epoch 0, if the lease is free
    10.00s granted
        lease taken: epoch 3
        = leader of epoch 3 until 20.00s
    11.00s time has passed
        = the lease counts as half a vote
    12.00s time has passed
        -> renew epoch 3
    12.00s no answer
    14.00s time has passed
        -> renew epoch 3
    14.00s no answer
    15.00s time has passed
        = the lease does not count as half a vote
    16.00s time has passed
        -> renew epoch 3
    16.00s no answer
    18.00s time has passed
        -> renew epoch 3
    18.00s no answer
    20.00s time has passed
        leadership lost: the lease ran out
        -> claim above epoch 3, if the lease is free
        = follower
    20.00s no answer
    ");
}

/// A leader without the store under one epoch (granted or its own), beside a peer that leads
/// without the store under another one. Who gives way?
fn give_way([one, other]: [(bool, u64); 2]) -> [bool; 2] {
    let gives_way = |name: &str, (granted, epoch): (bool, u64), peer: (&str, bool, u64)| {
        let mut play = Play::leading_without_store(name, epoch, granted);
        play.peers = Peers(vec![super::play::peer(peer.0)]);
        play.leads(peer.0, peer.2, peer.1);
        play.election.role().epoch().is_none()
    };
    [
        gives_way("n1", one, ("n2", other.0, other.1)),
        gives_way("n2", other, ("n1", one.0, one.1)),
    ]
}

/// If both gave way, each would wait for the other until the store is back.
#[test]
fn of_two_that_lead_without_the_store_under_one_epoch_one_goes_on() {
    assert_eq!(give_way([(false, 14), (false, 14)]), [false, true]);
    assert_eq!(give_way([(false, 14), (true, 14)]), [true, false]);
    assert_eq!(give_way([(true, 14), (false, 14)]), [false, true]);
    assert_eq!(give_way([(false, 14), (false, 15)]), [true, false]);
    assert_eq!(give_way([(true, 15), (false, 14)]), [false, true]);
    assert_eq!(give_way([(true, 14), (true, 14)]), [false, false]);
}
