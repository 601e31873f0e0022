//! Database nodes with an account for the store, and a database of its own for each case.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use baton_core::policy::backend::BackendKind;
use baton_ports::Target;
use baton_sandbox::{
    BackendBed, BackendKind as Kind, BackendOptions, Flavor, Sandbox, Server, ServerOptions,
};
use baton_store::{MySqlOptions, MySqlStore, Selector};
use tokio::sync::watch;

/// Whatever runs the nodes: it ends when this is dropped.
type Owner = Box<dyn std::any::Any + Send + Sync>;

/// Runs a statement as an administrator on a node.
type Run = Box<dyn Fn(&str) + Send + Sync>;

/// Nodes of one backend.
pub(crate) struct Bed {
    pub(crate) kind: BackendKind,
    pub(crate) nodes: Vec<SocketAddr>,
    /// On the node that is active.
    run: Run,
    databases: AtomicU32,
    _owner: Owner,
}

impl Bed {
    /// One server, which stands for the active one of a pair.
    pub(crate) fn single(flavor: Flavor) -> (Self, Server) {
        let sandbox = Sandbox::new("store").unwrap();
        let server = sandbox
            .server(flavor, "s1", ServerOptions::default())
            .unwrap();
        let admin = server.clone();
        let run: Run = Box::new(move |sql| admin.exec(sql).unwrap());
        let nodes = vec![server.address()];
        let bed = Self::new(BackendKind::MasterMaster, nodes, run, Box::new(sandbox));
        (bed, server)
    }

    /// A whole cluster; it is used on those of its nodes that take writes.
    pub(crate) fn cluster(kind: Kind) -> (Self, Arc<BackendBed>) {
        let sandbox = Sandbox::new("store").unwrap();
        let cluster = sandbox.backend(kind, &BackendOptions::default()).unwrap();
        let cluster = Arc::new(cluster);
        let admin = Arc::clone(&cluster);
        let run: Run = Box::new(move |sql| admin[0].exec(sql).unwrap());
        let nodes = cluster.nodes().iter().map(Server::address).collect();
        let named = match kind {
            Kind::Galera => BackendKind::Galera,
            Kind::MasterMaster(_) => BackendKind::MasterMaster,
            Kind::Ndb => BackendKind::Ndb,
            Kind::GroupReplication => BackendKind::GroupReplication,
        };
        let owner = Box::new((Arc::clone(&cluster), sandbox));
        (Self::new(named, nodes, run, owner), cluster)
    }

    /// The nodes that take writes.
    pub(crate) fn writable(&self) -> Vec<usize> {
        match self.kind {
            BackendKind::Galera | BackendKind::Ndb => (0..self.nodes.len()).collect(),
            BackendKind::Sqlite | BackendKind::MasterMaster | BackendKind::GroupReplication => {
                vec![0]
            }
        }
    }

    /// Any other nodes.
    pub(crate) fn new(kind: BackendKind, nodes: Vec<SocketAddr>, run: Run, owner: Owner) -> Self {
        run("CREATE USER 'state'@'%' IDENTIFIED BY 'state'");
        run("GRANT ALL ON `state%`.* TO 'state'@'%'");
        if kind == BackendKind::Ndb {
            run("GRANT NDB_STORED_USER ON *.* TO 'state'@'%'");
        }
        Self {
            kind,
            nodes,
            run,
            databases: AtomicU32::new(0),
            _owner: owner,
        }
    }

    /// Runs a statement as an administrator.
    pub(crate) fn exec(&self, sql: &str) {
        (self.run)(sql);
    }

    /// An empty database. On NDB, whose small dictionary takes few tables, the one before it ends.
    pub(crate) fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("state{number}");
        if self.kind == BackendKind::Ndb && number > 0 {
            self.exec(&format!("DROP DATABASE state{}", number - 1));
        }
        self.exec(&format!("CREATE DATABASE {name}"));
        name
    }

    /// A node as a target.
    pub(crate) fn target(&self, node: usize, database: &str, generation: u64) -> Target {
        let address = self.nodes[node];
        Target {
            node_id: format!("{database}/{address}"),
            url: format!("mysql://state:state@{address}/{database}"),
            kind: self.kind,
            generation,
        }
    }

    /// A store on a node.
    pub(crate) fn store(&self, node: usize, database: &str) -> Following {
        Following::new(
            Some(self.target(node, database, 1)),
            MySqlOptions::default(),
        )
    }
}

/// What a selector was told.
#[derive(Default)]
pub(crate) struct Reports(Mutex<Vec<(u64, &'static str)>>);

impl Reports {
    pub(crate) fn all(&self) -> Vec<(u64, &'static str)> {
        self.0.lock().unwrap().clone()
    }
}

impl Selector for Reports {
    fn failed(&self, generation: u64, class: &'static str) {
        self.0.lock().unwrap().push((generation, class));
    }

    fn reason(&self) -> String {
        "the test selected none".to_owned()
    }
}

/// A store with the hand that selects its node.
pub(crate) struct Following {
    pub(crate) store: MySqlStore,
    pub(crate) targets: watch::Sender<Option<Target>>,
    pub(crate) reports: Arc<Reports>,
}

impl Following {
    pub(crate) fn new(target: Option<Target>, options: MySqlOptions) -> Self {
        let targets = watch::Sender::new(target);
        let reports = Arc::new(Reports::default());
        let selector: Arc<dyn Selector> = Arc::<Reports>::clone(&reports);
        let store = MySqlStore::follow(targets.subscribe(), selector, options);
        Self {
            store,
            targets,
            reports,
        }
    }
}
