//! Making what a round has drawn.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use baton_sandbox::{Flavor, Server};

use super::{HazardDraw, Strike, Twist};
use crate::{Bed, BedOptions};

/// How long somebody writes whatever `read_only` says.
const PRIVILEGED: Duration = Duration::from_secs(5);

/// How long a table is locked.
const HELD: Duration = Duration::from_secs(15);

/// How long a link comes and goes.
const FLICKERS: Duration = Duration::from_secs(8);

/// A bed and what a round does to it.
pub(super) struct Stage<'a> {
    pub(super) bed: &'a Bed,
    pub(super) draw: &'a HazardDraw,
}

/// The servers of a round, with a node that looks after them.
pub(super) fn start_bed(draw: &HazardDraw) -> Result<Bed> {
    let setting = draw.setting;
    let replicas = (1..=setting.replicas).map(|number| format!("r{number} <- p1"));
    let lines: Vec<String> = std::iter::once("p1".to_owned()).chain(replicas).collect();
    let bed = Bed::start(&BedOptions {
        sketch: lines.join("\n"),
        network: true,
        wait_for: setting.wait_for,
        ..BedOptions::new("hazards", setting.flavor)
    })?;
    if setting.source_side_everywhere {
        for server in bed.topology.servers() {
            server.exec(match setting.flavor {
                Flavor::MariaDb => "SET GLOBAL rpl_semi_sync_master_enabled=ON",
                Flavor::MySql => "SET GLOBAL rpl_semi_sync_source_enabled=ON",
            })?;
        }
    }
    if draw.twist == Twist::PrivilegedWriter {
        let rights = match setting.flavor {
            Flavor::MariaDb => "READ ONLY ADMIN",
            Flavor::MySql => "CONNECTION_ADMIN, SUPER",
        };
        bed.topology["p1"].exec(&format!(
            "CREATE TABLE app.privileged (id INT PRIMARY KEY AUTO_INCREMENT) ENGINE=InnoDB; \
             CREATE USER admin@'%' IDENTIFIED BY 'admin'; GRANT {rights} ON *.* TO admin@'%'"
        ))?;
    }
    Ok(bed)
}

impl Stage<'_> {
    fn replica(&self, offset: u64) -> &Server {
        let number = 1 + (self.draw.number + offset) % u64::from(self.draw.setting.replicas);
        &self.bed.topology[format!("r{number}").as_str()]
    }

    fn in_words(&self, mariadb: &'static str, mysql: &'static str) -> &'static str {
        match self.draw.setting.flavor {
            Flavor::MariaDb => mariadb,
            Flavor::MySql => mysql,
        }
    }

    /// Which replica the twist is about.
    pub(super) fn touched(&self) -> Vec<String> {
        let count = if self.draw.twist == Twist::TwoKilled {
            2
        } else {
            1
        };
        (0..count)
            .map(|at| self.replica(at).name().to_owned())
            .collect()
    }

    pub(super) fn twist(&self) -> Result<Option<JoinHandle<()>>> {
        let replica = self.replica(0);
        match self.draw.twist {
            Twist::ReplicationCut => self.cut_from(&["p1"], &self.replicas())?,
            Twist::SmallSide => {
                let kept = replica.name();
                let others = self.names();
                let others: Vec<&str> = others.iter().map(String::as_str).collect();
                for other in others.into_iter().filter(|name| *name != kept) {
                    self.bed.cables()?.cut(kept, other)?;
                    self.bed.cables()?.cut("baton", other)?;
                }
            }
            Twist::Restarted => {
                replica.kill9()?;
                replica.restart_with(match self.draw.setting.flavor {
                    Flavor::MariaDb => &[],
                    Flavor::MySql => &["--relay-log-recovery=ON"],
                })?;
            }
            Twist::Killed => drop(replica.kill9()?),
            Twist::TwoKilled => {
                replica.kill9()?;
                self.replica(1).kill9()?;
            }
            Twist::Frozen => drop(replica.freeze()?),
            Twist::Opened => replica.exec("SET GLOBAL read_only=0")?,
            Twist::Stopped => replica.exec(self.in_words("STOP SLAVE", "STOP REPLICA"))?,
            Twist::ApplierStopped => {
                replica.exec(self.in_words("STOP SLAVE SQL_THREAD", "STOP REPLICA SQL_THREAD"))?;
            }
            Twist::Reset => replica.exec(self.in_words(
                "STOP SLAVE; RESET SLAVE ALL",
                "STOP REPLICA; RESET REPLICA ALL",
            ))?,
            Twist::Emptied => replica.replace_with_empty()?,
            Twist::PrivilegedWriter => return Ok(Some(self.write_privileged())),
            Twist::Errant => {
                replica.exec(self.in_words(
                    "CREATE DATABASE errant",
                    "SET GLOBAL super_read_only=0; CREATE DATABASE errant; SET GLOBAL super_read_only=1",
                ))?;
            }
            Twist::Delayed => replica.exec(self.in_words(
                "STOP SLAVE; CHANGE MASTER TO MASTER_DELAY=30; START SLAVE",
                "STOP REPLICA SQL_THREAD; CHANGE REPLICATION SOURCE TO SOURCE_DELAY=30; START REPLICA",
            ))?,
            Twist::Locked => return Ok(Some(self.hold_table())),
            Twist::OneWay => {
                let cables = self.bed.cables()?;
                for name in self.replicas() {
                    cables.cut_one_way(&name, "p1")?;
                }
            }
            Twist::Flicker => return self.flicker().map(Some),
            Twist::Nothing => {}
        }
        Ok(None)
    }

    fn write_privileged(&self) -> JoinHandle<()> {
        let primary = self.bed.topology["p1"].clone();
        thread::spawn(move || {
            let begun = Instant::now();
            while begun.elapsed() < PRIVILEGED {
                // Whoever refuses it is asked again.
                primary
                    .query_within(
                        "INSERT INTO app.privileged VALUES ()",
                        Duration::from_millis(500),
                    )
                    .ok();
                thread::sleep(Duration::from_millis(2));
            }
        })
    }

    /// As a backup does that copies a table.
    fn hold_table(&self) -> JoinHandle<()> {
        let replica = self.replica(0).clone();
        thread::spawn(move || {
            let held = format!(
                "LOCK TABLES app.writes READ; SELECT SLEEP({})",
                HELD.as_secs()
            );
            // It ends early if the server dies.
            replica.query_within(&held, HELD * 2).ok();
        })
    }

    fn flicker(&self) -> Result<JoinHandle<()>> {
        let cables = self.bed.cables()?.clone();
        let mut others = self.replicas();
        others.push("baton".to_owned());
        Ok(thread::spawn(move || {
            let begun = Instant::now();
            while begun.elapsed() < FLICKERS {
                for other in &others {
                    cables.cut("p1", other).ok();
                }
                thread::sleep(Duration::from_millis(300));
                for other in &others {
                    cables.heal("p1", other).ok();
                }
                thread::sleep(Duration::from_millis(700));
            }
        }))
    }

    fn names(&self) -> Vec<String> {
        let servers = self.bed.topology.servers().iter();
        servers.map(|server| server.name().to_owned()).collect()
    }

    fn replicas(&self) -> Vec<String> {
        let mut names = self.names();
        names.retain(|name| name != "p1");
        names
    }

    fn cut_from(&self, ones: &[&str], others: &[String]) -> Result<()> {
        for one in ones {
            for other in others.iter().filter(|other| other != one) {
                self.bed.cables()?.cut(one, other)?;
            }
        }
        Ok(())
    }

    /// The part of a strike that needs no answer. A switchover is asked for elsewhere.
    pub(super) fn strike(&self, primary: &Server) -> Result<()> {
        match self.draw.strike {
            Strike::Kill | Strike::SecondDeath | Strike::Flap => drop(primary.kill9()?),
            Strike::Restart => {
                primary.kill9()?;
                primary.restart()?;
            }
            Strike::Freeze => drop(primary.freeze()?),
            Strike::Cut => {
                let mut others = self.names();
                others.push("baton".to_owned());
                self.cut_from(&[primary.name()], &others)?;
            }
            Strike::Switchover | Strike::Nothing => {}
        }
        Ok(())
    }

    /// Everything that was cut, frozen or killed comes back, as its own files say.
    pub(super) fn heal(&self) -> Result<()> {
        let mut names = self.names();
        names.push("baton".to_owned());
        for (at, one) in names.iter().enumerate() {
            for other in names.iter().skip(at + 1) {
                self.bed.cables()?.heal(one, other)?;
            }
        }
        for server in self.bed.topology.servers() {
            if server.is_running()? {
                server.thaw()?;
            } else {
                if server.pid().is_some() {
                    // It ended by itself.
                    server.kill9().ok();
                }
                server
                    .restart()
                    .with_context(|| format!("restart {server}"))?;
            }
        }
        Ok(())
    }
}
