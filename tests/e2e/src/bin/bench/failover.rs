//! From a fault to a writable server.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use baton_e2e::{Bed, BedOptions, millis, timeline};
use baton_sandbox::{Flavor, Writer};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

/// What is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// `mariadb` or `mysql`.
    #[arg(long, value_enum, default_value = "mariadb")]
    flavor: FlavorName,
    /// What happens to the primary.
    #[arg(long, value_enum, default_value = "kill")]
    scenario: Scenario,
    /// How often.
    #[arg(long, default_value_t = 10)]
    runs: u32,
    /// Also write the figures of each run to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Print the timeline of the last run.
    #[arg(long)]
    timeline: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum FlavorName {
    Mariadb,
    Mysql,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// `kill -9`.
    Kill,
    /// SIGSTOP.
    Hang,
    /// A planned change.
    Switchover,
}

impl Scenario {
    fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Hang => "hang",
            Self::Switchover => "switchover",
        }
    }
}

const LIMIT: Duration = Duration::from_secs(60);

/// Figures of one run, milliseconds.
struct Run {
    gap: f64,
    detected: Option<f64>,
    opened: Option<f64>,
    repointed: Option<f64>,
    acknowledged: usize,
    lost: usize,
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    let flavor = match options.flavor {
        FlavorName::Mariadb => Flavor::MariaDb,
        FlavorName::Mysql => Flavor::MySql,
    };
    let mut runs = Vec::new();
    for number in 1..=options.runs {
        let show = options.timeline && number == options.runs;
        let run = one(flavor, options.scenario, show).with_context(|| format!("run {number}"))?;
        println!(
            "run {number:>2}: {:>8.1} ms without acknowledged writes, {} of {} rows lost",
            run.gap, run.lost, run.acknowledged
        );
        runs.push(run);
    }
    print_table(flavor, options.scenario, &runs);
    if let Some(path) = &options.json {
        let rows: Vec<Value> = runs.iter().map(document).collect();
        fs::write(path, format!("{}\n", Value::Array(rows)))
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn one(flavor: Flavor, scenario: Scenario, show: bool) -> Result<Run> {
    let bed = Bed::start(&BedOptions::new("bench", flavor))?;
    let writer = Writer::start(bed.topology.servers())?;
    writer.wait_for_rows(300, LIMIT)?;
    let primary = &bed.topology["p1"];
    let (cluster, _) = bed.cluster()?;
    let (begun, kind) = match scenario {
        Scenario::Kill => (primary.kill9()?, "failover"),
        Scenario::Hang => (primary.freeze()?, "failover"),
        Scenario::Switchover => {
            let begun = Instant::now();
            bed.api.post(
                &format!("/api/v1/clusters/{cluster}/switchover"),
                &json!({}),
            )?;
            (begun, "switchover")
        }
    };
    writer.wait_for_other_than("p1", LIMIT)?;
    let recovery = bed.wait_for_recovery(kind, LIMIT)?;
    let count = writer.acknowledged_count();
    writer.wait_for_rows(count + 100, LIMIT)?;
    if scenario == Scenario::Hang {
        primary.kill9()?;
    }
    let report = writer.stop()?;
    let successor = bed
        .only_writable()
        .context("not exactly one server is writable")?;
    let lost = report.lost_on(successor)?.len();
    if show {
        println!("{}", timeline(&bed, &recovery)?);
    }
    let Some(gap) = report.handover_after(begun) else {
        bail!("the writer never moved on")
    };
    let id = recovery
        .get("id")
        .and_then(Value::as_str)
        .context("a recovery without id")?;
    let whole = bed.api.get(&format!("/api/v1/recoveries/{id}"))?;
    let steps = whole
        .get("steps")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    Ok(Run {
        gap: gap.length().as_secs_f64() * 1000.0,
        detected: at(&steps, "lock", "begun", false),
        opened: at(&steps, "promote", "done", true),
        repointed: at(&steps, "verify", "done", true),
        acknowledged: report.acknowledged().len(),
        lost,
    })
}

/// Milliseconds since the trigger of the first or last line of a phase.
fn at(steps: &[Value], phase: &str, stage: &str, last: bool) -> Option<f64> {
    let is =
        |step: &&Value, key: &str, word: &str| step.get(key).and_then(Value::as_str) == Some(word);
    let mut found = steps
        .iter()
        .filter(|s| is(s, "phase", phase) && is(s, "stage", stage));
    let step = if last {
        found.next_back()
    } else {
        found.next()
    };
    step.and_then(millis)
}

fn document(run: &Run) -> Value {
    json!({
        "gap_ms": run.gap, "detected_to_begun_ms": run.detected, "opened_ms": run.opened,
        "repointed_ms": run.repointed, "acknowledged": run.acknowledged, "lost": run.lost,
    })
}

fn print_table(flavor: Flavor, scenario: Scenario, runs: &[Run]) {
    println!(
        "\n{} {}, {} runs on {}",
        flavor.name(),
        scenario.word(),
        runs.len(),
        machine()
    );
    println!(
        "{:<52} {:>8} {:>8} {:>8}",
        "milliseconds", "median", "least", "most"
    );
    let figures: [(&str, Vec<f64>); 4] = [
        (
            "without acknowledged writes (writer's view)",
            runs.iter().map(|r| r.gap).collect(),
        ),
        (
            "loss noticed -> recovery begun",
            runs.iter().filter_map(|r| r.detected).collect(),
        ),
        (
            "loss noticed -> successor writable",
            runs.iter().filter_map(|r| r.opened).collect(),
        ),
        (
            "loss noticed -> all repointed and read back",
            runs.iter().filter_map(|r| r.repointed).collect(),
        ),
    ];
    for (name, mut values) in figures {
        values.sort_by(f64::total_cmp);
        let median = values.get(values.len() / 2).copied().unwrap_or(f64::NAN);
        let least = values.first().copied().unwrap_or(f64::NAN);
        let most = values.last().copied().unwrap_or(f64::NAN);
        println!("{name:<52} {median:>8.1} {least:>8.1} {most:>8.1}");
    }
    let lost: usize = runs.iter().map(|run| run.lost).sum();
    let all: usize = runs.iter().map(|run| run.acknowledged).sum();
    println!("acknowledged rows lost: {lost} of {all}");
}

/// Cores and processor, so that figures can be compared.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or(": unknown");
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    format!(
        "{cores} cores, {}, load {load}",
        model.trim_start_matches([' ', '\t', ':'])
    )
}
