//! `cargo xtask demo`: a real topology, a real failover, before your eyes.

use std::io::{self, Write as _};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result};
use baton_e2e::{Bed, BedOptions, timeline};
use baton_sandbox::{Flavor, Writer, find_baton};
use clap::Parser;
use serde_json::Value;

/// Starts a primary with three replicas and one below the first, starts Baton, writes, kills the
/// primary, and shows what happened.
#[derive(Parser)]
#[command(bin_name = "cargo xtask demo")]
struct Arguments {
    /// Leave everything running until Enter is pressed, and say where it is.
    #[arg(long)]
    keep: bool,
    /// `mariadb` or `mysql`.
    #[arg(long, default_value = "mariadb", value_parser = flavor)]
    flavor: Flavor,
}

fn flavor(text: &str) -> Result<Flavor, String> {
    match text {
        "mariadb" => Ok(Flavor::MariaDb),
        "mysql" => Ok(Flavor::MySql),
        other => Err(format!("{other:?} is neither mariadb nor mysql")),
    }
}

const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match demo(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    // A closed pipe ends the show, not the clean-up.
    drop(writeln!(io::stdout(), "{text}"));
}

fn baton(bed: &Bed, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(find_baton()?);
    command.args(arguments).env("BATON_API", bed.api.base());
    command
        .status()
        .with_context(|| format!("run baton {}", arguments.join(" ")))?;
    Ok(())
}

fn demo(arguments: &Arguments) -> Result<()> {
    say(&format!(
        "starting {}: a primary, three replicas, one replica below the first",
        arguments.flavor.name()
    ));
    let bed = Bed::start(&BedOptions::new("demo", arguments.flavor))?;
    say("\nBaton was told one replica's address and found the rest:\n");
    baton(&bed, &["topology"])?;
    let writer = Writer::start(bed.topology.servers())?;
    writer.wait_for_rows(500, LIMIT)?;
    let killed = bed.topology["p1"].kill9()?;
    say(&format!(
        "\n500 rows are written and more are coming. kill -9 of the primary, {}\n",
        bed.topology["p1"].address()
    ));
    writer.wait_for_other_than("p1", LIMIT)?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    say(&timeline(&bed, &failover)?);
    let rows = writer.acknowledged_count();
    writer.wait_for_rows(rows + 500, LIMIT)?;
    let gap = writer
        .snapshot()
        .handover_after(killed)
        .context("the writer never moved on")?;
    say(&format!(
        "the writer had no primary for {:.1} ms; then {} took its rows\n",
        gap.length().as_secs_f64() * 1000.0,
        gap.to
    ));
    say("the old primary starts again, writable as its configuration says:\n");
    bed.topology["p1"].restart()?;
    let rejoin = bed.wait_for_recovery("rejoin", LIMIT)?;
    say(&timeline(&bed, &rejoin)?);
    let set_aside = is_set_aside(&rejoin).then(|| bed.topology["p1"].port());
    if set_aside.is_some() {
        say(
            "it was killed between a write and the answer: it has what no replica received and no client was told of. Baton keeps it \
             closed and lets it follow nobody until a person has looked\n",
        );
    }
    bed.wait("the whole topology replicates", LIMIT, || {
        bed.api
            .get("/api/problems")
            .is_ok_and(|problems| is_well(&problems, set_aside))
    })?;
    baton(&bed, &["topology"])?;
    let report = writer.stop()?;
    let primary = bed
        .only_writable()
        .context("not exactly one server is writable")?;
    let lost = report.lost_on(primary)?;
    say(&format!(
        "\n{} rows were acknowledged, {} of them are lost",
        report.acknowledged().len(),
        lost.len()
    ));
    if arguments.keep {
        keep(&bed)?;
    }
    Ok(())
}

fn is_set_aside(rejoin: &Value) -> bool {
    let succeeded = rejoin.get("outcome").and_then(Value::as_str) == Some("succeeded");
    !succeeded && rejoin.to_string().contains("that the primary lacks")
}

/// No server has a problem but the one with that port.
fn is_well(problems: &Value, except: Option<u16>) -> bool {
    let ports = problems.as_array().into_iter().flatten();
    let mut ports = ports.map(|server| server.pointer("/Key/Port").and_then(Value::as_u64));
    ports.all(|port| port.is_some() && port == except.map(u64::from))
}

fn keep(bed: &Bed) -> Result<()> {
    say(&format!(
        "\nBaton: {}  (export BATON_API={})",
        bed.api.base(),
        bed.api.base()
    ));
    for server in bed.topology.servers() {
        say(&format!(
            "{}: {} (pid {:?}, user app, password app)",
            server.name(),
            server.address(),
            server.pid()
        ));
    }
    say("Press Enter to end everything.");
    let mut line = String::new();
    io::stdin().read_line(&mut line).context("wait for Enter")?;
    Ok(())
}
