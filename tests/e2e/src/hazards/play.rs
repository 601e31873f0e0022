//! One round, and the table that many give.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use baton_sandbox::{Acknowledged, Server, Testimony, Witness, Writer, WriterReport, wait_until};
use serde_json::json;

use super::make::{Stage, start_bed};
use super::{HazardDraw, Strike, Twist};
use crate::rounds::{Standing, Violation, errant, wait_for_standing};
use crate::{Bed, word};

/// For writing to begin or to go on after everything was healed.
const LIMIT: Duration = Duration::from_secs(60);
/// For somebody to take writes while what was broken stays broken.
const TROUBLE: Duration = Duration::from_secs(20);
/// How long writing has to go on after something to which nothing need follow.
const QUIET: Duration = Duration::from_secs(2);
/// For what the primary has to arrive at a replica that follows it.
const ARRIVAL: Duration = Duration::from_secs(3);
/// Between a successor's first write and its death.
const SECOND_DEATH: Duration = Duration::from_millis(100);
/// How often whoever is the primary dies.
const FLAPS: usize = 4;

/// What came of a round.
#[derive(Clone, Debug)]
pub struct HazardRound {
    /// As drawn.
    pub draw: HazardDraw,
    /// What must not have happened.
    pub violations: Vec<Violation>,
    /// The longest time without an acknowledged write.
    pub gap: Option<Duration>,
    /// Why nobody took writes before everything was healed, if nobody did.
    pub held: Option<String>,
    /// Rows acknowledged.
    pub acknowledged: usize,
    /// How long the round took.
    pub took: Duration,
}

/// Starts servers and a node, plays a round, heals what it broke, and judges.
///
/// # Errors
/// If something does not start, or cannot be judged.
pub fn play_hazard(draw: &HazardDraw) -> Result<HazardRound> {
    let begun = Instant::now();
    let bed = start_bed(draw)?;
    let stage = Stage { bed: &bed, draw };
    let mut round = HazardRound {
        draw: *draw,
        violations: Vec::new(),
        gap: None,
        held: None,
        acknowledged: 0,
        took: Duration::ZERO,
    };
    let played = play(&stage, &mut round);
    round.took = begun.elapsed();
    if played.is_err() || !round.violations.is_empty() {
        tell(&bed)?;
    }
    played?;
    Ok(round)
}

/// For whoever looks for the reason.
fn tell(bed: &Bed) -> Result<()> {
    println!("{}", bed.baton()?.log_tail(80));
    for row in bed.recoveries().unwrap_or_default() {
        let path = format!("/api/v1/recoveries/{}", word(&row, "id"));
        let whole = bed.api.get(&path).unwrap_or(row);
        println!("{whole}");
    }
    Ok(())
}

fn play(stage: &Stage<'_>, round: &mut HazardRound) -> Result<()> {
    let bed = stage.bed;
    let witness = Witness::start(bed.topology.servers())?;
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    let ends_by_itself = stage.twist()?;
    thread::sleep(stage.draw.pause);
    let struck = Instant::now();
    let waited = strike(stage, &writer);
    if waited.is_err() {
        round.held = Some(why_held(bed));
    }
    if let Some(thread) = ends_by_itself {
        thread.join().ok();
    }
    stage.heal()?;
    if writer.wait_for_rows(20, LIMIT).is_err() {
        let why = why_held(bed);
        // With servers set aside there may be too few to acknowledge: named, and for a person.
        if has_acknowledgers(stage)? || !why.contains("primary-semi-sync-locked") {
            round.violations.push(Violation::NotRecovered(LIMIT));
        }
        round.held = Some(format!("after all was healed, too: {why}"));
    }
    let gap = writer.snapshot().longest_gap_after(struck);
    round.gap = gap.map(|gap| gap.length());
    judge(stage, writer, witness, round)
}

/// A person made it what it is: it is left so.
fn is_by_hand(stage: &Stage<'_>, server: &Server) -> bool {
    let by_hand = [
        Twist::Opened,
        Twist::Stopped,
        Twist::ApplierStopped,
        Twist::Reset,
        Twist::Errant,
        Twist::Emptied,
    ];
    let touched = stage.touched();
    by_hand.contains(&stage.draw.twist) && touched.iter().any(|name| name == server.name())
}

/// Whether as many servers have nothing of their own as the primary waits for.
fn has_acknowledgers(stage: &Stage<'_>) -> Result<bool> {
    let [primary] = stage.bed.topology.writable()[..] else {
        return Ok(true);
    };
    let mut fit = 0;
    for server in stage.bed.topology.servers() {
        let is_other = server.name() != primary.name() && !is_by_hand(stage, server);
        let is_fit = is_other && errant(server, primary)?.is_empty();
        fit += u32::from(is_fit);
    }
    Ok(fit >= stage.draw.setting.wait_for)
}

/// Strikes, and waits until somebody takes writes. An error says that nobody does.
fn strike(stage: &Stage<'_>, writer: &Writer) -> Result<()> {
    let bed = stage.bed;
    match stage.draw.strike {
        Strike::Switchover => {
            let (cluster, _) = bed.cluster()?;
            let path = format!("/api/v1/clusters/{cluster}/switchover");
            // Refused or not, clients go on.
            bed.api.post_any(&path, &json!({})).ok();
            wait_for_writes(writer)
        }
        Strike::Nothing | Strike::Restart => {
            stage.strike(&bed.topology["p1"])?;
            wait_for_writes(writer)
        }
        Strike::Kill | Strike::Freeze | Strike::Cut => {
            stage.strike(&bed.topology["p1"])?;
            writer.wait_for_other_than("p1", TROUBLE)
        }
        Strike::SecondDeath => {
            stage.strike(&bed.topology["p1"])?;
            writer.wait_for_other_than("p1", TROUBLE)?;
            thread::sleep(SECOND_DEATH);
            let second = in_use(bed, writer)?;
            second.kill9()?;
            wait_for_another(writer, second.name())
        }
        Strike::Flap => {
            for _ in 0..FLAPS {
                let primary = in_use(bed, writer)?;
                stage.strike(primary)?;
                let replaced = wait_for_another(writer, primary.name());
                primary.restart_closed()?;
                replaced?;
                thread::sleep(Duration::from_secs(1));
            }
            Ok(())
        }
    }
}

fn in_use<'a>(bed: &'a Bed, writer: &Writer) -> Result<&'a Server> {
    let name = writer.server_in_use().context("nobody takes writes")?;
    bed.topology.server(&name)
}

fn wait_for_another(writer: &Writer, old: &str) -> Result<()> {
    writer.wait_for_other_than(old, TROUBLE)
}

fn wait_for_writes(writer: &Writer) -> Result<()> {
    thread::sleep(QUIET);
    writer.wait_for_rows(5, TROUBLE)
}

/// What the node says of the cluster.
fn why_held(bed: &Bed) -> String {
    let told = || -> Result<String> {
        let (cluster, _) = bed.cluster()?;
        let path = format!("/api/v1/clusters/{cluster}/explanation");
        let answer = bed.api.get(&path)?;
        let text = |pointer: &str| {
            let list = answer.pointer(pointer).and_then(|list| list.as_array());
            let codes = list.into_iter().flatten().map(|entry| word(entry, "code"));
            codes.collect::<Vec<_>>().join(",")
        };
        Ok(format!(
            "{} [{}] [{}]",
            word(&answer, "summary"),
            text("/findings"),
            text("/obstacles")
        ))
    };
    told().unwrap_or_else(|error| format!("{error:#}"))
}

/// After everything was healed: one server takes writes, the others follow it or were set aside,
/// and nothing acknowledged is lost.
fn judge(
    stage: &Stage<'_>,
    writer: Writer,
    witness: Witness,
    round: &mut HazardRound,
) -> Result<()> {
    let primary = match wait_for_primary(stage) {
        Ok(primary) => primary,
        Err(names) => {
            round.violations.push(Violation::Writable(names));
            return Ok(());
        }
    };
    for server in stage.bed.topology.servers() {
        if server.name() == primary.name() || is_by_hand(stage, server) {
            continue;
        }
        // Below the primary, directly or through another replica: the writer goes on.
        let gets_all = || {
            server.is_replicating().unwrap_or(false) && server.wait_for(primary, ARRIVAL).is_ok()
        };
        if gets_all() {
            continue;
        }
        match wait_for_standing(server, primary) {
            Ok(Standing::Follows | Standing::SetAside) => {}
            Err(violation) => round.violations.push(violation),
        }
        let own = errant(server, primary)?;
        let followed = !matches!(stage.draw.twist, Twist::PrivilegedWriter)
            && server.name() != "p1"
            && !matches!(stage.draw.strike, Strike::Flap | Strike::SecondDeath);
        if !own.is_empty() && followed {
            let violation = Violation::Diverged(server.name().to_owned(), own);
            round.violations.push(violation);
        }
    }
    let report = writer.stop()?;
    judge_writes(stage, primary, (&report, &witness.stop()), round)
}

fn judge_writes(
    stage: &Stage<'_>,
    primary: &Server,
    (report, testimony): (&WriterReport, &Testimony),
    round: &mut HazardRound,
) -> Result<()> {
    let draw = stage.draw;
    round.acknowledged = report.acknowledged().len();
    ensure!(round.acknowledged > 0, "nothing was acknowledged");
    let mut lost = report.lost_on(primary)?;
    if draw.twist == Twist::Opened {
        // Whoever opens a replica that goes on replicating has made a second writer.
        let touched = stage.touched();
        let theirs = |row: &&Acknowledged| touched.iter().any(|name| name == report.server_of(row));
        let rows = report.acknowledged().iter().filter(theirs);
        let excused: BTreeSet<u64> = rows.map(|row| row.id).collect();
        lost.retain(|id| !excused.contains(id));
    }
    if !lost.is_empty() {
        round.violations.push(Violation::Lost(lost));
    }
    // One that was out of reach wakes up, or starts, as it was, and is closed then.
    let is_old =
        |name: &str| name == "p1" && !matches!(draw.strike, Strike::Switchover | Strike::Nothing);
    let touched = stage.touched();
    let is_opened =
        |name: &str| draw.twist == Twist::Opened && touched.iter().any(|other| other == name);
    let is_cut = |name: &str| {
        let cut = [Twist::ReplicationCut, Twist::OneWay, Twist::Flicker];
        cut.contains(&draw.twist) && name == "p1"
    };
    let is_excused = |name: &str| is_old(name) || is_opened(name) || is_cut(name);
    for (one, two, _) in testimony.open_together() {
        if !is_excused(&one) && !is_excused(&two) {
            round.violations.push(Violation::OpenTogether(one, two));
        }
    }
    let may_change = draw.strike != Strike::Nothing
        || matches!(
            draw.twist,
            Twist::ReplicationCut | Twist::OneWay | Twist::Opened
        )
        || draw.setting.wait_for > 1
        || draw.setting.replicas == 2;
    if primary.name() != "p1" && !may_change {
        let name = primary.name().to_owned();
        round
            .violations
            .push(Violation::Spurious("p1".to_owned(), name));
    }
    Ok(())
}

/// The one that takes writes; a replica that a person opened may do so beside it.
fn wait_for_primary<'a>(stage: &'a Stage<'_>) -> Result<&'a Server, Vec<String>> {
    let touched = stage.touched();
    let by_hand = |server: &&Server| {
        stage.draw.twist == Twist::Opened && touched.iter().any(|name| name == server.name())
    };
    let mut found = None;
    wait_until("one server takes writes", LIMIT, || {
        let mut open = stage.bed.topology.writable();
        if open.len() > 1 {
            open.retain(|server| !by_hand(server));
        }
        found = match open.as_slice() {
            [server] => Some(server.name().to_owned()),
            _ => None,
        };
        Ok(found.is_some())
    })
    .ok();
    let names = || {
        let open = stage.bed.topology.writable();
        open.iter().map(|server| server.name().to_owned()).collect()
    };
    let name = found.ok_or_else(names)?;
    stage.bed.topology.server(&name).map_err(|_| names())
}

/// What came of many rounds.
#[derive(Debug, Default)]
pub struct HazardTally {
    lines: BTreeMap<String, (usize, usize, usize)>,
    broken: usize,
}

impl HazardTally {
    /// Counts a round; `None`: it could not be played to its end.
    pub fn add(&mut self, draw: &HazardDraw, round: Option<&HazardRound>) {
        let is_broken = round.is_none_or(|round| !round.violations.is_empty());
        self.broken += usize::from(is_broken);
        for name in [
            format!("{:?}", draw.twist),
            format!("then {:?}", draw.strike),
            "all".into(),
        ] {
            let (count, held, broken) = self.lines.entry(name).or_default();
            *count += 1;
            *held += usize::from(round.is_some_and(|round| round.held.is_some()));
            *broken += usize::from(is_broken);
        }
    }

    /// Whether every round was as it must be.
    pub fn is_clean(&self) -> bool {
        self.broken == 0
    }
}

impl fmt::Display for HazardTally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<24} rounds   held violations", "")?;
        for (name, (count, held, broken)) in &self.lines {
            writeln!(formatter, "{name:<24} {count:>6} {held:>6} {broken:>10}")?;
        }
        Ok(())
    }
}
