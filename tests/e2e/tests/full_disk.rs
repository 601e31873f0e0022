//! Full volumes: of a primary's binary log, of its data, of a replica's relay log.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use baton_e2e::{
    Bed, BedOptions, LIMIT, both_flavors, require_nothing_lost, wait_for_replication,
    wait_for_successor, word,
};
use baton_sandbox::{Flavor, Need, Sandbox};

/// From the full disk until it is named.
const FOUND_WITHIN: Duration = Duration::from_secs(5);
/// From the full disk until another server takes writes.
const REPLACED_WITHIN: Duration = Duration::from_secs(20);
/// From the full relay log until its replica is named.
const NAMED_WITHIN: Duration = Duration::from_secs(10);
/// From the moment when there is space until the replica follows.
const RECOVERED_WITHIN: Duration = Duration::from_secs(100);
/// From the death of a primary until another server takes writes.
const PROMPT: Duration = Duration::from_secs(5);
/// A fence that failed is tried again.
const CLOSED_WITHIN: Duration = Duration::from_mins(2);

/// A small volume of its own, gone with the value.
struct Volume {
    path: PathBuf,
}

impl Volume {
    /// For logs.
    fn mount(name: &str) -> Result<Self> {
        Self::sized(name, 24)
    }

    fn sized(name: &str, megabytes: u32) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        let mut mount = Command::new("mount");
        let options = format!("size={megabytes}m,mode=0777");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]);
        let status = mount.arg(&path).status().context("run mount")?;
        ensure!(status.success(), "mount: {status}");
        Ok(Self { path })
    }

    /// Moves the data of a server that does not run here.
    fn take(&self, data: &Path) -> Result<()> {
        let own = self.path.join("data");
        let mut copy = Command::new("cp");
        let status = copy.arg("-a").arg(data).arg(&own).status()?;
        ensure!(status.success(), "cp: {status}");
        fs::remove_dir_all(data)?;
        symlink(&own, data).context("link the data")
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }

    fn fill(&self) -> Result<()> {
        let mut file = File::create(self.filler())?;
        let block = vec![0_u8; 1 << 16];
        while file.write_all(&block).is_ok() {}
        let rest = [0_u8];
        while file.write_all(&rest).is_ok() {}
        Ok(())
    }

    fn free(&self) -> Result<()> {
        fs::remove_file(self.filler()).context("remove the filler")
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.path).status();
        if unmounted.is_ok_and(|status| status.success()) {
            let _gone = fs::remove_dir(&self.path);
        }
    }
}

/// Baton's commit probe, with the statement of the example configuration.
const ROW_PROBE: &str = "[topology.commit_probe]\ninterval = \"2s\"\n\
    statement = \"REPLACE INTO meta.commit_probe (id, at) VALUES (1, NOW(6))\"\n";

/// What it writes to, and a table to fill.
const PROBED: &str = "CREATE DATABASE meta; GRANT ALL ON meta.* TO 'baton'@'%'; \
    CREATE TABLE meta.commit_probe (id INT PRIMARY KEY, at DATETIME(6)); \
    CREATE TABLE app.big (id INT AUTO_INCREMENT PRIMARY KEY, t VARCHAR(1000))";

/// A primary with two replicas.
fn options(name: &str, flavor: Flavor) -> BedOptions {
    BedOptions {
        sketch: "p1\nr1 <- p1\nr2 <- p1".to_owned(),
        ..BedOptions::new(name, flavor)
    }
}

/// `server` has an option that puts something on a volume of its own. The node is not started.
fn servers(options: &BedOptions, server: &str, option: &str) -> Result<Bed> {
    let sandbox = Sandbox::new(&options.name)?;
    let spec = options.spec()?.with_options(server, |server| {
        server.extra.push(option.to_owned());
    });
    let topology = sandbox.topology(options.flavor, &spec)?;
    Bed::around(sandbox, topology, options)
}

fn start_baton(bed: &mut Bed) -> Result<()> {
    bed.start_baton()?;
    bed.wait_for_discovery(bed.topology.servers().len())
}

fn findings(bed: &Bed) -> String {
    let shown = bed.cluster().and_then(|(cluster, _)| {
        let path = format!("/api/v1/clusters/{cluster}/findings");
        bed.api.get(&path)
    });
    shown.map_or_else(|error| error.to_string(), |list| list.to_string())
}

/// When the last reading of a server began.
fn read_at(bed: &Bed, server: &str) -> Option<String> {
    let address = bed.topology[server].address().to_string();
    let servers = bed.api.get("/api/v1/servers").ok()?;
    let list = servers.get("items").unwrap_or(&servers).as_array()?;
    let mut items = list.iter();
    let found = items.find(|item| word(item, "address") == address)?;
    Some(word(found.get("probe")?, "answered_at").to_owned())
}

/// Waits until readings of a server were taken that began later.
fn wait_for_readings(bed: &Bed, server: &str) -> Result<()> {
    // The next one may have begun already.
    for _ in 0..2 {
        let last = read_at(bed, server).context("a server that was read")?;
        bed.wait("it is read again", LIMIT, || {
            read_at(bed, server).is_some_and(|at| at != last)
        })?;
    }
    Ok(())
}

/// Waits until a finding, or its evidence, has one of these codes.
fn wait_for_finding(bed: &Bed, codes: &[&str]) -> Result<()> {
    bed.wait(&format!("{codes:?} is shown"), LIMIT, || {
        let shown = findings(bed);
        codes.iter().any(|code| shown.contains(code))
    })
    .with_context(|| findings(bed))
}

/// Seven failovers in turn were undone: the fence waited for the commits that waited for space.
fn binary_log_is_full(options: &BedOptions) -> Result<()> {
    let flavor = options.flavor;
    let volume = Volume::mount(&format!("baton-{}-{flavor:?}", options.name))?;
    let log = format!("--log-bin={}", volume.path.join("binlog").display());
    let mut bed = servers(options, "p1", &log)?;
    bed.topology["p1"].exec(PROBED)?;
    start_baton(&mut bed)?;
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    volume.fill()?;
    let full = Instant::now();
    // The server itself says that its commits wait for space.
    wait_for_finding(&bed, &["waits-for-space"])?;
    let found = full.elapsed();
    wait_for_successor(&bed, &writer, "p1")?;
    writer.wait_for_rows(10, LIMIT)?;
    let replaced = full.elapsed();
    println!("{flavor:?}: found after {found:?}, commits again after {replaced:?}");
    ensure!(found < FOUND_WITHIN, "{found:?}");
    ensure!(replaced < REPLACED_WITHIN, "{replaced:?}");
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    volume.free()?;
    let freed = Instant::now();
    // MySQL may have ended: a session that is killed while it waits for space leaves a binary log
    // that cannot be written.
    bed.wait("the old primary is closed", CLOSED_WITHIN, || {
        let writable = bed.topology["p1"].is_writable();
        !writable.unwrap_or(false)
    })?;
    println!(
        "{flavor:?}: closed {:?} after there was space",
        freed.elapsed()
    );
    require_nothing_lost(&bed, writer)?;
    Ok(())
}

fn with_default_settings(flavor: Flavor) -> Result<()> {
    binary_log_is_full(&options("full-log", flavor))
}

both_flavors!(
    a_primary_whose_binary_log_has_no_space_is_replaced,
    super::with_default_settings,
    // Mounts a volume.
    Need::Namespaces
);

/// A commit of ours is among those that wait for space, and that the fence has to end.
fn with_commit_probe(flavor: Flavor) -> Result<()> {
    binary_log_is_full(&BedOptions {
        config: ROW_PROBE.to_owned(),
        ..options("full-log-probe", flavor)
    })
}

both_flavors!(
    a_primary_whose_binary_log_has_no_space_is_replaced_beside_a_commit_probe,
    super::with_commit_probe,
    Need::Namespaces
);

/// Its threads show as running, or its status hangs: neither says anything about the primary.
fn relay_log_is_full(options: &BedOptions) -> Result<()> {
    let flavor = options.flavor;
    let volume = Volume::mount(&format!("baton-{}-{flavor:?}", options.name))?;
    let log = format!("--relay-log={}", volume.path.join("relay").display());
    let mut bed = servers(options, "r1", &log)?;
    start_baton(&mut bed)?;
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    volume.fill()?;
    let full = Instant::now();
    wait_for_finding(&bed, &["replica-receives-nothing"])?;
    let found = full.elapsed();
    // It goes on without the one that is full.
    writer.wait_for_rows(100, LIMIT)?;
    wait_for_readings(&bed, "p1")?;
    let killed = bed.topology["p1"].kill9()?;
    wait_for_successor(&bed, &writer, "p1").with_context(|| findings(&bed))?;
    let took = killed.elapsed();
    println!("{flavor:?}: found after {found:?}, another primary after {took:?}");
    ensure!(found < NAMED_WITHIN, "{found:?}");
    ensure!(took < PROMPT, "{took:?}");
    ensure!(writer.server_in_use().as_deref() != Some("r1"));
    writer.wait_for_rows(100, LIMIT)?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    println!("{failover}");
    volume.free()?;
    let freed = Instant::now();
    // MariaDB looks for space once a minute. Words tell nothing: it has to have what is there now.
    // MySQL's did not follow within 100 s in one run: another session went on holding the cluster's
    // lock there, perhaps that of a `STOP REPLICA` that hung.
    if flavor == Flavor::MariaDb {
        let successor = writer.server_in_use().context("a writer")?;
        let successor = bed.topology.server(&successor)?;
        bed.topology["r1"].wait_for(successor, RECOVERED_WITHIN)?;
        println!("follows {:?} after there was space", freed.elapsed());
    }
    require_nothing_lost(&bed, writer)?;
    Ok(())
}

fn of_two_replicas(flavor: Flavor) -> Result<()> {
    relay_log_is_full(&BedOptions {
        semi_sync: false,
        ..options("full-relay-log", flavor)
    })
}

both_flavors!(
    a_replica_whose_relay_log_has_no_space_is_no_veto,
    super::of_two_replicas,
    Need::Namespaces
);

/// It acknowledged, too: it holds nothing that the others do not have, for they have received more
/// since it stands still. One of them acknowledges to the other.
fn of_three_acknowledgers(flavor: Flavor) -> Result<()> {
    relay_log_is_full(&BedOptions {
        sketch: "p1\nr1 <- p1\nr2 <- p1\nr3 <- p1".to_owned(),
        ..options("full-acknowledger", flavor)
    })
}

both_flavors!(
    an_acknowledger_whose_relay_log_has_no_space_is_not_waited_for,
    super::of_three_acknowledgers,
    Need::Namespaces
);

/// The primary's data have a volume of their own, and its binary log another one: statements that
/// need room fail with error 1114, others commit.
struct FullData {
    bed: Bed,
    data: Volume,
    _logs: Volume,
}

impl FullData {
    fn start(options: &BedOptions) -> Result<Self> {
        let flavor = options.flavor;
        let logs = Volume::sized(&format!("baton-logs-{flavor:?}"), 96)?;
        let data = Volume::sized(&format!("baton-data-{flavor:?}"), 256)?;
        let log = format!("--log-bin={}", logs.path.join("binlog").display());
        let mut bed = servers(options, "p1", &log)?;
        let primary = &bed.topology["p1"];
        primary.stop()?;
        data.take(&primary.datadir())?;
        primary.restart()?;
        primary.exec(PROBED)?;
        start_baton(&mut bed)?;
        wait_for_replication(&bed, &["r1", "r2"])?;
        Ok(Self {
            bed,
            data,
            _logs: logs,
        })
    }
}

/// MySQL's error log shows it.
fn full_data_of_mysql() -> Result<()> {
    let full_data = FullData::start(&options("full-data", Flavor::MySql))?;
    let bed = &full_data.bed;
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    full_data.data.fill()?;
    let full = Instant::now();
    wait_for_finding(bed, &["disk-full"])?;
    let found = full.elapsed();
    wait_for_successor(bed, &writer, "p1").with_context(|| findings(bed))?;
    writer.wait_for_rows(10, LIMIT)?;
    let replaced = full.elapsed();
    println!("found after {found:?}, commits again after {replaced:?}");
    ensure!(found < NAMED_WITHIN, "{found:?}");
    ensure!(replaced < REPLACED_WITHIN, "{replaced:?}");
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    full_data.data.free()?;
    bed.wait("the old primary is closed", CLOSED_WITHIN, || {
        let writable = bed.topology["p1"].is_writable();
        !writable.unwrap_or(false)
    })?;
    require_nothing_lost(bed, writer)?;
    Ok(())
}

#[test]
fn a_mysql_primary_whose_data_have_no_space_is_replaced() {
    baton_sandbox::require!(Flavor::MySql, Need::Baton, Need::Namespaces);
    full_data_of_mysql().unwrap();
}

/// Nothing that can be asked shows it (measured on MariaDB 10.11): no status variable, no state of
/// a session, and a probe that changes a row commits. One that makes a file is no way out: of three
/// runs it failed with error 3 and 1005, and found the room of the file that it replaces. What is
/// asserted is what is missing.
fn full_data_of_mariadb() -> Result<()> {
    let full_data = FullData::start(&BedOptions {
        config: ROW_PROBE.to_owned(),
        ..options("full-data", Flavor::MariaDb)
    })?;
    let bed = &full_data.bed;
    let primary = &bed.topology["p1"];
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    full_data.data.fill()?;
    let insert = "INSERT INTO app.big (t) SELECT REPEAT('x', 1000) FROM app.seq_1_to_1000";
    bed.wait("statements are refused", LIMIT, || {
        let answer = primary.exec(insert);
        answer.is_err_and(|error| format!("{error:#}").contains("is full"))
    })?;
    let filled = primary.scalar("SELECT NOW(6)")?;
    let probed = format!("SELECT COUNT(*) FROM meta.commit_probe WHERE at > '{filled}'");
    bed.wait("the probe commits", LIMIT, || {
        primary.scalar(&probed).is_ok_and(|count| count == "1")
    })?;
    wait_for_readings(bed, "p1")?;
    let shown = findings(bed);
    ensure!(!shown.contains("primary-useless"), "{shown}");
    full_data.data.free()?;
    writer.wait_for_rows(100, LIMIT)?;
    ensure!(bed.recoveries()?.is_empty());
    require_nothing_lost(bed, writer)?;
    Ok(())
}

#[test]
fn a_mariadb_primary_whose_data_have_no_space_shows_nothing() {
    baton_sandbox::require!(Flavor::MariaDb, Need::Baton, Need::Namespaces);
    full_data_of_mariadb().unwrap();
}
