//! A short selection of the rounds that `cargo xtask rounds` draws: four faults while a primary is
//! killed.

use std::time::Duration;

use anyhow::{Result, ensure};
use baton_e2e::rounds::{Draw, Fault, Ground, Moment, Tally, Trigger, play};
use baton_sandbox::{BackendKind, Flavor, Need};

const ROUNDS: [(Fault, Moment); 4] = [
    (
        Fault::LeaderAndNodeKilled,
        Moment::AfterBegun(Duration::from_millis(13)),
    ),
    (
        Fault::BackendDown,
        Moment::AfterTrigger(Duration::from_millis(62)),
    ),
    (
        Fault::LeaderCutFromPeers,
        Moment::AfterBegun(Duration::from_millis(23)),
    ),
    (
        Fault::LeaderCutOff,
        Moment::AfterTrigger(Duration::from_millis(5)),
    ),
];

fn play_all(kind: BackendKind, flavor: Flavor) -> Result<()> {
    let ground = Ground::start(kind, flavor)?;
    let mut tally = Tally::default();
    // From 2: of NDB the data node goes with the first node that is killed.
    for ((fault, moment), number) in ROUNDS.into_iter().zip(2..) {
        let draw = Draw {
            seed: 0,
            number,
            trigger: Trigger::Kill,
            fault,
            moment,
            lasting: Duration::from_millis(2500),
        };
        let round = play(&ground, &draw, None)?;
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
