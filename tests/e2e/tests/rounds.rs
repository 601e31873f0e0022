//! A short selection of the rounds that `cargo xtask rounds` plays, with fixed seeds.

use anyhow::{Result, ensure};
use baton_e2e::rounds::{Draw, Ground, Tally, play};
use baton_sandbox::{BackendKind, Flavor, Need};

/// Numbers in a row of rounds with that seed; all on one ground.
fn play_all(kind: BackendKind, flavor: Flavor, seed: u64, numbers: &[u64]) -> Result<()> {
    let ground = Ground::start(kind, flavor)?;
    let mut tally = Tally::default();
    for number in numbers {
        let round = play(&ground, &Draw::new(seed, *number), None)?;
        println!("{}: {:?} in {:?}", round.draw, round.gap, round.took);
        tally.add(&round);
    }
    ensure!(tally.is_clean(), "{tally}");
    Ok(())
}

macro_rules! rounds {
    ($name:ident, $kind:expr, $flavor:expr, $seed:expr, $numbers:expr) => {
        #[test]
        fn $name() {
            baton_sandbox::require!($kind, $flavor, Need::Baton, Need::Namespaces);
            play_all($kind, $flavor, $seed, &$numbers).unwrap();
        }
    };
}

rounds!(
    on_galera,
    BackendKind::Galera,
    Flavor::MariaDb,
    4,
    [2, 7, 8, 9]
);
