//! A source that falls silent as it lets a replica in.

use std::sync::Arc;

use baton_core::ids::Address;
use baton_sandbox::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::LIMIT;

/// Between a replica and its source: lets through what the source says first, and the rest once it
/// is open.
pub(crate) struct Gate {
    pub(crate) address: Address,
    pub(crate) open: watch::Sender<bool>,
    /// Connections whose greeting was answered.
    held: Arc<Semaphore>,
}

impl Gate {
    /// In front of that source.
    pub(crate) async fn to(source: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, opened) = watch::channel(false);
        let held = Arc::new(Semaphore::new(0));
        let (target, answered) = (source.address(), Arc::clone(&held));
        tokio::spawn(async move {
            while let Ok((replica, _)) = listener.accept().await {
                let source = TcpStream::connect(target).await.unwrap();
                tokio::spawn(pass(replica, source, opened.clone(), Arc::clone(&answered)));
            }
        });
        Self {
            address: Address::new("127.0.0.1", port).unwrap(),
            open,
            held,
        }
    }

    /// Waits for the next connection whose greeting was answered.
    pub(crate) async fn holds_one(&self) {
        let one = tokio::time::timeout(LIMIT, self.held.acquire());
        one.await.expect("the replica connects").unwrap().forget();
    }
}

async fn pass(
    mut replica: TcpStream,
    mut source: TcpStream,
    mut opened: watch::Receiver<bool>,
    answered: Arc<Semaphore>,
) -> std::io::Result<()> {
    let mut text = [0; 4096];
    let length = source.read(&mut text).await?;
    replica.write_all(&text[..length]).await?;
    let length = replica.read(&mut text).await?;
    answered.add_permits(1);
    source.write_all(&text[..length]).await?;
    drop(opened.wait_for(|open| *open).await);
    copy_bidirectional(&mut replica, &mut source).await?;
    Ok(())
}
