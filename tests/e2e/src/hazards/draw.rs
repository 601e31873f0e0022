//! What is drawn by lot.

use std::fmt;
use std::time::Duration;

use baton_sandbox::Flavor;

use crate::lots::Lots;

/// How the servers are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Of all servers.
    pub flavor: Flavor,
    /// Replicas of the primary.
    pub replicas: u32,
    /// Acknowledgements that a commit waits for; MariaDB knows only 1.
    pub wait_for: u32,
    /// The source's side of semi-synchronous replication is on everywhere.
    pub source_side_everywhere: bool,
}

/// What happens before something strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Twist {
    /// The primary and its replicas are cut off from each other.
    ReplicationCut,
    /// Baton and a replica are cut off from everybody else.
    SmallSide,
    /// A replica is killed and restarted; it throws its relay log away.
    Restarted,
    /// A replica is killed.
    Killed,
    /// Two replicas are killed.
    TwoKilled,
    /// A replica is frozen.
    Frozen,
    /// A person opens a replica.
    Opened,
    /// A person stops a replica.
    Stopped,
    /// A person has a replica forget its source.
    Reset,
    /// An empty server takes a replica's place.
    Emptied,
    /// Somebody writes on the primary, whatever `read_only` says.
    PrivilegedWriter,
    /// A replica has a row of its own.
    Errant,
    /// A replica applies 30 s later.
    Delayed,
    /// A replica's applier was stopped.
    ApplierStopped,
    /// A backup's table lock keeps a replica from applying.
    Locked,
    /// What replicas send to the primary does not arrive; what it sends arrives.
    OneWay,
    /// Three times in ten the primary is cut off from everybody but the clients, for a while.
    Flicker,
    /// Nothing.
    Nothing,
}

impl Twist {
    /// All.
    pub const ALL: [Self; 18] = [
        Self::ReplicationCut,
        Self::SmallSide,
        Self::Restarted,
        Self::Killed,
        Self::TwoKilled,
        Self::Frozen,
        Self::Opened,
        Self::Stopped,
        Self::Reset,
        Self::Emptied,
        Self::PrivilegedWriter,
        Self::Errant,
        Self::Delayed,
        Self::ApplierStopped,
        Self::Locked,
        Self::OneWay,
        Self::Flicker,
        Self::Nothing,
    ];
}

impl Twist {
    fn stops_an_applier(self) -> bool {
        matches!(
            self,
            Self::Stopped | Self::Reset | Self::Delayed | Self::ApplierStopped | Self::Errant
        )
    }
}

/// What strikes the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strike {
    /// The primary is killed.
    Kill,
    /// The primary is killed and restarted at once, as its file says: writable.
    Restart,
    /// The primary is frozen.
    Freeze,
    /// The primary is cut off from Baton and the replicas; clients reach it.
    Cut,
    /// A planned change.
    Switchover,
    /// The primary is killed, and its successor 100 ms after it took the first write.
    SecondDeath,
    /// Whoever is the primary is killed and comes back, four times.
    Flap,
    /// Nothing.
    Nothing,
}

impl Strike {
    /// All but nothing.
    pub const OTHERS: [Self; 7] = [
        Self::Kill,
        Self::Restart,
        Self::Freeze,
        Self::Cut,
        Self::Switchover,
        Self::SecondDeath,
        Self::Flap,
    ];
}

/// One round, as drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HazardDraw {
    /// The seed of the row of rounds.
    pub seed: u64,
    /// Its number in the row, from 1.
    pub number: u64,
    /// How the servers are set up.
    pub setting: Setting,
    /// What happens first.
    pub twist: Twist,
    /// How long after that it strikes.
    pub pause: Duration,
    /// What strikes.
    pub strike: Strike,
}

impl HazardDraw {
    /// The round of that number.
    pub fn new(seed: u64, number: u64, flavor: Option<Flavor>) -> Self {
        let mut lots = Lots::new(seed, number);
        let turn = usize::try_from((number + seed) % Twist::ALL.len() as u64).unwrap_or_default();
        let twist = Twist::ALL.get(turn).copied().unwrap_or(Twist::Nothing);
        let strike = lots.pick(Strike::Nothing, &Strike::OTHERS);
        let drawn = lots.pick(Flavor::MariaDb, &[Flavor::MySql]);
        let flavor = flavor.unwrap_or(drawn);
        let replicas = lots.pick(2, &[3, 3, 4]);
        let wait_for = match flavor {
            Flavor::MariaDb => 1,
            Flavor::MySql => lots.pick(1, &[1, 2]),
        };
        let setting = Setting {
            flavor,
            replicas,
            wait_for,
            // Where an applier waits for acknowledgements a person's own statements hang.
            source_side_everywhere: lots.below(4) == 0 && !twist.stops_an_applier(),
        };
        let pause = lots.pick(0, &[100, 1_000, 4_000]);
        Self {
            seed,
            number,
            setting,
            twist,
            pause: Duration::from_millis(pause) + lots.up_to(200),
            strike,
        }
    }
}

impl fmt::Display for HazardDraw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setting {
            flavor,
            replicas,
            wait_for,
            source_side_everywhere,
        } = self.setting;
        let sides = if source_side_everywhere {
            ", source's side on everywhere"
        } else {
            ""
        };
        write!(
            formatter,
            "seed {} round {}: {flavor}, {replicas} replicas, waits for {wait_for}{sides}: {:?}, {:.1} s later {:?}",
            self.seed,
            self.number,
            self.twist,
            self.pause.as_secs_f64(),
            self.strike,
        )
    }
}
