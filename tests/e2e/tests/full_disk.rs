//! The volume of a primary's binary log is full: its commits wait for space, and so does whoever
//! wants to close it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use baton_e2e::{
    Bed, BedOptions, LIMIT, both_flavors, require_nothing_lost, wait_for_successor, word,
};
use baton_sandbox::{Flavor, Sandbox};

/// From the full disk until it is named.
const FOUND_WITHIN: Duration = Duration::from_secs(5);
/// From the full disk until another server takes writes.
const REPLACED_WITHIN: Duration = Duration::from_secs(20);
/// A fence that failed is tried again.
const CLOSED_WITHIN: Duration = Duration::from_mins(2);

/// A small volume of its own, gone with the value.
struct Volume {
    path: PathBuf,
}

impl Volume {
    fn mount(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=24m,mode=0777", "none"]);
        let status = mount.arg(&path).status().context("run mount")?;
        ensure!(status.success(), "mount: {status}");
        Ok(Self { path })
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

fn bed(flavor: Flavor, binary_logs: &Path) -> Result<Bed> {
    let options = BedOptions {
        sketch: "p1\nr1 <- p1\nr2 <- p1".to_owned(),
        ..BedOptions::new("full-disk", flavor)
    };
    let sandbox = Sandbox::new(&options.name)?;
    let log = binary_logs.join("binlog");
    let spec = options.spec()?.with_options("p1", |server| {
        server.extra.push(format!("--log-bin={}", log.display()));
    });
    let topology = sandbox.topology(flavor, &spec)?;
    let mut bed = Bed::around(sandbox, topology, &options)?;
    bed.start_baton()?;
    bed.wait_for_discovery(3)?;
    Ok(bed)
}

/// Baton has its default settings: the server itself says that its commits wait for space.
fn wait_for_finding(bed: &Bed) -> Result<()> {
    let (cluster, _) = bed.cluster()?;
    let path = format!("/api/v1/clusters/{cluster}/findings");
    bed.wait("the finding is shown", LIMIT, || {
        let findings = bed.api.get(&path);
        findings.is_ok_and(|findings| findings.to_string().contains("waits-for-space"))
    })
}

/// Seven failovers in turn were undone: the fence waited for the commits that waited for space.
fn binary_log_is_full(flavor: Flavor) -> Result<()> {
    let volume = Volume::mount(&format!("baton-full-{flavor:?}"))?;
    let bed = bed(flavor, &volume.path)?;
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    volume.fill()?;
    let full = Instant::now();
    wait_for_finding(&bed)?;
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

both_flavors!(
    a_primary_whose_binary_log_has_no_space_is_replaced,
    super::binary_log_is_full,
    // Mounts a volume.
    Need::Namespaces
);
