//! A database without space.

use baton_ports::StoreError;
use baton_ports::prelude::*;
use baton_sandbox::{Flavor, Sandbox, ServerOptions};

use crate::Bed;
use crate::rows::audit;

/// More lines than fit, a thousand bytes each.
const LINES: usize = 40_000;

/// A limit stands for the disk: all tables in one file that does not grow. The server's error is
/// the one of a full disk, 1114.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_stays_and_the_refusal_names_node_and_remedy() {
    baton_sandbox::require!(Flavor::MariaDb);
    let sandbox = Sandbox::new("full").unwrap();
    let options = ServerOptions {
        extra: [
            "--innodb-file-per-table=0",
            "--innodb-data-file-path=ibdata1:12M;ibdata2:8M",
        ]
        .map(str::to_owned)
        .to_vec(),
        ..ServerOptions::default()
    };
    let server = sandbox.server(Flavor::MariaDb, "s1", options).unwrap();
    let (admin, nodes) = (server.clone(), vec![server.address()]);
    let kind = baton_core::policy::backend::BackendKind::MasterMaster;
    let run = Box::new(move |sql: &str| admin.exec(sql).unwrap());
    let bed = Bed::new(kind, nodes, run, Box::new(sandbox));
    let following = bed.store(0, &bed.database());
    let store = &following.store;

    let text = "x".repeat(1000);
    let mut acknowledged = 0;
    let refused = loop {
        match store.audit(&audit(&format!("{acknowledged} {text}"))).await {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < LINES, "it never became full");
    };
    assert!(
        matches!(refused, StoreError::Unavailable { .. }),
        "{refused:?}"
    );
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(
        cause.contains(&server.address().to_string()) && cause.contains("free disk space"),
        "{cause}"
    );
    let reports = following.reports.all();
    assert!(
        reports.iter().any(|(_, class)| *class == "full"),
        "{reports:?}"
    );
    // Nothing that was acknowledged is gone, and reading goes on.
    let newest = store.audits(0, 1).await.unwrap();
    assert!(
        newest[0]
            .text
            .starts_with(&format!("{} ", acknowledged - 1))
    );
    let oldest = u32::try_from(acknowledged - 1).unwrap();
    assert!(
        store.audits(oldest, 1).await.unwrap()[0]
            .text
            .starts_with("0 ")
    );
    println!("{acknowledged} lines, then: {cause}");
}
