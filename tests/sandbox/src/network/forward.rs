//! A port of a host, reachable from outside its network.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Host;

/// How often it looks for a new connection, or its end.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Passes connections on to a port of a host, until dropped.
#[derive(Debug)]
pub struct Forward {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Forward {
    pub(super) fn start(host: Host, port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, crate::free_port()?))
            .context("listen for connections to pass on")?;
        listener
            .set_nonblocking(true)
            .context("look for connections without waiting")?;
        let address = listener.local_addr().context("ask for our own address")?;
        let stopped = Arc::new(AtomicBool::new(false));
        let forward = Self {
            address,
            stopped: Arc::clone(&stopped),
        };
        thread::spawn(move || {
            // The listener belongs to where it was made, what is opened from now on to the host.
            if let Err(error) = host.enter() {
                eprintln!("could not pass connections on: {error:#}");
                return;
            }
            let target = SocketAddr::from((host.address(), port));
            while !stopped.load(Ordering::Relaxed) {
                match listener.accept() {
                    // The client sees a failure as a connection that ends at once.
                    Ok((client, _)) => join(client, target).unwrap_or_default(),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        thread::sleep(LOOK_EVERY);
                    }
                    Err(error) => eprintln!("could not accept a connection: {error}"),
                }
            }
        });
        Ok(forward)
    }

    /// Where to connect to, on this machine.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

fn join(client: TcpStream, target: SocketAddr) -> io::Result<()> {
    client.set_nonblocking(false)?;
    let server = TcpStream::connect_timeout(&target, CONNECT_LIMIT)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    pass_on(client.try_clone()?, server.try_clone()?);
    pass_on(server, client);
    Ok(())
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // Either side may end the connection in any way; the other one is told so.
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Write).ok();
    });
}
