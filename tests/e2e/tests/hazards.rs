//! A short selection of the rounds that `cargo xtask rounds --hazards` draws: what once left a
//! cluster without a primary.

use std::time::Duration;

use anyhow::{Result, ensure};
use baton_e2e::both_flavors;
use baton_e2e::hazards::{HazardDraw, Setting, Strike, Twist, play_hazard};
use baton_sandbox::Flavor;

/// Twist, pause, strike, and the source's side on everywhere.
type Round = (Twist, u64, Strike, bool);

fn play(flavor: Flavor, (twist, pause, strike, source_side_everywhere): Round) -> Result<()> {
    let draw = HazardDraw {
        seed: 0,
        number: 1,
        setting: Setting {
            flavor,
            replicas: 3,
            wait_for: 1,
            source_side_everywhere,
        },
        twist,
        pause: Duration::from_millis(pause),
        strike,
    };
    let round = play_hazard(&draw)?;
    println!("{draw}: {:?} in {:?}", round.gap, round.took);
    ensure!(round.violations.is_empty(), "{:?}", round.violations);
    ensure!(round.held.is_none(), "{:?}", round.held);
    Ok(())
}

/// Appliers hung, and with them whoever stopped them: nobody had the lock on the replicas any more,
/// and a switchover left its old primary closed for a minute.
fn sides(flavor: Flavor) -> Result<()> {
    play(flavor, (Twist::Nothing, 0, Strike::Cut, true))?;
    play(flavor, (Twist::Nothing, 0, Strike::Switchover, true))
}

both_flavors!(
    sites_that_set_the_sources_side_everywhere_have_a_primary,
    super::sides,
    Need::Namespaces
);

/// Receivers that look connected across a cut network; and a successor that dies 100 ms after its
/// first write.
fn second_death(flavor: Flavor) -> Result<()> {
    play(
        flavor,
        (Twist::ReplicationCut, 100, Strike::SecondDeath, false),
    )
}

both_flavors!(
    a_cut_network_and_two_deaths_leave_a_primary,
    super::second_death,
    Need::Namespaces
);
