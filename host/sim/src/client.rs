//! A client that writes to whatever takes writes, and remembers what it was promised.

use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::Address;
use tokio::time::sleep;

use crate::server::Txn;
use crate::world::{State, World};

/// Pause between two writes.
const PAUSE: Duration = Duration::from_millis(8);
/// A client gives up waiting for an acknowledgement after this and does not count the write as promised.
const PATIENCE_MS: u32 = 2_000;

/// Writes for ever.
pub(crate) async fn write_on(world: Arc<World>) {
    let mut home: Option<Address> = None;
    loop {
        sleep(PAUSE).await;
        let target = {
            let state = world.lock();
            let usable = |address: &Address| {
                state
                    .servers
                    .get(address)
                    .is_some_and(super::server::SimServer::takes_writes)
            };
            home.clone()
                .filter(usable)
                .or_else(|| state.servers.keys().find(|a| usable(a)).cloned())
        };
        home.clone_from(&target);
        let Some(target) = target else { continue };
        let Some(txn) = world.change(|state| {
            state
                .servers
                .get_mut(&target)
                .map(super::server::SimServer::commit)
        }) else {
            continue;
        };
        await_acknowledgement(&world, &target, txn).await;
    }
}

async fn await_acknowledgement(world: &World, target: &Address, txn: Txn) {
    for _ in 0..PATIENCE_MS {
        sleep(Duration::from_millis(1)).await;
        let mut state = world.lock();
        if !state
            .servers
            .get(target)
            .is_some_and(super::server::SimServer::takes_writes)
        {
            return;
        }
        if is_received(&state, target, txn) {
            state.acknowledged.push(txn);
            return;
        }
    }
}

/// True if a connected replica of `target` has the transaction: it sent an acknowledgement, which the target received.
fn is_received(state: &State, target: &Address, txn: Txn) -> bool {
    state.servers.values().any(|server| {
        server
            .channel
            .as_ref()
            .is_some_and(|c| c.connected && c.receiver_on && c.source == *target)
            && state
                .network
                .passes(&server.address.to_string(), &target.to_string())
            && server.process == crate::server::Process::Up
            && server.possesses(txn)
    })
}
