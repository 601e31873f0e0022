//! What every implementation of the `Store` port must do: a suite that each runs in its tests.
//!
//! The suite uses nothing but the port. SQLite, the MySQL engines, the failsafe decorator and the
//! simulator's store run it.

mod journal;
mod leases;
mod nodes;
mod recoveries;
mod routes_audit;
pub mod sketch;
mod topology;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use baton_ports::{Store, StoreError};

type Case = for<'a> fn(&'a dyn Store) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The cases with their names.
macro_rules! cases {
    ($($module:ident :: $case:ident),* $(,)?) => {
        &[$((concat!(stringify!($module), "::", stringify!($case)), |store| Box::pin($module::$case(store)))),*]
    };
}

const CASES: &[(&str, Case)] = cases![
    leases::unknown_lease_is_none,
    leases::first_claim_is_held_with_a_positive_epoch,
    leases::held_lease_is_refused_to_others,
    leases::renewal_keeps_the_epoch_and_shows_life,
    leases::renewal_by_others_is_refused,
    leases::unchanged_lease_can_be_taken_over,
    leases::changed_lease_cannot_be_taken_over,
    leases::release_frees_and_the_next_epoch_is_greater,
    leases::release_of_others_changes_nothing,
    leases::same_node_claims_anew_as_a_new_holder,
    leases::a_new_epoch_exceeds_the_highest_ever_seen,
    leases::leases_are_separate,
    leases::one_of_many_contenders_wins,
    leases::no_epoch_is_granted_twice,
    leases::epoch_writes_are_fenced,
    topology::servers_round_trip,
    topology::put_does_not_touch_operators_words,
    topology::promotion_and_quarantine,
    topology::forgetting_a_server,
    topology::unknown_servers_are_conflicts,
    topology::clusters_are_named_once,
    topology::cluster_with_servers_stays,
    nodes::nodes_register_and_beat,
    nodes::members_are_recorded_under_the_lease,
    topology::histories_are_recorded_under_the_lease,
    topology::intended_primary,
    topology::older_epoch_never_overwrites_the_primary,
    topology::downtimes_end,
    topology::recoveries_are_enabled_until_switched_off,
    recoveries::round_trip,
    recoveries::one_runs_per_cluster,
    recoveries::numbers_grow,
    recoveries::same_identity_is_a_conflict,
    recoveries::ended_ones_do_not_run_again,
    recoveries::adoption_fences_the_earlier_owner,
    recoveries::adoption_never_goes_back_in_time,
    recoveries::adoption_of_ended_or_unknown_is_a_conflict,
    recoveries::paging_newest_first,
    recoveries::acknowledging,
    recoveries::taken_over_from_elsewhere,
    recoveries::only_one_of_two_taken_over_runs,
    recoveries::a_late_copy_of_an_ended_one_changes_nothing,
    journal::lines_are_kept_in_order,
    journal::refused_lines_leave_no_trace,
    journal::fenced_after_takeover,
    journal::lines_of_unknown_recoveries_are_conflicts,
    topology::intents_taken_over_from_elsewhere,
    routes_audit::newer_routes_stay,
    routes_audit::fenced_routes_change_nothing,
    routes_audit::audit_newest_first,
    routes_audit::ping_answers,
    routes_audit::texts_of_any_kind_survive,
];

/// Runs every case, each on a store of its own that `make` makes: empty, and shared with nobody.
///
/// # Panics
/// If the store does not keep the contract; the case's name is printed before.
pub async fn run<S, F, Made>(make: F)
where
    S: Store,
    F: Fn() -> Made,
    Made: Future<Output = S>,
{
    for (name, case) in CASES {
        let store = make().await;
        // Captured by the test harness, and shown if the case fails.
        println!("contract case {name}");
        case(&store).await;
    }
}

/// The value of a call that must succeed.
#[track_caller]
fn must<T>(result: Result<T, StoreError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("unexpected error: {error:?}"),
    }
}

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "called on the result of a call, where a borrow would be noise"
)]
fn must_conflict<T: Debug>(result: Result<T, StoreError>) {
    assert!(
        matches!(result, Err(StoreError::Conflict { .. })),
        "expected a conflict, got {result:?}"
    );
}

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "called on the result of a call, where a borrow would be noise"
)]
fn must_fence<T: Debug>(result: Result<T, StoreError>) {
    assert!(
        matches!(result, Err(StoreError::Fenced { .. })),
        "expected a fence, got {result:?}"
    );
}
