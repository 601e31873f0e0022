//! The entrance: opens sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use baton_core::ids::Address;
use baton_core::model::{ProbeFailure, TimeoutPhase};
use baton_ports::{Clock, Servers, StandbyFence, Watch};
use tokio::time::Instant;

use crate::act::MysqlActSession;
use crate::channel_options::ChannelMemory;
use crate::connect::{self, Acquaintance};
use crate::dialect::{Dialect, Extent};
use crate::reading::Reader;
use crate::recent::AllRecent;
use crate::session::Session;
use crate::settings::Settings;
use crate::standby::MysqlStandbyFence;
use crate::watch::MysqlWatch;

/// Managed servers, reached over the network.
pub struct MysqlServers {
    access: Access,
}

/// What every session needs to open others of its kind.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Addresses that have spoken the protocol since the process started. Grows with the fleet, no
    /// further.
    known: Arc<Mutex<BTreeSet<Address>>>,
    /// What sessions of the servers were told lately.
    recent: AllRecent,
    /// The channels that servers had when they were last read.
    pub(crate) channels: ChannelMemory,
    /// When a statement of a reading last got no answer in time, by address.
    stuck: Arc<Mutex<BTreeMap<Address, Instant>>>,
}

/// For so long after a statement got no answer, a server is not asked for what is not needed.
const SPARED_FOR: Duration = Duration::from_mins(1);

impl MysqlServers {
    /// Nothing is opened yet.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let access = Access {
            settings: Arc::new(settings),
            clock,
            known: Arc::default(),
            recent: AllRecent::default(),
            channels: ChannelMemory::default(),
            stuck: Arc::default(),
        };
        Self { access }
    }
}

impl fmt::Debug for MysqlServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlServers")
            .field("settings", &self.access.settings)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// The next reading of this server shall read its events, though they are not due.
    pub(crate) fn note_events_changed(&self, address: &Address) {
        self.recent.of(address).forget_events();
    }

    /// Opens a session, nothing set up.
    pub(crate) async fn open(
        &self,
        address: &Address,
        limit: Duration,
    ) -> Result<Session, ProbeFailure> {
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(address);
        let acquaintance = if known {
            Acquaintance::Known
        } else {
            Acquaintance::Stranger
        };
        let result = connect::open(&self.settings, address, acquaintance, limit).await;
        let spoke = match &result {
            Ok(_) => true,
            Err(failure) => failure.error_number().is_some(),
        };
        if spoke && !known {
            self.known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(address.clone());
        }
        result
    }

    /// Remembers that a statement got no answer. The end of the binary log, say, is not told while
    /// a commit waits for space there (MySQL): a server that is asked for it again and again would
    /// look as if it hung.
    pub(crate) fn note(&self, address: &Address, failure: &ProbeFailure) {
        let hung = ProbeFailure::Timeout(TimeoutPhase::Statement);
        if [hung, ProbeFailure::ReceiverWaitsForSpace].contains(failure) {
            self.spare(address);
        }
    }

    /// New sessions of this server leave out what is not told while a commit waits for space.
    pub(crate) fn spare(&self, address: &Address) {
        let mut stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        stuck.insert(address.clone(), Instant::now());
    }

    fn is_stuck(&self, address: &Address) -> bool {
        let mut stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        stuck.retain(|_, at| at.elapsed() < SPARED_FOR);
        stuck.contains_key(address)
    }

    /// Opens a session and finds out what the server understands.
    pub(crate) async fn introduce(
        &self,
        address: &Address,
        limit: Duration,
    ) -> Result<(Session, Reader), ProbeFailure> {
        let deadline = Instant::now() + limit;
        let opened = self.clock.now();
        let mut session = self.open(address, limit).await?;
        let extent = if self.is_stuck(address) {
            Extent::Needed
        } else {
            Extent::All
        };
        let dialect = Dialect::discover(&mut session, extent, deadline).await;
        let dialect = dialect.inspect_err(|failure| self.note(address, failure))?;
        let lag_query = self.settings.queries.lag.clone();
        let reader = Reader::new(dialect, lag_query, opened, self.recent.of(address));
        Ok((session, reader))
    }
}

#[async_trait]
impl Servers for MysqlServers {
    async fn watch(
        &self,
        address: &Address,
        limit: Duration,
    ) -> Result<Box<dyn Watch>, ProbeFailure> {
        let (session, reader) = self.access.introduce(address, limit).await?;
        Ok(Box::new(MysqlWatch::new(
            self.access.clone(),
            address.clone(),
            session,
            reader,
        )))
    }

    async fn act(
        &self,
        address: &Address,
        lock: &str,
        limit: Duration,
    ) -> Result<baton_ports::Session, ProbeFailure> {
        let deadline = Instant::now() + limit;
        let (session, reader) = self.access.introduce(address, limit).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let session = MysqlActSession::open(
            self.access.clone(),
            address.clone(),
            lock,
            (session, reader),
            left,
        )
        .await?;
        Ok(Box::new(session))
    }

    async fn standby(
        &self,
        address: &Address,
        lock: &str,
        limit: Duration,
    ) -> Result<Box<dyn StandbyFence>, ProbeFailure> {
        let access = self.access.clone();
        let fence = MysqlStandbyFence::open(access, address.clone(), lock, limit).await?;
        Ok(Box::new(fence))
    }

    async fn resolve(&self, host: &str) -> Vec<String> {
        connect::literals(host, self.access.settings.connect_timeout).await
    }
}
