//! The core's GTID sets against the servers' own functions, on random sets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use baton_core::gtid::{GNO_MAX, GtidSet, MariadbGtidSet, MysqlGtidSet};
use baton_sandbox::{Flavor, Sandbox, Server, ServerOptions, TopologySpec};

/// How many pairs of sets a flavour's functions are asked about.
const PAIRS: usize = 2000;
/// How many of them one statement asks about.
const PAIRS_PER_STATEMENT: usize = 250;
/// How many spoiled texts a server is asked to refuse or accept, one statement each.
const SPOILED_TEXTS: usize = 600;
/// How many states a MariaDB server is given, one after the other.
const STATES: usize = 150;
/// Far above what it takes.
const REPLICATION_LIMIT: Duration = Duration::from_secs(20);

/// Numbers that look random and are the same in each run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        let index = self.below(choices.len() as u64) as usize;
        choices.get(index).unwrap()
    }
}

const UUIDS: &[&str] = &[
    "00000000-0000-0000-0000-000000000001",
    "3e11fa47-71ca-11e1-9e33-c80aa9429562",
    "3E11FA47-71CA-11E1-9E33-C80AA9429562",
    "3e11fa4771ca11e19e33c80aa9429562",
    "{3e11fa47-71ca-11e1-9e33-c80aa9429563}",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
];
const TAGS: &[&str] = &["a", "_a", "A1", "a_b", "abcdefghijklmnopqrstuvwxyz012345"];
const SPACES: &[&str] = &["", "", "", "", "", " ", "\n", "\t "];

/// A set as people and servers write it: parts in any order, overlapping, spaced at will.
fn mysql_text(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(6) {
        write!(text, "{}{}", dice.pick(UUIDS), dice.pick(SPACES)).unwrap();
        for _ in 0..dice.below(7) {
            write!(text, ":{}", dice.pick(SPACES)).unwrap();
            if dice.below(4) == 0 {
                write!(text, "{}:", dice.pick(TAGS)).unwrap();
            }
            let lowest = if dice.below(12) == 0 { GNO_MAX - 30 } else { 1 };
            let first = lowest + dice.below(25);
            write!(text, "{first}").unwrap();
            if dice.below(2) == 0 {
                // Sometimes it ends before it starts.
                let last = first + dice.below(7) - u64::from(first > 1 && dice.below(2) == 0);
                write!(text, "{}-{last}", dice.pick(SPACES)).unwrap();
            }
            text.push_str(dice.pick(SPACES));
        }
        write!(text, ",{}", dice.pick(SPACES)).unwrap();
    }
    text
}

/// The same with one or two places changed, so that many are refused.
fn spoiled_mysql_text(dice: &mut Dice) -> String {
    const STRAYS: &[&str] = &[
        ":",
        "-",
        ",",
        " ",
        "0",
        "9",
        "x",
        "{",
        "}",
        "\n",
        "99999999999",
        "",
    ];
    let mut characters: Vec<char> = mysql_text(dice).chars().collect();
    for _ in 0..=dice.below(2) {
        let at = dice.below(characters.len() as u64 + 1) as usize;
        let end = (at + dice.below(2) as usize).min(characters.len());
        characters.splice(at..end, dice.pick(STRAYS).chars());
    }
    characters.into_iter().collect()
}

struct MysqlAnswer {
    first: String,
    without_second: String,
    is_subset: bool,
    union: String,
}

fn ask_mysql(server: &Server, pairs: &[(String, String)]) -> Result<Vec<MysqlAnswer>> {
    let questions: Vec<String> = pairs
        .iter()
        .enumerate()
        .map(|(index, (one, two))| {
            format!(
                "SELECT {index}, GTID_SUBTRACT('{one}', ''), GTID_SUBTRACT('{one}', '{two}'), \
                 GTID_SUBSET('{one}', '{two}'), GTID_SUBTRACT(CONCAT('{one}', ',', '{two}'), '')"
            )
        })
        .collect();
    let statement = format!("{} ORDER BY 1", questions.join(" UNION ALL "));
    let rows = server.query(&statement)?;
    rows.iter()
        .map(|row| {
            let value = |index| {
                row.at(index)
                    .map(str::to_owned)
                    .context("a value is missing")
            };
            Ok(MysqlAnswer {
                first: value(1)?,
                without_second: value(2)?,
                is_subset: value(3)? == "1",
                union: value(4)?,
            })
        })
        .collect()
}

#[test]
fn mysql_answers_the_same() {
    baton_sandbox::require!(Flavor::MySql);
    let sandbox = Sandbox::new("gtid-mysql").unwrap();
    let server = sandbox.mysql("p1", ServerOptions::default()).unwrap();
    let mut dice = Dice(1);
    let pairs: Vec<_> = (0..PAIRS)
        .map(|_| (mysql_text(&mut dice), mysql_text(&mut dice)))
        .collect();
    let mut subsets = 0;
    for chunk in pairs.chunks(PAIRS_PER_STATEMENT) {
        let answers = ask_mysql(&server, chunk).unwrap();
        assert_eq!(answers.len(), chunk.len());
        for ((one, two), answer) in chunk.iter().zip(answers) {
            let (first, second) = (
                MysqlGtidSet::parse(one).unwrap(),
                MysqlGtidSet::parse(two).unwrap(),
            );
            assert_eq!(first.to_string(), answer.first, "{one:?}");
            let rest = first.subtract(&second);
            assert_eq!(
                rest.to_string(),
                answer.without_second,
                "{one:?} without {two:?}"
            );
            assert_eq!(
                first.union(&second).to_string(),
                answer.union,
                "{one:?} and {two:?}"
            );
            assert_eq!(
                first.is_subset_of(&second),
                answer.is_subset,
                "{one:?} in {two:?}"
            );
            let both = first.subtract(&rest);
            assert_eq!(first.intersect(&second), both, "{one:?} with {two:?}");
            subsets += u32::from(answer.is_subset);
        }
    }
    assert!(subsets > 0, "the pairs are varied enough");
}

#[test]
fn mysql_refuses_the_same() {
    baton_sandbox::require!(Flavor::MySql);
    let sandbox = Sandbox::new("gtid-refusals").unwrap();
    let server = sandbox.mysql("p1", ServerOptions::default()).unwrap();
    let mut dice = Dice(2);
    let mut refused = 0;
    for _ in 0..SPOILED_TEXTS {
        let text = spoiled_mysql_text(&mut dice);
        let answer = server.scalar(&format!("SELECT GTID_SUBTRACT('{text}', '')"));
        match (MysqlGtidSet::parse(&text), answer) {
            (Ok(set), Ok(canonical)) => assert_eq!(set.to_string(), canonical, "{text:?}"),
            (Err(_), Err(error)) => {
                let cause = format!("{error:#}");
                assert!(cause.contains("Malformed GTID set"), "{text:?}: {cause}");
                refused += 1;
            }
            (ours, theirs) => panic!("{text:?}: we say {ours:?}, the server {theirs:?}"),
        }
    }
    println!("{refused} of {SPOILED_TEXTS} texts were refused by both");
    assert!(refused > SPOILED_TEXTS / 10 && refused < SPOILED_TEXTS * 9 / 10);
}

/// A state: servers of several domains in any order, each once.
fn mariadb_state(dice: &mut Dice) -> String {
    let mut servers: Vec<(u64, u64)> = Vec::new();
    for _ in 0..dice.below(8) {
        let server = (dice.below(3), 1 + dice.below(5));
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    let entries = servers.into_iter().map(|(domain, server)| {
        let seq = if dice.below(12) == 0 {
            u64::MAX
        } else {
            1 + dice.below(20)
        };
        format!("{domain}-{server}-{seq}")
    });
    entries.collect::<Vec<_>>().join(",")
}

fn variables(server: &Server, names: &[&str]) -> Result<Vec<String>> {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("@@GLOBAL.{name}"))
        .collect();
    let rows = server.query(&format!("SELECT {}", names.join(", ")))?;
    let row = rows.first().context("no row")?;
    (0..names.len())
        .map(|index| {
            row.at(index)
                .map(str::to_owned)
                .context("a value is missing")
        })
        .collect()
}

#[test]
fn mariadb_states_and_positions_read_back_the_same() {
    baton_sandbox::require!(Flavor::MariaDb);
    let sandbox = Sandbox::new("gtid-mariadb").unwrap();
    let server = sandbox.mariadb("p1", ServerOptions::default()).unwrap();
    let mut dice = Dice(3);
    for _ in 0..STATES {
        let text = mariadb_state(&mut dice);
        let set = MariadbGtidSet::parse_state(&text).unwrap();
        // A binary log that is not empty refuses a state.
        let statements = format!("RESET MASTER; SET GLOBAL gtid_binlog_state = '{text}'");
        server.exec(&statements).unwrap();
        let values = variables(&server, &["gtid_binlog_state", "gtid_binlog_pos"]).unwrap();
        let [state, position] = &values[..] else {
            panic!("two values: {values:?}")
        };
        assert_eq!(
            &MariadbGtidSet::parse_state(state).unwrap(),
            &set,
            "{text:?}"
        );
        assert_eq!(&set.position().to_string(), position, "{text:?}");
        // The server takes what we print for the same; only the order of those that are not
        // the last of their domain follows from its hash table.
        let statements = format!("RESET MASTER; SET GLOBAL gtid_binlog_state = '{set}'");
        server.exec(&statements).unwrap();
        let again = variables(&server, &["gtid_binlog_state"]).unwrap();
        let again = MariadbGtidSet::parse_state(again.first().unwrap()).unwrap();
        assert_eq!(again, set, "{text:?}");

        let statements = format!("RESET MASTER; SET GLOBAL gtid_slave_pos = '{position}'");
        server.exec(&statements).unwrap();
        let read_back = variables(&server, &["gtid_slave_pos"]).unwrap();
        let parsed = MariadbGtidSet::parse(position).unwrap();
        assert_eq!(read_back, [parsed.to_string()], "{text:?}");
    }
}

/// `MASTER_GTID_WAIT` with a time limit of zero answers whether a position is reached.
#[test]
fn mariadb_reaches_the_same_positions() {
    baton_sandbox::require!(Flavor::MariaDb);
    let sandbox = Sandbox::new("gtid-wait").unwrap();
    let server = sandbox.mariadb("p1", ServerOptions::default()).unwrap();
    let mut dice = Dice(4);
    let mut reached = 0;
    for _ in 0..STATES / 3 {
        let mut position = || {
            MariadbGtidSet::parse_state(&mariadb_state(&mut dice))
                .unwrap()
                .position()
        };
        let here = position();
        server
            .exec(&format!(
                "RESET MASTER; SET GLOBAL gtid_slave_pos = '{here}'"
            ))
            .unwrap();
        let wanted: Vec<_> = std::iter::repeat_with(position).take(20).collect();
        let waits = wanted
            .iter()
            .map(|wanted| format!("MASTER_GTID_WAIT('{wanted}', 0)"));
        let waits = waits.collect::<Vec<_>>().join(", ");
        let rows = server.query(&format!("SELECT {waits}")).unwrap();
        for (index, wanted) in wanted.iter().enumerate() {
            let is_reached = rows[0].at(index) == Some("0");
            assert_eq!(
                here.contains_position(wanted),
                is_reached,
                "{wanted} at {here}"
            );
            // As positions, the two kinds of containment part only where writers differ.
            let is_contained = here.contains(wanted);
            assert!(
                is_reached || !is_contained,
                "{wanted} is not reached at {here}"
            );
            reached += u32::from(is_reached);
        }
    }
    assert!(reached > 0, "the positions are varied enough");
}

/// What a server says of its own history, read as Baton reads it.
fn history(server: &Server) -> Result<GtidSet> {
    match server.flavor() {
        Flavor::MySql => {
            let executed = variables(server, &["gtid_executed"])?;
            Ok(GtidSet::parse_mysql(executed.first().context("no value")?)?)
        }
        Flavor::MariaDb => {
            let values = variables(server, &["gtid_binlog_state", "gtid_slave_pos"])?;
            let [state, position] = &values[..] else {
                anyhow::bail!("two values: {values:?}")
            };
            Ok(GtidSet::parse_mariadb_history(state, position)?)
        }
    }
}

/// Somebody writes to a replica, which goes on replicating.
fn errant_write_is_found(flavor: Flavor) -> Result<()> {
    let sandbox = Sandbox::new("gtid-errant")?;
    let mut spec = TopologySpec::primary_with_replicas(2);
    if flavor == Flavor::MariaDb {
        // Otherwise the next number from the primary breaks replication.
        let not_strict = "--gtid-strict-mode=OFF".to_owned();
        spec = spec.with_options("r1", |options| options.extra.push(not_strict));
    }
    let topology = sandbox.topology(flavor, &spec)?;
    let (primary, replica, clean) = (
        topology.primary(),
        topology.server("r1")?,
        topology.server("r2")?,
    );
    primary.exec("CREATE DATABASE errant")?;
    replica.wait_for(primary, REPLICATION_LIMIT)?;
    let before = history(replica)?;
    if flavor == Flavor::MySql {
        replica.exec("SET GLOBAL super_read_only = OFF")?;
    }
    replica.exec("CREATE DATABASE written_on_a_replica")?;
    let written = history(replica)?;
    primary.exec("CREATE DATABASE errant2; CREATE DATABASE errant3")?;
    for each in [replica, clean] {
        each.wait_for(primary, REPLICATION_LIMIT)?;
    }
    // Replicas before their source.
    let (replica_has, clean_has, primary_has) =
        (history(replica)?, history(clean)?, history(primary)?);
    let errant = GtidSet::errant(&replica_has, &primary_has).context("nothing found")?;
    println!("{flavor}: {errant:?}");
    assert_eq!(errant.count, 1);
    assert_eq!(Some(errant.text), written.surplus(&before));
    assert_eq!(errant.unknown, "");
    assert_eq!(GtidSet::errant(&clean_has, &primary_has), None);
    assert_eq!(clean_has.missing_count(&replica_has), Some(1));
    assert_eq!(before.missing_count(&primary_has), Some(2));
    Ok(())
}

#[test]
fn errant_write_on_mysql() {
    baton_sandbox::require!(Flavor::MySql);
    errant_write_is_found(Flavor::MySql).unwrap();
}

#[test]
fn errant_write_on_mariadb() {
    baton_sandbox::require!(Flavor::MariaDb);
    errant_write_is_found(Flavor::MariaDb).unwrap();
}
