//! Making the tables, or bringing them up to date, on a backend that several nodes may open at the
//! same moment.
//!
//! Table definitions cannot be rolled back here, so each statement of a migration stands for itself
//! and may be run twice: that it was done already is no error. One node claims the work by
//! inserting a row, and the others wait for it; when it does not come to an end, somebody else goes
//! on where it stopped. A node's own locks would not do: they are not the cluster's.

use std::time::Duration;

use baton_core::policy::backend::BackendKind;
use tokio::time::{Instant, sleep};

use super::errors::{Class, Phase, Trouble};
use super::link::Link;
use super::options::HalfCopies;
use crate::schema::{
    CREATE_VERSIONS, MIGRATIONS, Migration, PROGRAM, RECORD_VERSION, SCHEMA_VERSION, UNFINISHED,
    statements, with_options,
};
use crate::value::values;

/// For one definition: clusters agree on them, one after the other.
const DEFINITION: Duration = Duration::from_secs(30);
/// For another node that has claimed the work.
const CLAIM: Duration = Duration::from_secs(15);
/// Between looks at what the other one does, and between repetitions.
const PAUSE: Duration = Duration::from_millis(100);
/// Repetitions of a definition that collided with somebody else's.
const REPEATS: u32 = 20;

const FIND: &str = "SELECT MAX(version) FROM baton_schema WHERE version > 0";
const UNCLAIM: &str = "DELETE FROM baton_schema WHERE version < 0";
const FLAVOR: &str = "SELECT VERSION()";

const NO_SUCH_TABLE: u16 = 1146;
/// A table, a column, an index, a row, or a constraint is there already.
const DONE: [u16; 5] = [1050, 1060, 1061, 1062, 1826];

/// Brings the schema up to date. Gives the version found.
pub(super) async fn prepare(link: &mut Link, half_copies: HalfCopies) -> Result<u32, Trouble> {
    let found = found(link).await?;
    if found > SCHEMA_VERSION {
        return Err(Trouble::Newer {
            node: link.node.clone(),
            found,
            known: SCHEMA_VERSION,
        });
    }
    if found < SCHEMA_VERSION {
        migrate(link, found).await?;
    }
    if half_copies == HalfCopies::Use {
        return Ok(found);
    }
    let rows = link.fetch(UNFINISHED, Vec::new()).await?;
    if !rows.is_empty() {
        let node = link.node.clone();
        return Err(Trouble::Unfinished { node });
    }
    Ok(found)
}

/// The version stored; 0 without any.
async fn found(link: &mut Link) -> Result<u32, Trouble> {
    let rows = match link.fetch(FIND, Vec::new()).await {
        Err(trouble) if trouble.number() == Some(NO_SUCH_TABLE) => return Ok(0),
        rows => rows?,
    };
    let version = rows
        .into_iter()
        .next()
        .and_then(|mut row| row.integer_or_null("baton_schema.version").ok().flatten());
    Ok(version
        .and_then(|version| u32::try_from(version).ok())
        .unwrap_or(0))
}

async fn migrate(link: &mut Link, found: u32) -> Result<(), Trouble> {
    let options = table_options(link).await?;
    define(link, &with_options(CREATE_VERSIONS, &options)).await?;
    if is_done_by_another(link).await? {
        return Ok(());
    }
    for migration in MIGRATIONS {
        if migration.version > found {
            apply(link, migration, &options).await?;
        }
    }
    link.execute(UNCLAIM, Vec::new()).await?;
    Ok(())
}

/// Claims the work, or waits for whoever did. True if it was done in the meantime.
async fn is_done_by_another(link: &mut Link) -> Result<bool, Trouble> {
    let claim = values![-i64::from(SCHEMA_VERSION), PROGRAM];
    if inserted(link, claim).await? {
        // Somebody may have come to the end before it was claimed.
        let is_done = found(link).await? >= SCHEMA_VERSION;
        if is_done {
            link.execute(UNCLAIM, Vec::new()).await?;
        }
        return Ok(is_done);
    }
    let begun = Instant::now();
    while begun.elapsed() < CLAIM {
        if found(link).await? >= SCHEMA_VERSION {
            return Ok(true);
        }
        sleep(PAUSE).await;
    }
    Ok(false)
}

async fn apply(link: &mut Link, migration: &Migration, options: &str) -> Result<(), Trouble> {
    for statement in statements(migration.sql) {
        define(link, &with_options(&statement, options)).await?;
    }
    inserted(link, values![migration.version, PROGRAM]).await?;
    Ok(())
}

/// True if the row was not there yet.
async fn inserted(link: &mut Link, values: Vec<crate::value::Value>) -> Result<bool, Trouble> {
    let mut repeats = 0;
    loop {
        match link.execute(RECORD_VERSION, values.clone()).await {
            Ok(_) => return Ok(true),
            Err(trouble) if is_done(&trouble) => return Ok(false),
            Err(trouble) => retry(&mut repeats, trouble).await?,
        }
    }
}

/// Runs one statement of a migration as often as it collides with others.
async fn define(link: &mut Link, sql: &str) -> Result<(), Trouble> {
    let mut repeats = 0;
    loop {
        match link.run(sql, DEFINITION).await {
            Ok(_) => return Ok(()),
            Err(trouble) if is_done(&trouble) => return Ok(()),
            Err(trouble) => retry(&mut repeats, trouble).await?,
        }
    }
}

fn is_done(trouble: &Trouble) -> bool {
    trouble
        .number()
        .is_some_and(|number| DONE.contains(&number))
}

/// Waits before the next repetition of what collided, or gives the trouble back.
async fn retry(repeats: &mut u32, trouble: Trouble) -> Result<(), Trouble> {
    *repeats += 1;
    let collided = trouble.verdict(Phase::Statement).class == Class::Repeat
        || trouble
            .number()
            .is_some_and(|number| COLLIDED.contains(&number));
    if !collided || *repeats > REPEATS {
        return Err(trouble);
    }
    sleep(PAUSE).await;
    Ok(())
}

/// What a definition says that ran into another one, on NDB above all: a table is in the middle of
/// being made, or the cluster is busy with another definition.
const COLLIDED: [u16; 6] = [1005, 1015, 1030, 1146, 1296, 1684];

/// What is wanted behind each table: the engine that the kind replicates, and texts compared byte
/// by byte.
async fn table_options(link: &mut Link) -> Result<String, Trouble> {
    let rows = link.fetch(FLAVOR, Vec::new()).await?;
    let version = rows
        .into_iter()
        .next()
        .and_then(|mut row| row.text("VERSION()").ok())
        .unwrap_or_default();
    let collation = if version.contains("MariaDB") {
        "utf8mb4_nopad_bin"
    } else {
        "utf8mb4_0900_bin"
    };
    let engine = match link.kind {
        BackendKind::Ndb => "NDBCLUSTER",
        BackendKind::Sqlite
        | BackendKind::MasterMaster
        | BackendKind::Galera
        | BackendKind::GroupReplication => "InnoDB",
    };
    Ok(format!(
        "ENGINE = {engine} DEFAULT CHARACTER SET utf8mb4 COLLATE {collation}"
    ))
}
