//! The standing session that reads.

use std::time::Duration;

use async_trait::async_trait;
use baton_core::ids::Address;
use baton_core::model::{CommitProbe, Place, ProbeFailure, Space};
use baton_core::time::Timestamp;
use baton_ports::{Watch, WatchAnswer};
use tokio::time::Instant;

use crate::commit_probe::CommitProber;
use crate::dialect::{Dialect, Extent};
use crate::facts::Beside;
use crate::reading::{Ask, Depth, Reader};
use crate::servers::Access;
use crate::session::Session;
use crate::settings::Queries;

/// How often the operator's queries are asked.
const HINTS_EVERY: Duration = Duration::from_mins(1);

/// Implements [`Watch`].
pub(crate) struct MysqlWatch {
    access: Access,
    address: Address,
    session: Session,
    reader: Reader,
    hints: Hints,
    prober: Option<CommitProber>,
}

/// Answers of the operator's queries.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    asked_at: Option<Timestamp>,
    place: Option<Place>,
    cluster: Option<String>,
    privileged: Option<Vec<String>>,
}

impl MysqlWatch {
    pub(crate) fn new(access: Access, address: Address, session: Session, reader: Reader) -> Self {
        let prober = access
            .settings
            .commit_probe
            .clone()
            .map(|settings| CommitProber::new(access.clone(), address.clone(), settings));
        Self {
            access,
            address,
            session,
            reader,
            hints: Hints::default(),
            prober,
        }
    }
}

#[async_trait]
impl Watch for MysqlWatch {
    async fn read(
        &mut self,
        pause: Duration,
        limit: Duration,
    ) -> Result<WatchAnswer, ProbeFailure> {
        let deadline = Instant::now() + pause + limit;
        let ask = Ask {
            pause,
            limit,
            depth: Depth::Due,
        };
        let evaluated = self
            .reader
            .read(&mut self.session, self.access.clock.as_ref(), ask)
            .await
            .inspect_err(|failure| self.access.note(&self.address, failure))?;
        if self.reader.is_outdated() {
            let dialect = Dialect::discover(&mut self.session, Extent::All, deadline).await?;
            self.reader.renew(dialect);
            let ask = Ask {
                pause: Duration::ZERO,
                limit: left(deadline),
                depth: Depth::Full,
            };
            self.reader
                .read(&mut self.session, self.access.clock.as_ref(), ask)
                .await?;
        }
        if let Some(channels) = self.reader.take_seen_channels() {
            self.access.channels.note(&self.address, channels);
        }
        let now = self.access.clock.now();
        self.hints
            .refresh(
                (&mut self.session, self.reader.dialect()),
                &self.access.settings.queries,
                now,
                left(deadline),
            )
            .await?;
        let commit = self
            .prober
            .as_mut()
            .map_or(CommitProbe::NotTried, CommitProber::state);
        let facts = self
            .reader
            .facts(self.hints.beside(commit))
            .map_err(|_| ProbeFailure::NotMysql)?;
        if let Space::Awaited { .. } = facts.vitals.space {
            self.access.spare(&self.address);
        }
        if let Some(prober) = &mut self.prober {
            prober.consider(&facts);
        }
        Ok(evaluated.answer(facts))
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

impl Hints {
    /// Asks the queries if it is time.
    pub(crate) async fn refresh(
        &mut self,
        (session, dialect): (&mut Session, &Dialect),
        queries: &Queries,
        now: Timestamp,
        limit: Duration,
    ) -> Result<(), ProbeFailure> {
        if self.asked_at.is_some_and(|at| now.since(at) < HINTS_EVERY) {
            return Ok(());
        }
        let deadline = Instant::now() + limit;
        let cluster = ask(session, queries.cluster_name.as_deref(), deadline).await?;
        let data_center = ask(session, queries.data_center.as_deref(), deadline).await?;
        let region = ask(session, queries.region.as_deref(), deadline).await?;
        let environment = ask(session, queries.environment.as_deref(), deadline).await?;
        let place = Place {
            data_center: data_center.unwrap_or_default(),
            region: region.unwrap_or_default(),
            environment: environment.unwrap_or_default(),
        };
        let privileged = privileged_writers(session, dialect, deadline).await?;
        *self = Self {
            asked_at: Some(now),
            place: (place != Place::default()).then_some(place),
            cluster,
            privileged,
        };
        Ok(())
    }

    /// What goes beside a reading.
    pub(crate) fn beside(&self, commit: CommitProbe) -> Beside {
        Beside {
            commit,
            place: self.place.clone(),
            cluster_hint: self.cluster.clone(),
            privileged_writers: self.privileged.clone(),
        }
    }
}

/// MariaDB: accounts that may write while the server is read-only, by the bits of their privileges:
/// READ ONLY ADMIN, and SUPER where the privileges were written by a version in which it includes
/// that one. Not ours, no roles, and nobody from the server's own host, where administrators are.
/// Not from `information_schema`, see [`crate::dialect`].
const PRIVILEGED: &str = "SELECT CONCAT(User,'@',Host) AS account FROM mysql.global_priv \
WHERE Host NOT IN ('','localhost','127.0.0.1','::1',@@hostname) AND CONCAT(User,'@',Host)<>CURRENT_USER() \
AND COALESCE(JSON_VALUE(Priv,'$.account_locked'),'0') NOT IN ('1','true') \
AND (JSON_VALUE(Priv,'$.access') & (1<<33)<>0 \
OR JSON_VALUE(Priv,'$.access') & (1<<15)<>0 AND COALESCE(JSON_VALUE(Priv,'$.version_id'),0)<101100) \
ORDER BY account LIMIT 20";

/// `None` if our account may not see it. Everybody is bound by `super_read_only`, where it exists.
async fn privileged_writers(
    session: &mut Session,
    dialect: &Dialect,
    deadline: Instant,
) -> Result<Option<Vec<String>>, ProbeFailure> {
    if dialect.has("super_read_only") {
        return Ok(Some(Vec::new()));
    }
    let table = session.attempt(PRIVILEGED, left(deadline)).await?;
    Ok(table.map(|table| {
        let accounts = table.records().map(|record| record.owned(&["account"]));
        accounts.collect()
    }))
}

/// One text, if the query is configured, right, and has an answer.
async fn ask(
    session: &mut Session,
    query: Option<&str>,
    deadline: Instant,
) -> Result<Option<String>, ProbeFailure> {
    let Some(query) = query else { return Ok(None) };
    let table = session.attempt(query, left(deadline)).await?;
    let text = table
        .as_ref()
        .and_then(|table| table.first()?.first())
        .map(str::trim)
        .unwrap_or_default();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}
