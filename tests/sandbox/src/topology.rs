//! Several servers that replicate from each other.

use std::collections::BTreeSet;
use std::ops::Index;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use crate::wait::wait_until;
use crate::{Access, Channel, Flavor, Network, Sandbox, SemiSync, Server, ServerOptions};

/// For the first rows to arrive everywhere; far above what it takes.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// Which servers there are, who reads from whom, and how they are started.
#[derive(Clone, Debug, Default)]
pub struct TopologySpec {
    /// The servers, sources usually before their replicas.
    pub members: Vec<MemberSpec>,
    /// Semi-synchronous replication on all.
    pub semi_sync: Option<SemiSync>,
    /// Gives each server a host of this network, named after it.
    pub network: Option<Network>,
    /// How often sources send heartbeats; by default the servers' own choice.
    pub heartbeat: Option<Duration>,
}

/// One server of a topology.
#[derive(Clone, Debug, Default)]
pub struct MemberSpec {
    /// Its name, by which the topology is indexed.
    pub name: String,
    /// The servers it reads from. With more than one, each channel is named after its source.
    pub sources: Vec<String>,
    /// How it is started.
    pub options: ServerOptions,
}

impl TopologySpec {
    /// Reads a sketch, one server a line, `name [<- source[, source]] [writable|read-only]`:
    ///
    /// ```text
    /// p1 <- p2 writable      two co-primaries, one of them read-only
    /// p2 <- p1
    /// r1 <- p1               a replica
    /// c1 <- r1               a replica of the replica
    /// ```
    ///
    /// A server that reads from another is read-only unless said otherwise.
    pub fn parse(sketch: &str) -> Result<Self> {
        let mut spec = Self::default();
        for line in sketch
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            spec.members
                .push(parse_member(line).with_context(|| format!("in {line:?}"))?);
        }
        for source in spec.members.iter().flat_map(|member| &member.sources) {
            ensure!(
                spec.members.iter().any(|member| &member.name == source),
                "{source:?} is read from but is no server of this sketch"
            );
        }
        Ok(spec)
    }

    /// A primary `p1` with replicas `r1`, `r2`, ...
    pub fn primary_with_replicas(replicas: usize) -> Self {
        let primary = MemberSpec {
            name: "p1".into(),
            ..MemberSpec::default()
        };
        let replicas = (1..=replicas).map(|number| MemberSpec {
            name: format!("r{number}"),
            sources: vec!["p1".into()],
            options: ServerOptions {
                access: Access::ReadOnly,
                ..ServerOptions::default()
            },
        });
        Self {
            members: std::iter::once(primary).chain(replicas).collect(),
            ..Self::default()
        }
    }

    /// The same with semi-synchronous replication.
    pub fn with_semi_sync(mut self, semi_sync: SemiSync) -> Self {
        self.semi_sync = Some(semi_sync);
        self
    }

    /// The same with each server on a host of its own.
    pub fn with_network(mut self, network: &Network) -> Self {
        self.network = Some(network.clone());
        self
    }

    /// The same with this interval between heartbeats.
    pub fn with_heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = Some(interval);
        self
    }

    /// The same with options changed for one member.
    ///
    /// # Panics
    ///
    /// When there is no such member: a mistake in the test.
    pub fn with_options(mut self, name: &str, change: impl FnOnce(&mut ServerOptions)) -> Self {
        let member = self.members.iter_mut().find(|member| member.name == name);
        let Some(member) = member else {
            panic!("no member {name} in the topology")
        };
        change(&mut member.options);
        self
    }
}

fn parse_member(line: &str) -> Result<MemberSpec> {
    let (rest, access) = if let Some(rest) = line.strip_suffix("writable") {
        (rest, Some(Access::Writable))
    } else if let Some(rest) = line.strip_suffix("read-only") {
        (rest, Some(Access::ReadOnly))
    } else {
        (line, None)
    };
    let (name, sources) = rest.split_once("<-").unwrap_or((rest, ""));
    let name = name.trim();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        bail!("{name:?} is no name of a server");
    }
    let sources: Vec<String> = sources
        .split(',')
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .map(str::to_owned)
        .collect();
    let by_role = if sources.is_empty() {
        Access::Writable
    } else {
        Access::ReadOnly
    };
    let options = ServerOptions {
        access: access.unwrap_or(by_role),
        ..ServerOptions::default()
    };
    Ok(MemberSpec {
        name: name.to_owned(),
        sources,
        options,
    })
}

/// Running servers that replicate. Indexed by name: `topology["r1"]`.
#[derive(Clone, Debug)]
pub struct Topology {
    primary: Server,
    servers: Vec<Server>,
}

impl Topology {
    pub(crate) fn start(sandbox: &Sandbox, flavor: Flavor, spec: &TopologySpec) -> Result<Self> {
        let servers = start_servers(sandbox, flavor, spec)?;
        let primary = servers
            .first()
            .context("a topology without servers")?
            .clone();
        let topology = Self { primary, servers };
        for member in &spec.members {
            for source in &member.sources {
                let several = member.sources.len() > 1;
                let channel = Channel {
                    name: if several {
                        source.clone()
                    } else {
                        String::new()
                    },
                    heartbeat: spec.heartbeat,
                    ..Channel::default()
                };
                topology
                    .server(&member.name)?
                    .replicate_from(topology.server(source)?, &channel)?;
            }
        }
        topology.create_table(spec)?;
        Ok(topology)
    }

    /// All servers, in the order of the specification.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The first server: the primary as it was started.
    pub fn primary(&self) -> &Server {
        &self.primary
    }

    /// A server by its name.
    pub fn server(&self, name: &str) -> Result<&Server> {
        let found = self.servers.iter().find(|server| server.name() == name);
        found.with_context(|| format!("no server {name} in the topology"))
    }

    /// The servers that take writes now; those that do not answer do not count.
    pub fn writable(&self) -> Vec<&Server> {
        self.servers
            .iter()
            .filter(|server| server.is_writable().unwrap_or(false))
            .collect()
    }

    /// Creates the table that [`Writer`](crate::Writer) fills, at each server that has no
    /// source or is writable first, and waits until every replica has it and runs.
    fn create_table(&self, spec: &TopologySpec) -> Result<()> {
        let is_origin = |member: &&MemberSpec| {
            member.sources.is_empty() || member.options.access == Access::Writable
        };
        let origin = spec
            .members
            .iter()
            .find(is_origin)
            .context("no writable member")?;
        self.server(&origin.name)?.exec(TABLE)?;
        // What another origin alone feeds has no such table.
        let mut fed = BTreeSet::from([&origin.name]);
        while let Some(next) = spec.members.iter().find(|member| {
            !fed.contains(&member.name) && member.sources.iter().any(|source| fed.contains(source))
        }) {
            fed.insert(&next.name);
        }
        for member in spec
            .members
            .iter()
            .filter(|member| !member.sources.is_empty())
        {
            let server = self.server(&member.name)?;
            wait_until(&format!("{server} replicates"), SETTLE_LIMIT, || {
                let has_table = !fed.contains(&member.name) || server.scalar(TABLE_COUNT)? == "1";
                Ok(has_table && server.is_replicating()?)
            })
            .with_context(|| format!("status: {:?}", server.replica_status()))?;
        }
        Ok(())
    }
}

impl Index<&str> for Topology {
    type Output = Server;

    /// # Panics
    ///
    /// When there is no such server: a mistake in the test.
    fn index(&self, name: &str) -> &Server {
        match self.server(name) {
            Ok(server) => server,
            Err(error) => panic!("{error}"),
        }
    }
}

/// `IF NOT EXISTS`: with two origins the second may have it from the first.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS app.writes \
    (id BIGINT UNSIGNED NOT NULL PRIMARY KEY) ENGINE=InnoDB";
const TABLE_COUNT: &str = "SELECT COUNT(*) FROM information_schema.tables \
    WHERE table_schema = 'app' AND table_name = 'writes'";

/// All at once: most of a start is waiting.
fn start_servers(sandbox: &Sandbox, flavor: Flavor, spec: &TopologySpec) -> Result<Vec<Server>> {
    let mut all_options = Vec::new();
    for member in &spec.members {
        let mut options = member.options.clone();
        options.semi_sync = options.semi_sync.or_else(|| spec.semi_sync.clone());
        // Taken here, so that ids follow the order of the specification.
        options
            .server_id
            .get_or_insert_with(|| sandbox.next_server_id());
        if let Some(network) = &spec.network {
            options.host = Some(network.host(&member.name)?);
        }
        all_options.push((member.name.as_str(), options));
    }
    thread::scope(|scope| {
        let starts: Vec<_> = all_options
            .into_iter()
            .map(|(name, options)| scope.spawn(move || sandbox.server(flavor, name, options)))
            .collect();
        starts
            .into_iter()
            .map(|start| {
                start
                    .join()
                    .map_err(|_| anyhow!("starting a server panicked"))?
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::TopologySpec;
    use crate::Access;

    #[test]
    fn a_sketch_says_who_reads_from_whom_and_who_is_writable() {
        let spec =
            TopologySpec::parse("p1 <- p2 writable\n p2 <- p1\n\n r1 <- p1, p2\n s1 read-only")
                .unwrap();
        let told: Vec<_> = spec
            .members
            .iter()
            .map(|m| (m.name.as_str(), m.sources.join("+"), m.options.access))
            .collect();
        assert_eq!(
            told,
            [
                ("p1", "p2".to_owned(), Access::Writable),
                ("p2", "p1".to_owned(), Access::ReadOnly),
                ("r1", "p1+p2".to_owned(), Access::ReadOnly),
                ("s1", String::new(), Access::ReadOnly),
            ]
        );
    }

    #[test]
    fn a_sketch_with_a_source_that_is_not_in_it_is_refused() {
        let error = TopologySpec::parse("r1 <- p1").unwrap_err();
        assert!(error.to_string().contains("p1"), "{error}");
    }
}
