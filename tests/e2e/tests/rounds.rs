//! A short selection of the rounds that `cargo xtask rounds` plays, with fixed seeds.

use anyhow::{Result, ensure};
use baton_e2e::rounds::{Draw, Ground, Tally, play};
use baton_sandbox::{BackendKind, Flavor, Need};

/// Seed and number: leader and backend node killed in mid-recovery, the whole backend killed, the
/// leader cut off from the other nodes in mid-recovery; each time the primary is killed.
const ROUNDS: [(u64, u64); 3] = [(2, 2), (1, 7), (2, 26)];

fn play_all(kind: BackendKind, flavor: Flavor) -> Result<()> {
    let ground = Ground::start(kind, flavor)?;
    let mut tally = Tally::default();
    for (seed, number) in ROUNDS {
        let round = play(&ground, &Draw::new(seed, number), None)?;
        println!("{}: {:?} in {:?}", round.draw, round.gap, round.took);
        tally.add(&round);
    }
    ensure!(tally.is_clean(), "{tally}");
    Ok(())
}

macro_rules! rounds {
    ($name:ident, $kind:expr, $flavor:expr) => {
        #[test]
        fn $name() {
            baton_sandbox::require!($kind, $flavor, Need::Baton, Need::Namespaces);
            play_all($kind, $flavor).unwrap();
        }
    };
}

rounds!(on_galera, BackendKind::Galera, Flavor::MariaDb);
rounds!(
    on_master_master,
    BackendKind::MasterMaster(Flavor::MariaDb),
    Flavor::MariaDb
);
rounds!(
    on_group_replication,
    BackendKind::GroupReplication,
    Flavor::MySql
);
rounds!(on_ndb, BackendKind::Ndb, Flavor::MariaDb);
