//! Leases.

use std::time::Duration;

use async_trait::async_trait;
use baton_core::ids::{LeaseEpoch, NodeName};
use baton_ports::{Claim, LeaseState, Leases, StoreError};

use crate::failure::Refusal;
use crate::operations::lease;
use crate::session::Backend;
use crate::store::{SqlStore, finish, write};
use crate::value::values;

#[async_trait]
impl<B: Backend> Leases for SqlStore<B> {
    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        self.one("reading a lease", lease::FIND, values![name], lease::read)
            .await
    }

    async fn claim_lease(
        &self,
        name: &str,
        node: &NodeName,
        ttl: Duration,
        expected: Option<(LeaseEpoch, u64)>,
        highest: LeaseEpoch,
    ) -> Result<Claim, StoreError> {
        let bid = lease::Bid {
            name,
            node,
            ttl,
            expected,
            highest,
        };
        write!(self, "claiming a lease", |session| lease::claim(
            session, &bid
        ))
    }

    async fn renew_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<Claim, StoreError> {
        write!(self, "renewing a lease", |session| lease::renew(
            session, name, node, epoch
        ))
    }

    async fn release_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        write!(self, "releasing a lease", |session| lease::release(
            session, name, node, epoch
        ))
    }
}
