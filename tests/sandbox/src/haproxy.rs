//! A real HAProxy, as users put it in front of nodes.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::installation::find_program;
use crate::wait::wait_until;
use crate::{Account, Host, Process, Rows, Sandbox, sql};

/// It starts in a few milliseconds.
const START_LIMIT: Duration = Duration::from_secs(10);
const STATEMENT_LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// How the proxy finds out whether a server is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// A line of the configuration, `option httpchk GET /path` for example; without one, a
    /// connection is enough.
    pub option: Option<String>,
    /// Between two checks.
    pub interval: Duration,
    /// Failed checks after which a server is down.
    pub fall: u32,
    /// Good checks after which it is up again.
    pub rise: u32,
    /// Where to ask if that is not where the traffic goes; one port for all servers.
    pub port: Option<u16>,
}

impl HealthCheck {
    /// What the proxy does when nothing is set: every 2 s, down after 3, up after 2.
    pub fn usual() -> Self {
        Self {
            option: None,
            interval: Duration::from_secs(2),
            fall: 3,
            rise: 2,
            port: None,
        }
    }

    /// Every 200 ms, down after one failure.
    pub fn fast() -> Self {
        Self {
            interval: Duration::from_millis(200),
            fall: 1,
            rise: 1,
            ..Self::usual()
        }
    }

    /// The same with a line such as `option mysql-check user haproxy` (an account that
    /// MariaDB nodes of the sandbox have).
    #[must_use]
    pub fn with_option(mut self, line: &str) -> Self {
        self.option = Some(line.to_owned());
        self
    }
}

/// A running HAProxy.
#[derive(Debug)]
pub struct Haproxy {
    process: Process,
    address: SocketAddr,
}

/// A configuration that sends every new connection to the first server that is up, in this
/// order, and ends the connections to one that goes down.
pub fn first_available(
    listen: SocketAddr,
    servers: &[(&str, SocketAddr)],
    check: &HealthCheck,
) -> String {
    let mut lines = vec![
        "defaults".to_owned(),
        "  mode tcp".into(),
        "  timeout connect 1s".into(),
        "  timeout client 1h".into(),
        "  timeout server 1h".into(),
        "listen first".into(),
        format!("  bind {listen}"),
        "  balance first".into(),
    ];
    lines.extend(check.option.iter().map(|line| format!("  {line}")));
    let HealthCheck {
        option: _,
        interval,
        fall,
        rise,
        port,
    } = check;
    let port = port.map(|port| format!(" port {port}")).unwrap_or_default();
    lines.push(format!(
        "  default-server check{port} inter {}ms fall {fall} rise {rise} \
         on-marked-down shutdown-sessions",
        interval.as_millis()
    ));
    for (name, address) in servers {
        lines.push(format!("  server {name} {address}"));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The program: `BATON_HAPROXY`, else the one in the path.
pub(crate) fn find() -> Result<PathBuf> {
    find_program("BATON_HAPROXY", "haproxy")
}

impl Haproxy {
    /// Starts it with a configuration, and waits until it takes connections at `address`,
    /// which the configuration binds.
    pub fn start(
        sandbox: &Sandbox,
        name: &str,
        config: &str,
        address: SocketAddr,
        host: Option<&Host>,
    ) -> Result<Self> {
        let path = sandbox.folder().join(format!("{name}.cfg"));
        fs::write(&path, config).with_context(|| format!("write {}", path.display()))?;
        let mut command = Command::new(find()?);
        // In the foreground, and as one process: what is killed is all there is.
        command.arg("-db").arg("-f").arg(&path);
        let process = sandbox.run(name, &command, host)?;
        let connects = || {
            match host {
                Some(host) => host.run(|| TcpStream::connect_timeout(&address, CONNECT_LIMIT))?,
                None => TcpStream::connect_timeout(&address, CONNECT_LIMIT),
            }
            .map(drop)
            .context("connect")
        };
        let mut ended = None;
        let started = wait_until("HAProxy takes connections", START_LIMIT, || {
            ended = process.exit_status()?;
            if ended.is_none() {
                connects()?;
            }
            Ok(true)
        });
        if let Some(status) = ended {
            bail!("HAProxy ended with {status}:\n{}", process.log_tail(20));
        }
        started.with_context(|| format!("its log ends with:\n{}", process.log_tail(20)))?;
        Ok(Self { process, address })
    }

    /// Where it takes connections.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs statements through it as an account; the first one's rows, as text. Not for a
    /// proxy on a host of a network.
    pub fn query_as(&self, account: Account, statements: &str) -> Result<Rows> {
        let opts = sql::account_opts(self.address, account);
        sql::query(opts, statements, STATEMENT_LIMIT).context("through HAProxy")
    }

    /// Its process, to be killed or frozen.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills it, and says at what moment.
    pub fn kill9(&self) -> Result<Instant> {
        self.process.kill9()
    }
}
