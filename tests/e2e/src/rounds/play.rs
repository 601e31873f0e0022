//! One round.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use baton_sandbox::{Server, Testimony, Witness, Writer, WriterReport, wait_until};
use serde_json::json;

use super::faults::Cast;
use super::verdict::{Standing, errant, wait_for_standing};
use super::{Draw, Ground, Moment, Trigger, Violation};
use crate::{Api, word};

/// For writing to begin, and for replicas to have what the primary has.
const LIMIT: Duration = Duration::from_secs(30);
/// For a recovery to begin, where the moment of the fault hangs on that.
const BEGIN_LIMIT: Duration = Duration::from_secs(8);
/// For somebody to take writes again while the fault lasts.
const RECOVER_LIMIT: Duration = Duration::from_secs(30);
/// How long writing has to go on after a fault to which nothing follows.
const QUIET: Duration = Duration::from_millis(500);
/// How often a log is looked at for the begin of a recovery.
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// What came of a round.
#[derive(Clone, Debug)]
pub struct Round {
    /// As drawn.
    pub draw: Draw,
    /// What must not have happened.
    pub violations: Vec<Violation>,
    /// The longest time without an acknowledged write, until writing went on.
    pub gap: Option<Duration>,
    /// Rows acknowledged.
    pub acknowledged: usize,
    /// Acknowledged rows that are not on the final primary.
    pub lost: usize,
    /// The most servers that took writes at one moment.
    pub most_open: usize,
    /// How long the round took, with healing.
    pub took: Duration,
}

/// Where logs go of rounds that deserve a look: those with violations, and those with a longer gap
/// than `slow`.
#[derive(Clone, Copy, Debug)]
pub struct Keep<'a> {
    /// A folder; each round makes one in it.
    pub folder: &'a Path,
    /// See above.
    pub slow: Duration,
}

impl<'a> Keep<'a> {
    /// As given on a command line: a folder, or none, and milliseconds.
    pub fn under(folder: Option<&'a Path>, slow: u64) -> Option<Self> {
        let slow = Duration::from_millis(slow);
        folder.map(|folder| Self { folder, slow })
    }
}

/// Plays a round and heals what it broke.
///
/// # Errors
/// If the ground cannot be used any more; what was found until then is in the message.
pub fn play(ground: &Ground, draw: &Draw, keep: Option<Keep<'_>>) -> Result<Round> {
    let begun = Instant::now();
    let leader = ground.wait_for_leader()?;
    let logs = Logs::mark(ground);
    if let Err(error) = ground.clear(leader) {
        if let Some(Keep { folder, .. }) = keep {
            logs.keep(ground, folder, draw)?;
        }
        return Err(error);
    }
    let cast = Cast {
        ground,
        draw,
        leader,
        node: ground.node_in_use(&ground.fleet[leader])?,
        primary: ground.primary()?,
    };
    let logs = Logs::mark(ground);
    let mut round = Round {
        draw: *draw,
        violations: Vec::new(),
        gap: None,
        acknowledged: 0,
        lost: 0,
        most_open: 0,
        took: Duration::ZERO,
    };
    let ended = run(&cast, &logs, &mut round);
    round.took = begun.elapsed();
    if let Some(Keep { folder, slow }) = keep
        && (ended.is_err() || !round.violations.is_empty() || round.gap > Some(slow))
    {
        logs.keep(ground, folder, draw)?;
    }
    ended.with_context(|| {
        let found = round.violations.iter().map(Violation::to_string);
        format!(
            "found until then: [{}]",
            found.collect::<Vec<_>>().join("; ")
        )
    })?;
    Ok(round)
}

fn run(cast: &Cast<'_>, logs: &Logs, round: &mut Round) -> Result<()> {
    let Cast { ground, draw, .. } = cast;
    cast.prepare()?;
    let witness = Witness::start(ground.topology.servers())?;
    let writer = ground.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    if draw.trigger == Trigger::Switchover {
        ask_for_switchover(cast)?;
    }
    let (triggered, faulted) = break_things(cast, logs)?;
    let is_recovered = wait_for_recovery(cast, &writer, faulted);
    if !is_recovered {
        let violation = Violation::NotRecovered(RECOVER_LIMIT);
        round.violations.push(violation);
    }
    ground.heal_baton()?;
    if !is_recovered {
        // Only then does the old primary come back: as it starts closed, nobody would replace it.
        wait_for_recovery(cast, &writer, faulted);
    }
    let gap = writer.snapshot().longest_gap_after(triggered);
    round.gap = gap.map(|gap| gap.length());
    ground.heal_cluster()?;
    match ground.settle() {
        Ok(_) => judge(cast, writer, witness, round),
        Err(violation) => {
            let text = format!("it did not settle: {violation}");
            round.violations.push(violation);
            judge_writes(cast, &writer.stop()?, &witness.stop(), round)?;
            anyhow::bail!(text)
        }
    }
}

/// From another thread, which may wait for the answer of a leader that died.
fn ask_for_switchover(cast: &Cast<'_>) -> Result<()> {
    let path = format!(
        "/api/v1/clusters/{}/switchover",
        cast.ground.cluster(cast.leader)?
    );
    let api = Api::new(cast.ground.fleet[cast.leader].api.base());
    thread::spawn(move || {
        // Whether it came about shows in who is primary.
        api.post_any(&path, &json!({})).ok();
    });
    Ok(())
}

/// The trigger and the fault; when each came.
fn break_things(cast: &Cast<'_>, logs: &Logs) -> Result<(Instant, Instant)> {
    if cast.draw.moment == Moment::Together {
        return thread::scope(|scope| {
            let trigger = scope.spawn(|| cast.trigger());
            let faulted = Instant::now();
            cast.begin()?;
            let triggered = trigger
                .join()
                .map_err(|_| anyhow!("the trigger panicked"))?;
            Ok((triggered?, faulted))
        });
    }
    let triggered = cast.trigger()?;
    wait_for_moment(cast, logs, triggered)?;
    let faulted = Instant::now();
    cast.begin()?;
    Ok((triggered, faulted))
}

fn wait_for_moment(cast: &Cast<'_>, logs: &Logs, triggered: Instant) -> Result<()> {
    match cast.draw.moment {
        Moment::Together => {}
        Moment::AfterTrigger(after) => sleep_until(triggered + after),
        Moment::AfterBegun(after) => {
            while triggered.elapsed() < BEGIN_LIMIT && !logs.has_begun(cast.ground, cast.leader)? {
                thread::sleep(LOOK_EVERY);
            }
            thread::sleep(after);
        }
    }
    Ok(())
}

fn sleep_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}

/// Waits until somebody takes writes again and the fault is over; false if nobody does.
fn wait_for_recovery(cast: &Cast<'_>, writer: &Writer, faulted: Instant) -> bool {
    let mut to_be_ended = true;
    let old = cast.primary.name();
    let is_writing = || match cast.draw.trigger {
        Trigger::Kill | Trigger::Freeze | Trigger::Cut => {
            writer.server_in_use().is_some_and(|name| name != old)
        }
        Trigger::Switchover | Trigger::Nothing => writer
            .last_acknowledged()
            .is_some_and(|at| at > faulted + QUIET),
    };
    let mut is_recovered = false;
    // Not as an error: what follows is healed and judged all the same.
    wait_until(
        "somebody takes writes and the fault is over",
        RECOVER_LIMIT,
        || {
            if to_be_ended && faulted.elapsed() > cast.draw.lasting {
                to_be_ended = false;
                cast.end()?;
            }
            is_recovered = is_recovered || is_writing();
            Ok(is_recovered && !to_be_ended)
        },
    )
    .ok();
    is_recovered
}

/// After all has settled: who follows whom, who has what.
fn judge(cast: &Cast<'_>, writer: Writer, witness: Witness, round: &mut Round) -> Result<()> {
    let Cast { ground, draw, .. } = cast;
    if writer.wait_for_rows(20, LIMIT).is_err() {
        round.violations.push(Violation::NotRecovered(LIMIT));
    }
    let primary = ground.primary()?.clone();
    let mut aside = Vec::new();
    for server in others(ground, &primary) {
        match wait_for_standing(server, &primary) {
            Ok(Standing::Follows) => {}
            Ok(Standing::SetAside) => aside.push(server),
            Err(violation) => round.violations.push(violation),
        }
    }
    judge_writes(cast, &writer.stop()?, &witness.stop(), round)?;
    for server in others(ground, &primary) {
        let own = errant(server, &primary)?;
        if !own.is_empty() && server.name() != cast.primary.name() {
            let violation = Violation::Diverged(server.name().to_owned(), own);
            round.violations.push(violation);
        }
    }
    let (old, new) = (cast.primary.name(), primary.name());
    if draw.trigger == Trigger::Nothing && old != new {
        let violation = Violation::Spurious(old.to_owned(), new.to_owned());
        round.violations.push(violation);
    }
    rebuild(ground, &primary, &aside)
}

fn judge_writes(
    cast: &Cast<'_>,
    report: &WriterReport,
    testimony: &Testimony,
    round: &mut Round,
) -> Result<()> {
    let old = cast.primary.name();
    round.acknowledged = report.acknowledged().len();
    // One that was out of reach wakes up as it was, and is closed then; with nobody to receive
    // what it is given it acknowledges nothing.
    let is_excused =
        |name: &str| name == old && matches!(cast.draw.trigger, Trigger::Freeze | Trigger::Cut);
    round.most_open = testimony.most_open();
    for (one, two, _) in testimony.open_together() {
        if !is_excused(&one) && !is_excused(&two) {
            round.violations.push(Violation::OpenTogether(one, two));
        }
    }
    let turns = turns(report);
    let is_back = turns.iter().enumerate().any(|(at, name)| {
        let earlier = turns.iter().take(at);
        earlier.into_iter().any(|other| other == name)
    });
    if is_back && turns.len() > recoveries_since(cast)? + 1 {
        round.violations.push(Violation::Interleaved(turns));
    }
    if let [primary] = cast.ground.topology.writable().as_slice() {
        let lost = report.lost_on(primary)?;
        round.lost = lost.len();
        if !lost.is_empty() {
            round.violations.push(Violation::Lost(lost));
        }
    }
    Ok(())
}

/// Who acknowledged, in turn.
fn turns(report: &WriterReport) -> Vec<String> {
    let mut names: Vec<String> = report
        .acknowledged()
        .iter()
        .map(|row| report.server_of(row).to_owned())
        .collect();
    names.dedup();
    names
}

/// Those that nobody has acknowledged as seen.
fn recoveries_since(cast: &Cast<'_>) -> Result<usize> {
    let leader = cast.ground.wait_for_leader()?;
    let rows = cast.ground.recoveries(leader)?;
    let changes = rows.iter().filter(|row| {
        ["failover", "switchover"].contains(&word(row, "kind"))
            && row
                .get("acknowledged")
                .is_none_or(serde_json::Value::is_null)
    });
    Ok(changes.count())
}

fn others<'a>(ground: &'a Ground, primary: &Server) -> impl Iterator<Item = &'a Server> {
    let name = primary.name().to_owned();
    let servers = ground.topology.servers().iter();
    servers.filter(move |server| server.name() != name)
}

/// What a person would do with a server that was set aside: it becomes a copy of a replica, and
/// the nodes forget what it was.
fn rebuild(ground: &Ground, primary: &Server, aside: &[&Server]) -> Result<()> {
    for server in aside {
        let address = server.address();
        ground.tell("forget", address)?;
        let mut replicas = others(ground, primary);
        let replica = replicas.find(|other| other.is_replicating().unwrap_or(false));
        server.rebuild_from(replica.context("a replica to copy")?)?;
        ground.discover(address)?;
    }
    for server in others(ground, primary) {
        wait_until(&format!("{server} follows"), LIMIT, || {
            server.is_replicating()
        })?;
        server.wait_for(primary, LIMIT)?;
    }
    let leader = ground.wait_for_leader()?;
    let servers = ground.topology.servers().len();
    ground.fleet.wait_for_discovery(leader, servers, LIMIT)
}

/// Where the nodes' logs were when the round began.
struct Logs {
    lengths: Vec<usize>,
}

impl Logs {
    fn mark(ground: &Ground) -> Self {
        let members = ground.fleet.members().iter();
        let length = |log: Vec<u8>| log.len();
        Self {
            lengths: members
                .map(|member| fs::read(member.log()).map_or(0, length))
                .collect(),
        }
    }

    fn since(&self, ground: &Ground, node: usize) -> Result<String> {
        let log = fs::read(ground.fleet[node].log()).context("read a node's log")?;
        let known = self.lengths.get(node).copied().unwrap_or(0);
        let new = log.get(known..).unwrap_or_default();
        Ok(String::from_utf8_lossy(new).into_owned())
    }

    fn has_begun(&self, ground: &Ground, node: usize) -> Result<bool> {
        Ok(self.since(ground, node)?.contains("recovery begun"))
    }

    fn keep(&self, ground: &Ground, folder: &Path, draw: &Draw) -> Result<()> {
        let kind = ground.backend.kind().config_name();
        let fault = draw.fault.to_string().replace(' ', "-");
        let folder = folder.join(format!("{kind}-{}-{}-{fault}", draw.seed, draw.number));
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))
        };
        for (node, member) in ground.fleet.members().iter().enumerate() {
            write(&format!("{}.log", member.name()), self.since(ground, node)?)?;
        }
        let servers = ground.topology.servers().iter();
        for server in servers.chain(ground.backend.nodes()) {
            write(&format!("{}.log", server.name()), server.log_tail(200))?;
        }
        Ok(())
    }
}
