//! A policy that does not do its work.

use anyhow::{Context as _, Result};
use baton_e2e::{
    Bed, BedOptions, LIMIT, require_nothing_lost, require_one_writable, wait_for_successor, word,
};
use baton_sandbox::{Flavor, Need};
use serde_json::{Value, json};

const COMPONENT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../plugins/prebuilt/failover-misbehaving.wasm"
);

/// One failover after the other, with one kind of misbehaviour each: the default policy answers,
/// and it is said everywhere.
fn misbehave() -> Result<()> {
    let mut bed = Bed::servers_only(&BedOptions {
        sketch: "p1\nr1 <- p1\nr2 <- p1\nr3 <- p1\nr4 <- p1".to_owned(),
        ..BedOptions::new("policy", Flavor::MariaDb)
    })?;
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    let mut alive = 5;
    for how in ["trap", "spin", "dead-server"] {
        bed.set_config(&format!(
            "[policy.failover]\nplugin = \"{COMPONENT}\"\n[policy.failover.settings]\nhow = \"{how}\""
        ));
        bed.start_baton()?;
        bed.wait("the living servers are seen", LIMIT, || {
            bed.cluster().is_ok_and(|(_, primary)| primary.is_some()) && answering(&bed) == alive
        })
        .with_context(|| format!("{:?}", bed.api.get("/api/v1/servers")))?;
        let old = require_one_writable(&bed)?.name().to_owned();
        let before = bed.recoveries()?.len();
        bed.topology[old.as_str()].kill9()?;
        alive -= 1;
        wait_for_successor(&bed, &writer, &old)?;
        bed.wait("the failover ends", LIMIT, || {
            bed.recoveries().is_ok_and(|rows| {
                rows.len() > before && rows.iter().all(|row| word(row, "outcome") != "running")
            })
        })?;
        let failover = bed.recoveries()?.into_iter().next().context("a recovery")?;
        assert_eq!(word(&failover, "outcome"), "succeeded", "{how}: {failover}");
        require_fallback_is_told(&bed, how, &failover)?;
        let (cluster, _) = bed.cluster()?;
        let path = format!("/api/v1/clusters/{cluster}/acknowledge");
        bed.api.post(&path, &json!({ "comment": "seen" }))?;
        writer.wait_for_rows(100, LIMIT)?;
    }
    require_nothing_lost(&bed, writer)?;
    Ok(())
}

fn answering(bed: &Bed) -> usize {
    let instances = bed.api.get("/api/all-instances").unwrap_or_default();
    let valid = |instance: &&Value| instance.get("IsLastCheckValid") == Some(&Value::Bool(true));
    instances
        .as_array()
        .map_or(0, |list| list.iter().filter(valid).count())
}

fn require_fallback_is_told(bed: &Bed, how: &str, failover: &Value) -> Result<()> {
    let policy = "failover-misbehaving";
    let told = failover.to_string();
    assert!(
        told.contains(policy) && told.contains("failed"),
        "{how}: {told}"
    );
    let metrics = bed.api.get("/metrics")?;
    let metrics = metrics.as_str().context("metrics are text")?;
    let fallbacks = metrics
        .lines()
        .find_map(|line| line.strip_prefix("baton_policy_fallbacks_total "));
    assert!(
        fallbacks.is_some_and(|count| count != "0"),
        "{how}: {fallbacks:?}"
    );
    // What cannot be asked at all is known before the primary is fenced, and stands in the audit
    // log as well.
    if how != "dead-server" {
        let audit = bed.api.get("/api/v1/audit")?.to_string();
        assert!(audit.contains("policy-fallback"), "{how}: {audit}");
    }
    Ok(())
}

#[test]
fn a_policy_that_misbehaves_is_replaced_by_the_default_and_reported() {
    baton_sandbox::require!(Flavor::MariaDb, Need::Baton);
    misbehave().unwrap();
}
