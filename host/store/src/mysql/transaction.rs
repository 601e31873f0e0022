//! A transaction on one session. Any error ends it: most engines have ended it by then, and would
//! let a later `COMMIT` succeed.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OwnedSemaphorePermit;

use super::errors::{Class, Phase, Trouble};
use super::home::Home;
use super::link::Link;
use crate::failure::Failure;
use crate::session::{Session, Transaction};
use crate::value::{Row, Value};

/// A transaction under way. Dropped, its session is closed, and the server rolls it back.
pub(super) struct MySqlTransaction {
    home: Arc<Home>,
    node: String,
    /// `None` once its session is lost.
    link: Option<Link>,
    /// A statement failed.
    failed: bool,
    _permit: OwnedSemaphorePermit,
}

impl MySqlTransaction {
    pub(super) fn new(home: Arc<Home>, link: Link, permit: OwnedSemaphorePermit) -> Self {
        let node = link.node.clone();
        Self {
            home,
            node,
            link: Some(link),
            failed: false,
            _permit: permit,
        }
    }

    fn link(&mut self) -> Result<&mut Link, Failure> {
        match &mut self.link {
            Some(link) if !self.failed => Ok(link),
            _ => Err(ended(&self.node)),
        }
    }

    fn note<T>(&mut self, result: Result<T, Trouble>) -> Result<T, Failure> {
        result.map_err(|trouble| {
            self.failed = true;
            let generation = self.link.as_ref().map_or(0, |link| link.generation);
            let (failure, lost) = self
                .home
                .blame(trouble, generation, Phase::Statement, false);
            if lost {
                self.link = None;
            }
            failure
        })
    }
}

fn ended(node: &str) -> Failure {
    let node = node.to_owned();
    Trouble::Ended { node }.into_failure(Class::GiveUp)
}

#[async_trait]
impl Session for MySqlTransaction {
    async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, Failure> {
        let done = self.link()?.execute(sql, values).await;
        self.note(done)
    }

    async fn fetch(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Failure> {
        let rows = self.link()?.fetch(sql, values).await;
        self.note(rows)
    }
}

#[async_trait]
impl Transaction for MySqlTransaction {
    async fn commit(mut self: Box<Self>) -> Result<(), Failure> {
        let Some(mut link) = self.link.take().filter(|_| !self.failed) else {
            return Err(ended(&self.node));
        };
        let limit = link.write;
        let Err(trouble) = link.run("COMMIT", limit).await else {
            self.home.give_back(link);
            return Ok(());
        };
        let (failure, lost) = self
            .home
            .blame(trouble, link.generation, Phase::Commit, false);
        if !lost && link.reset().await {
            self.home.give_back(link);
        }
        Err(failure)
    }

    async fn rollback(mut self: Box<Self>) {
        if let Some(mut link) = self.link.take()
            && link.reset().await
        {
            self.home.give_back(link);
        }
    }

    async fn execute_text(&mut self, sql: &str) -> Result<(), Failure> {
        let link = self.link()?;
        let limit = link.write;
        let done = link.run(sql, limit).await;
        self.note(done).map(drop)
    }
}
