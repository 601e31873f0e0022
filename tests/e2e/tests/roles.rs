//! What belongs to a role goes with it: scheduled events, and encrypted channels.

use anyhow::{Context as _, Result};
use baton_e2e::{Bed, BedOptions, LIMIT, both_flavors, wait_for_replication, word};
use baton_sandbox::{Certificates, Flavor, Sandbox, Server};
use serde_json::json;

const EVENT: &str = "\
    CREATE TABLE app.runs (id INT AUTO_INCREMENT PRIMARY KEY, server INT); \
    CREATE USER owner@'%'; GRANT ALL ON app.* TO owner@'%'; \
    CREATE DEFINER=owner@'%' EVENT app.tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO runs (server) VALUES (@@server_id); \
    CREATE DEFINER=owner@'%' EVENT app.off ON SCHEDULE EVERY 1 SECOND DISABLE DO INSERT INTO runs (server) VALUES (0); \
    ALTER USER 'repl'@'%' REQUIRE SSL";

/// Two servers whose account for replication must use TLS.
fn encrypted(flavor: Flavor) -> Result<Bed> {
    let options = BedOptions {
        sketch: "p1\nr1 <- p1".to_owned(),
        config: "[policy.failover.settings]\ncooldown-ms = 0".to_owned(),
        ..BedOptions::new("roles", flavor)
    };
    let sandbox = Sandbox::new(&options.name)?;
    let certificates = Certificates::create(&sandbox)?;
    let mut spec = options.spec()?;
    for member in &mut spec.members {
        let extra = &mut member.options.extra;
        extra.extend(certificates.server_arguments());
        extra.push("--event-scheduler=ON".to_owned());
    }
    let topology = sandbox.topology(flavor, &spec)?;
    let mut bed = Bed::around(sandbox, topology, &options)?;
    bed.topology["p1"].exec(EVENT)?;
    let ca = certificates.ca.display();
    bed.topology["r1"].exec(&match flavor {
        Flavor::MariaDb => format!(
            "STOP SLAVE; CHANGE MASTER TO MASTER_SSL=1, MASTER_SSL_CA='{ca}'; START SLAVE"
        ),
        Flavor::MySql => format!(
            "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_SSL=1, SOURCE_SSL_CA='{ca}'; START REPLICA"
        ),
    })?;
    bed.start_baton()?;
    bed.wait_for_discovery(2)?;
    Ok(bed)
}

/// The event runs on the primary, and on no other server, and the channel is encrypted as it was.
fn in_its_place(bed: &Bed, primary: &str, replica: &str) -> Result<()> {
    let (new, old) = (&bed.topology[primary], &bed.topology[replica]);
    let runs = |whose: &Server| {
        let id = whose.server_id();
        new.scalar(&format!(
            "SELECT COUNT(*) FROM app.runs WHERE server = {id}"
        ))
    };
    wait_for_replication(bed, &[replica])?;
    let others = runs(old)?;
    let first: u64 = runs(new)?.parse()?;
    bed.wait("the event runs on the primary", LIMIT, || {
        let now = runs(new).ok().and_then(|count| count.parse::<u64>().ok());
        now.is_some_and(|now| now > first + 1)
    })?;
    assert_eq!(runs(old)?, others, "it runs on the replica, too");
    let state = |server: &Server| {
        server.scalar("SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_NAME = 'tick'")
    };
    bed.wait("the replica's event is disabled", LIMIT, || {
        state(old).is_ok_and(|state| state.ends_with("SIDE_DISABLED"))
    })?;
    let off =
        new.scalar("SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_NAME = 'off'")?;
    assert_eq!(off, "DISABLED");
    let status = old.replica_status()?;
    let channel = status.first().context("a channel")?;
    let names = ["Master_SSL_CA_File", "Source_SSL_CA_File"];
    let ca = names.iter().find_map(|name| channel.get(name));
    assert!(ca.is_some_and(|ca| ca.ends_with("ca.pem")), "{channel:?}");
    Ok(())
}

fn roles_change(flavor: Flavor) -> Result<()> {
    let bed = encrypted(flavor)?;
    let (cluster, _) = bed.cluster()?;
    let to = bed.topology["r1"].address().to_string();
    let path = format!("/api/v1/clusters/{cluster}/switchover");
    let switchover = bed.api.post(&path, &json!({ "to": to }))?;
    assert_eq!(word(&switchover, "outcome"), "succeeded", "{switchover}");
    in_its_place(&bed, "r1", "p1")?;

    // Nobody acknowledges anything until the old primary is back.
    bed.topology["r1"].kill9()?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    bed.topology["r1"].restart_closed()?;
    let rejoin = bed.wait_for_recovery("rejoin", LIMIT)?;
    assert_eq!(word(&rejoin, "outcome"), "succeeded", "{rejoin}");
    in_its_place(&bed, "p1", "r1")
}

both_flavors!(events_and_encryption_follow_the_role, super::roles_change);
