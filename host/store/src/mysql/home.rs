//! The sessions that are kept, all of one target.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use baton_core::policy::backend::BackendKind;
use baton_ports::Target;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use super::Selector;
use super::errors::{Class, Phase, Trouble};
use super::link::Link;
use super::options::MySqlOptions;
use super::prepare::prepare;
use crate::failure::Failure;

/// Where the store lives now.
pub(super) struct Home {
    pub(super) targets: watch::Receiver<Option<Target>>,
    pub(super) options: MySqlOptions,
    selector: Arc<dyn Selector>,
    kept: Mutex<Vec<Link>>,
    /// Backends whose tables are up to date, with the schema that was found there.
    prepared: tokio::sync::Mutex<BTreeMap<String, u32>>,
    permits: Arc<Semaphore>,
}

impl Home {
    pub(super) fn new(
        targets: watch::Receiver<Option<Target>>,
        selector: Arc<dyn Selector>,
        options: MySqlOptions,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(options.sessions.max(1)));
        Self {
            targets,
            options,
            selector,
            kept: Mutex::default(),
            prepared: tokio::sync::Mutex::default(),
            permits,
        }
    }

    /// The present target's; 0 without one.
    pub(super) fn generation(&self) -> u64 {
        self.targets
            .borrow()
            .as_ref()
            .map_or(0, |target| target.generation)
    }

    /// The present target's.
    pub(super) fn kind(&self) -> Option<BackendKind> {
        self.targets.borrow().as_ref().map(|target| target.kind)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Link>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to a session, in the order of asking.
    pub(super) async fn permit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let limit = self.options.patience.max(self.options.read);
        let permit = timeout(limit, Arc::clone(&self.permits).acquire_owned()).await;
        let busy = || {
            let sessions = self.options.sessions;
            Trouble::Busy { sessions, limit }.into_failure(Class::GiveUp)
        };
        permit.ok().and_then(Result::ok).ok_or_else(busy)
    }

    /// All rights to a session, once those that are out have come back.
    pub(super) async fn all_permits(&self, limit: Duration) -> Option<OwnedSemaphorePermit> {
        let count = u32::try_from(self.options.sessions.max(1)).ok()?;
        let all = Arc::clone(&self.permits).acquire_many_owned(count);
        timeout(limit, all).await.ok()?.ok()
    }

    /// A session on the present target, and whether it is a new one.
    pub(super) async fn take(&self) -> Result<(Link, bool), Failure> {
        let target = self.targets.borrow().clone();
        let Some(target) = target else {
            let reason = self.selector.reason();
            return Err(Trouble::NoTarget { reason }.into_failure(Class::GiveUp));
        };
        if let Some(link) = self.take_kept(target.generation) {
            return Ok((link, false));
        }
        let blame = |trouble, phase| self.blame(trouble, target.generation, phase, false).0;
        let mut link = Link::connect(&target, &self.targets, &self.options)
            .await
            .map_err(|trouble| blame(trouble, Phase::Connect))?;
        let backend = backend_of(&target).to_owned();
        let mut prepared = self.prepared.lock().await;
        if let Entry::Vacant(entry) = prepared.entry(backend) {
            let found = prepare(&mut link, self.options.half_copies)
                .await
                .map_err(|trouble| blame(trouble, Phase::Statement))?;
            entry.insert(found);
        }
        drop(prepared);
        Ok((link, true))
    }

    fn take_kept(&self, generation: u64) -> Option<Link> {
        let mut kept = self.kept();
        kept.retain(|link| link.generation == generation);
        kept.pop()
    }

    /// A session inside a new transaction.
    pub(super) async fn begin(&self) -> Result<(Link, OwnedSemaphorePermit), Failure> {
        let permit = self.permit().await?;
        loop {
            let (mut link, is_fresh) = self.take().await?;
            let limit = link.read;
            match link.run("BEGIN", limit).await {
                Ok(_) => return Ok((link, permit)),
                Err(trouble) => {
                    // A kept session that died is no news; nothing was sent on it but this.
                    let is_stale = !is_fresh && Self::is_lost(&trouble);
                    let (failure, _) =
                        self.blame(trouble, link.generation, Phase::Statement, is_stale);
                    if !is_stale {
                        return Err(failure);
                    }
                }
            }
        }
    }

    /// True if the session broke, rather than that the node answered or was silent.
    pub(super) fn is_lost(trouble: &Trouble) -> bool {
        matches!(trouble, Trouble::Sql { .. })
            && matches!(
                trouble.verdict(Phase::Statement).word,
                "connection-lost" | "shutting-down"
            )
    }

    /// Makes a failure of it, tells the selector unless it is no news, and forgets the sessions
    /// that share its fate. True if the session cannot be used any more.
    pub(super) fn blame(
        &self,
        trouble: Trouble,
        generation: u64,
        phase: Phase,
        is_stale: bool,
    ) -> (Failure, bool) {
        let verdict = trouble.verdict(phase);
        if verdict.lost {
            self.kept().retain(|link| link.generation != generation);
            if !is_stale {
                self.selector.failed(generation, verdict.word);
            }
        }
        (trouble.into_failure(verdict.class), verdict.lost)
    }

    /// Keeps a session that is outside any transaction, if it is of any use.
    pub(super) fn give_back(&self, link: Link) {
        if link.generation == self.generation() {
            self.kept().push(link);
        }
    }

    /// Prepares the present target's backend; gives the schema found there.
    pub(super) async fn prepared(&self) -> Result<u32, Failure> {
        let permit = self.permit().await?;
        let (link, _) = self.take().await?;
        self.give_back(link);
        drop(permit);
        let target = self.targets.borrow().clone();
        let prepared = self.prepared.lock().await;
        let found = target.and_then(|target| prepared.get(backend_of(&target)).copied());
        Ok(found.unwrap_or(0))
    }
}

/// The name of a node's backend: its identity up to the address.
fn backend_of(target: &Target) -> &str {
    target
        .node_id
        .split_once('/')
        .map_or(target.node_id.as_str(), |(backend, _)| backend)
}
