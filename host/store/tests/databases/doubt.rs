//! The answer to a commit is lost: what was done is done once, and what cannot be found out is
//! said.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use baton_core::ids::ClusterId;
use baton_core::model::RecoveryOutcome;
use baton_core::time::WallTime;
use baton_ports::prelude::*;
use baton_ports::{RecoveryRecord, StoreError};
use baton_sandbox::Flavor;
use baton_store::MySqlOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::rows::{LEASE, audit, line, node, recovery, take};
use crate::{Bed, Following};

/// Stands in front of a node and, when told, passes a commit on but not its answer.
struct Thief {
    address: SocketAddr,
    armed: Arc<AtomicBool>,
    stolen: Arc<AtomicU32>,
}

impl Thief {
    async fn before(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let armed = Arc::new(AtomicBool::new(false));
        let stolen = Arc::new(AtomicU32::new(0));
        let (ready, count) = (Arc::clone(&armed), Arc::clone(&stolen));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(node).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&ready), Arc::clone(&count)));
            }
        });
        Self {
            address,
            armed,
            stolen,
        }
    }

    fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    fn stolen(&self) -> u32 {
        self.stolen.load(Ordering::SeqCst)
    }
}

/// Passes bytes both ways until an end closes, or the answer to a commit is to be kept.
async fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    armed: Arc<AtomicBool>,
    stolen: Arc<AtomicU32>,
) {
    let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Some(count) = read.ok().filter(|count| *count > 0) else { return };
                let is_commit = up[..count].ends_with(b"\x03COMMIT");
                server.write_all(&up[..count]).await.unwrap();
                if is_commit && armed.swap(false, Ordering::SeqCst) {
                    // The server has answered, so it is done.
                    assert!(server.read(&mut down).await.unwrap() > 0);
                    stolen.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Some(count) = read.ok().filter(|count| *count > 0) else { return };
                if client.write_all(&down[..count]).await.is_err() { return }
            }
        }
    }
}

async fn behind_a_thief(bed: &Bed, options: MySqlOptions) -> (Thief, Following) {
    let thief = Thief::before(bed.nodes[0]).await;
    let mut target = bed.target(0, &bed.database(), 1);
    let honest = bed.nodes[0].to_string();
    target.url = target.url.replace(&honest, &thief.address.to_string());
    (thief, Following::new(Some(target), options))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_without_an_answer_is_not_done_twice() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (bed, _server) = Bed::single(Flavor::MariaDb);
    let (thief, following) = behind_a_thief(&bed, MySqlOptions::default()).await;
    let store = &following.store;
    let epoch = take(store, "n1").await;
    let row = recovery("r1", epoch);

    thief.arm();
    let number = store.begin_recovery(LEASE, &row).await.unwrap();
    assert_eq!(store.running_recoveries().await.unwrap()[0].number, number);
    thief.arm();
    store
        .journal(LEASE, &row.id, epoch, &[line(1), line(2)])
        .await
        .unwrap();
    assert_eq!(store.steps(&row.id).await.unwrap().len(), 2);
    thief.arm();
    store.audit(&audit("once")).await.unwrap();
    assert_eq!(store.audits(0, 10).await.unwrap(), [audit("once")]);
    thief.arm();
    let done = RecoveryRecord {
        outcome: RecoveryOutcome::Succeeded,
        ended: Some(WallTime::from_millis(5)),
        ..row.clone()
    };
    store.update_recovery(LEASE, &done).await.unwrap();
    thief.arm();
    let acknowledged = store.acknowledge(None, None, "ann", WallTime::from_millis(9), "seen");
    assert_eq!(acknowledged.await.unwrap(), 1);
    thief.arm();
    store
        .put_cluster(&ClusterId::new("c1"), "orders")
        .await
        .unwrap();
    thief.arm();
    let later = take(store, "n1").await;
    assert!(later > epoch);
    assert_eq!(store.lease(LEASE).await.unwrap().unwrap().epoch, later);

    assert_eq!(thief.stolen(), 7, "a commit was not met as planned");
    let reports = following.reports.all();
    assert_eq!(reports, [(1, "connection-lost"); 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_found_out_is_said() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (bed, _server) = Bed::single(Flavor::MariaDb);
    let options = MySqlOptions {
        patience: Duration::ZERO,
        ..MySqlOptions::default()
    };
    let (thief, following) = behind_a_thief(&bed, options).await;
    following.store.ping(&node("n1")).await.unwrap();
    thief.arm();
    let error = following.store.audit(&audit("once")).await.unwrap_err();
    assert!(
        matches!(error, StoreError::OutcomeUnknown { .. }),
        "{error:?}"
    );
    assert_eq!(following.store.audits(0, 10).await.unwrap().len(), 1);
}
