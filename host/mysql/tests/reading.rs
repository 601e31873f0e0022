//! What real servers say, read through the port.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail in any way"
)]

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use baton_core::model::{self, CommitProbe, ThreadState};
use baton_mysql::{CommitProbeSettings, MysqlServers};
use baton_ports::{ActSession, Clock as _, ServerCommand, Servers as _};
use baton_sandbox::{Flavor, SemiSync, Topology, TopologySpec};
use common::{
    LIMIT, address, clock, executed, locked, pair, perform, read, read_until, servers, settings,
    sketch, until,
};

on_both!(
    a_pair_is_read,
    channels_are_ordered_by_name,
    a_pause_is_kept_and_dated,
    the_operators_queries_are_asked,
    commits_are_probed,
    semi_sync_is_read,
    a_stalled_commit_does_not_stall_the_reading,
);

async fn a_pair_is_read(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    topology["p1"]
        .exec("CREATE TABLE app.t (id INT PRIMARY KEY); INSERT INTO app.t VALUES (1)")
        .unwrap();
    topology["r1"].wait_for(&topology["p1"], LIMIT).unwrap();

    let primary = read(&topology["p1"]).await;
    let lineage = match flavor {
        Flavor::MariaDb => model::Flavor::Mariadb,
        Flavor::MySql => model::Flavor::Mysql,
    };
    assert_eq!(primary.flavor, lineage);
    assert!(primary.version.major >= 9, "{}", primary.version_text);
    assert_eq!(primary.port, topology["p1"].port());
    assert_eq!(primary.server_id, topology["p1"].server_id());
    assert!(primary.is_writable() && primary.log_bin && primary.log_updates);
    assert_eq!(primary.channels, []);
    assert_eq!(primary.executed, executed(&topology["p1"]));
    assert!(
        primary
            .binlog
            .is_some_and(|binlog| binlog.position > 100 && binlog.file.starts_with("binlog."))
    );
    let registered = primary
        .replicas
        .iter()
        .find(|replica| replica.port == Some(topology["r1"].port()));
    assert_eq!(
        registered.and_then(|replica| replica.server_id),
        Some(topology["r1"].server_id())
    );
    assert!(
        primary
            .replicas
            .iter()
            .any(|replica| replica.port.is_none()),
        "no dump thread: {:?}",
        primary.replicas
    );
    assert!(primary.vitals.connections >= Some(2) && primary.vitals.uptime.is_some());

    // A busy machine applies the row a second late, and says so.
    let replica = read_until(&topology["r1"], "it is not behind", |replica| {
        replica.channels[0].lag == Some(Duration::ZERO)
    })
    .await;
    assert_ne!(replica.uid, primary.uid);
    assert!(!replica.is_writable());
    assert_eq!(
        replica.super_read_only,
        (flavor == Flavor::MySql).then_some(true)
    );
    assert!(replica.executed.contains(&primary.executed));
    let channel = &replica.channels[0];
    assert_eq!(channel.source, Some(address(&topology["p1"])));
    assert_eq!(
        (channel.receiver, channel.applier),
        (ThreadState::Running, ThreadState::Running)
    );
    assert!(channel.auto_position && channel.heartbeats.is_some());
    assert_eq!(channel.heartbeat_period, Some(Duration::from_secs(1)));
    assert_eq!(channel.source_server_id, Some(topology["p1"].server_id()));
    assert!(replica.possessed().contains(&primary.executed));
    assert!(!channel.filtered);
}

async fn channels_are_ordered_by_name(flavor: Flavor) {
    let (_sandbox, topology) = sketch(flavor, "zed\nabe\nr1 <- zed, abe");
    let facts = read(&topology["r1"]).await;
    let names: Vec<_> = facts
        .channels
        .iter()
        .map(|channel| channel.name.as_str())
        .collect();
    assert_eq!(names, ["abe", "zed"]);
    assert_eq!(facts.channels[1].source, Some(address(&topology["zed"])));
}

async fn a_pause_is_kept_and_dated(flavor: Flavor) {
    let (_sandbox, topology) = sketch(flavor, "p1");
    let clock = clock();
    let servers = MysqlServers::new(settings(), clock.clone());
    let mut watch = servers
        .watch(&address(&topology["p1"]), LIMIT)
        .await
        .unwrap();
    let pause = Duration::from_secs(1);
    let (sent, began) = (clock.now(), Instant::now());
    let answer = watch.read(pause, LIMIT).await.unwrap();
    assert!(began.elapsed() >= pause);
    assert!(
        answer.began.since(sent) >= pause.saturating_sub(Duration::from_millis(10)),
        "{:?}",
        answer.began.since(sent)
    );
    assert!(answer.began < clock.now());
    assert!(answer.round_trip < pause, "{:?}", answer.round_trip);
}

async fn the_operators_queries_are_asked(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let mut settings = settings();
    settings.queries.cluster_name = Some("SELECT 'shop';".into());
    settings.queries.data_center = Some("SELECT dc FROM app.no_such_table".into());
    settings.queries.region = Some("SELECT 'north'".into());
    settings.queries.lag = Some("SELECT 1.5".into());
    let servers = MysqlServers::new(settings.clone(), clock());
    let mut watch = servers
        .watch(&address(&topology["r1"]), LIMIT)
        .await
        .unwrap();
    let facts = watch.read(Duration::ZERO, LIMIT).await.unwrap().facts;
    assert_eq!(facts.cluster_hint.as_deref(), Some("shop"));
    let place = facts.place.unwrap();
    assert_eq!(
        (place.region.as_str(), place.data_center.as_str()),
        ("north", "")
    );
    assert_eq!(facts.channels[0].lag, Some(Duration::from_millis(1500)));

    settings.queries.lag = Some("SELECT lag FROM app.no_such_table".into());
    let servers = MysqlServers::new(settings, clock());
    let mut watch = servers
        .watch(&address(&topology["r1"]), LIMIT)
        .await
        .unwrap();
    for _ in 0..2 {
        let facts = watch
            .read(Duration::ZERO, LIMIT)
            .await
            .expect("a wrong lag query spoils nothing else")
            .facts;
        assert_eq!(facts.channels[0].lag, Some(Duration::ZERO));
    }
}

async fn commits_are_probed(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let p1 = &topology["p1"];
    p1.exec("CREATE TABLE app.beat (id INT PRIMARY KEY, n INT); GRANT ALL ON app.* TO baton@'%'")
        .unwrap();
    let mut settings = settings();
    settings.commit_probe = Some(CommitProbeSettings {
        statement: "INSERT INTO app.beat VALUES (1, 1) ON DUPLICATE KEY UPDATE n = n + 1".into(),
        interval: Duration::from_millis(1),
        limit: Duration::from_millis(200),
    });
    let servers = MysqlServers::new(settings, clock());
    let mut watch = servers.watch(&address(p1), LIMIT).await.unwrap();
    let mut wait_for = async |what: &str, wanted: fn(&CommitProbe) -> bool| {
        let begun = Instant::now();
        loop {
            let probe = watch
                .read(Duration::from_millis(5), LIMIT)
                .await
                .unwrap()
                .facts
                .vitals
                .commit;
            if wanted(&probe) {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "no {what}: {probe:?}");
        }
    };
    wait_for("commit", |probe| {
        matches!(probe, CommitProbe::Committed { .. })
    })
    .await;
    p1.exec("ALTER TABLE app.beat DROP COLUMN n").unwrap();
    wait_for("refusal", |probe| {
        matches!(probe, CommitProbe::Refused { number: 1136 })
    })
    .await;
    p1.exec("ALTER TABLE app.beat ADD COLUMN n INT NOT NULL DEFAULT 0")
        .unwrap();
    wait_for("commit again", |probe| {
        matches!(probe, CommitProbe::Committed { .. })
    })
    .await;
    stall_commits(p1.flavor(), |sql| p1.exec(sql).unwrap());
    topology["r1"]
        .exec(if flavor == Flavor::MySql {
            "STOP REPLICA"
        } else {
            "STOP SLAVE"
        })
        .unwrap();
    wait_for("stall", |probe| {
        matches!(probe, CommitProbe::Stalled { .. })
    })
    .await;

    let mut watch = servers
        .watch(&address(&topology["r1"]), LIMIT)
        .await
        .unwrap();
    for _ in 0..3 {
        let probe = watch
            .read(Duration::from_millis(5), LIMIT)
            .await
            .unwrap()
            .facts
            .vitals
            .commit;
        assert_eq!(probe, CommitProbe::NotTried, "a replica is not written to");
    }
}

/// Makes every commit wait for an acknowledgement that does not come.
fn stall_commits(flavor: Flavor, exec: impl Fn(&str)) {
    match flavor {
        Flavor::MariaDb => exec(
            "SET GLOBAL rpl_semi_sync_master_wait_point=AFTER_SYNC; SET GLOBAL rpl_semi_sync_master_timeout=600000; \
             SET GLOBAL rpl_semi_sync_master_enabled=1",
        ),
        Flavor::MySql => exec(
            "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'; \
             SET GLOBAL rpl_semi_sync_source_timeout=600000; SET GLOBAL rpl_semi_sync_source_enabled=1",
        ),
    }
}

async fn semi_sync_is_read(flavor: Flavor) {
    let sandbox = baton_sandbox::Sandbox::new("semi-sync").unwrap();
    let spec = TopologySpec::parse("p1\nr1 <- p1")
        .unwrap()
        .with_semi_sync(SemiSync::default());
    let topology = sandbox.topology(flavor, &spec).unwrap();
    let mut primary = locked(&topology["p1"]).await;
    let active = |facts: &model::ServerFacts| {
        facts
            .semi_sync
            .as_ref()
            .is_some_and(|s| s.source_active && s.clients == 1)
    };
    let facts = until(primary.as_mut(), "the replica acknowledges", active).await;
    let semi_sync = facts.semi_sync.unwrap();
    assert!(semi_sync.source_enabled && semi_sync.wait_for == 1 && semi_sync.timeout.is_some());
    assert_eq!(semi_sync.wait_point, Some(model::WaitPoint::AfterSync));
    assert!(semi_sync.holds_commits_for(Duration::from_mins(1)));
    let expected = model::Durability {
        sync_binlog: Some(1),
        flush_log_at_commit: Some(1),
        sync_relay_log: Some(10_000),
        relay_log_recovery: Some(false),
    };
    assert_eq!(facts.durability, expected);
    let mut replica = locked(&topology["r1"]).await;
    until(replica.as_mut(), "it says so", |f| {
        f.semi_sync
            .as_ref()
            .is_some_and(|s| s.replica_enabled && s.replica_active)
    })
    .await;
    a_replica_that_waits_itself_is_released(&topology, replica.as_mut()).await;
}

/// With the source's side on, a replica applies nothing: it waits for acknowledgements that nobody
/// gives.
async fn a_replica_that_waits_itself_is_released(
    topology: &Topology,
    replica: &mut dyn ActSession,
) {
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    let side = |on| ServerCommand::SetSemiSync {
        source: Some(on),
        replica: None,
    };
    perform(replica, side(true)).await;
    p1.exec("CREATE TABLE app.waits (id INT PRIMARY KEY); INSERT INTO app.waits VALUES (1)")
        .unwrap();
    until(replica, "its applier waits", |facts| {
        facts
            .semi_sync
            .as_ref()
            .is_some_and(model::SemiSync::has_waiting_sessions)
    })
    .await;
    let begun = Instant::now();
    perform(replica, side(false)).await;
    r1.wait_for(p1, LIMIT).unwrap();
    println!(
        "{:?}: released and drained after {:?}",
        r1.flavor(),
        begun.elapsed()
    );
}

async fn a_stalled_commit_does_not_stall_the_reading(flavor: Flavor) {
    let (_sandbox, topology) = sketch(flavor, "p1");
    let p1 = topology["p1"].clone();
    p1.exec("CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY)")
        .unwrap();
    let mut watch = servers().watch(&address(&p1), LIMIT).await.unwrap();
    watch.read(Duration::ZERO, LIMIT).await.unwrap();
    stall_commits(flavor, |sql| p1.exec(sql).unwrap());
    let writers: Vec<_> = (0..6)
        .map(|_| {
            let p1 = p1.clone();
            std::thread::spawn(move || {
                p1.query_as(
                    baton_sandbox::Account::App,
                    "INSERT INTO app.t VALUES (DEFAULT)",
                )
            })
        })
        .collect();
    let begun = Instant::now();
    let mut old = true;
    loop {
        // The present session and a new one: both must see it rather than wait, and learn of the
        // plugin by themselves.
        let facts = if old {
            watch
                .read(Duration::ZERO, Duration::from_secs(2))
                .await
                .unwrap()
                .facts
        } else {
            read(&p1).await
        };
        if facts
            .semi_sync
            .is_some_and(|semi_sync| semi_sync.waiting_sessions > 0)
            && !old
        {
            break;
        }
        old = !old;
        assert!(begun.elapsed() < LIMIT, "no session waits");
    }
    p1.kill9().unwrap();
    for writer in writers {
        assert!(writer.join().unwrap().is_err());
    }
}

/// READ ONLY ADMIN is what counts: our own account has it, and is left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_that_read_only_does_not_bind() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (_sandbox, topology) = common::pair(Flavor::MariaDb);
    let p1 = &topology["p1"];
    assert_eq!(read(p1).await.privileged_writers, None);
    p1.exec(
        "GRANT SELECT ON mysql.global_priv TO baton@'%'; \
         CREATE USER plain@'%', batch@'10.%', own@localhost; CREATE USER gone@'%' ACCOUNT LOCK; \
         GRANT READ_ONLY ADMIN ON *.* TO batch@'10.%', own@localhost, gone@'%'; GRANT SUPER ON *.* TO plain@'%'",
    )
    .unwrap();
    let expected = vec!["batch@10.%".to_owned()];
    assert_eq!(read(p1).await.privileged_writers, Some(expected));
}

/// MySQL looks at `XA_RECOVER_ADMIN` each time, so it may be gone while a session is open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_privilege_that_is_taken_away_costs_no_reading() {
    baton_sandbox::require!(Flavor::MySql);
    let (_sandbox, topology) = sketch(Flavor::MySql, "p1");
    let p1 = &topology["p1"];
    let mut watch = servers().watch(&address(p1), LIMIT).await.unwrap();
    let first = watch.read(Duration::ZERO, LIMIT).await.unwrap().facts;
    assert_eq!(first.prepared, Some(BTreeSet::new()));
    p1.exec("REVOKE XA_RECOVER_ADMIN ON *.* FROM baton@'%'")
        .unwrap();
    let begun = Instant::now();
    while watch
        .read(Duration::from_millis(500), LIMIT)
        .await
        .unwrap()
        .facts
        .prepared
        .is_some()
    {
        assert!(begun.elapsed() < LIMIT, "it is still read");
    }
}
