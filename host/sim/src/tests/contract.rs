//! The simulated store keeps the contract of the port.

use std::sync::Arc;

use baton_store_contract as contract;

use crate::link::SimStore;
use crate::network::NodeId;
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn the_simulated_store_keeps_the_contract() {
    contract::run(async || SimStore {
        world: Arc::new(World::default()),
        node: NodeId(1),
    })
    .await;
}
