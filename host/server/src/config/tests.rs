//! Every class of problem, the samples, and the documentation against the table.

use std::io;
use std::path::Path;

use baton_core::planning::PlanSettings;

use super::document::Document;
use super::key::Default;
use super::keys::SECTIONS;
use super::settings::{BackendSettings, PluginSource, RejoinMode};
use super::{ConfigError, Settings, Surroundings, parse, reference};

const MINIMAL: &str = include_str!("../../../../config/minimal.toml");
const SQLITE: &str = include_str!("../../../../config/sqlite.toml");
/// Samples with the state in a database on several hosts.
const DATABASES: [(&str, &str); 4] = [
    ("galera", include_str!("../../../../config/galera.toml")),
    ("ndb", include_str!("../../../../config/ndb.toml")),
    (
        "group-replication",
        include_str!("../../../../config/group-replication.toml"),
    ),
    (
        "master-master",
        include_str!("../../../../config/master-master.toml"),
    ),
];

/// Reads as on a machine where the samples' variables and files exist, and nothing else does.
fn read(text: &str) -> Result<Settings, ConfigError> {
    let file = |path: &Path| match path.to_str() {
        Some("/run/secrets/repl") => Ok(b"from-file\n".to_vec()),
        Some("/etc/baton/ca.pem") => Ok(b"certificates".to_vec()),
        Some("/binary") => Ok(vec![0xff]),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let around = Surroundings {
        env: &|name| match name.strip_prefix("BATON_STATE_URL_") {
            Some(number) => Some(format!("mysql://baton:hunter2@10.0.0.1{number}/baton")),
            None => name
                .starts_with("BATON_")
                .then(|| format!("value of {name}")),
        },
        read: &file,
        is_dir: &|path| path == Path::new("."),
        policy: &|plugin, _| match plugin {
            PluginSource::Builtin(name) if name == "bad" => Err(vec!["one".into(), "two".into()]),
            _ => Ok(()),
        },
        selector: &|plugin, settings| match plugin {
            PluginSource::Builtin(name) if name == "bad" => Err(vec![format!("no to {settings}")]),
            _ => Ok(()),
        },
    };
    parse(text, &around)
}

/// What a person sees.
fn problems(text: &str) -> String {
    match read(text) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// A good file with these lines instead of nothing; one problem class a test.
fn with(extra: &str) -> String {
    problems(&format!(
        "node.name = \"n\"\ntopology.user = \"u\"\ntopology.password = \"hunter2\"\n{extra}"
    ))
}

#[test]
fn all_problems_at_once() {
    let text = r#"
nod = 1
[node]
name = "two words"
[topology]
usr = "baton"
password = { vault = "x" }
seeds = ["db1:x", "db2:3306", "db2:3306"]
pol_interval = "1s"
poll_interval = 1
connect_timeout = "soon"
lag_limit = "0s"
concurrency = -1
[http]
listen = "localhost"
read_only = "no"
[recovery]
rejoin = "atach"
step_limit = "20s"
[backend]
kind = "galera"
"#;
    insta::assert_snapshot!(problems(text), @r#"
    16 problems in the configuration
      line 2: nod: unknown key; did you mean "node"?
      line 4: node.name = "two words": must not contain ' ' (letters, digits, '-', '_' and '.' are allowed)
      line 5: topology.user: is missing (account on every managed server)
      line 6: topology.usr: unknown key; did you mean "user"?
      line 7: topology.password = <redacted>: expected a password in quotes, { env = "NAME" } or { file = "PATH" }
      line 8: topology.seeds = ["db1:x","db2:3306","db2:3306"]: "db1:x" is not an address (expected host:port, for example db1.example:3306); "db2:3306" stands in it twice
      line 9: topology.pol_interval: unknown key; did you mean "poll_interval"?
      line 10: topology.poll_interval = 1: expected a duration with its unit in quotes, for example "500ms", found an integer
      line 11: topology.connect_timeout = "soon": is not a duration (expected for example "500ms", "10s", "1h 30m")
      line 12: topology.lag_limit = "0s": must lie between 100ms and 30days
      line 13: topology.concurrency = -1: must lie between 1 and 100000
      line 15: http.listen = "localhost": is not an address to listen on (expected ip:port, for example 127.0.0.1:3000 or [::]:3000)
      line 16: http.read_only = "no": expected true or false, found a string
      line 18: recovery.rejoin = "atach": is not one of "fence-and-attach", "fence", "off"
      line 19: recovery.step_limit = "20s": must be shorter than recovery.switchover_deadline ("10s", the default)
      line 21: backend.kind = "galera": is written in [[backend.cluster]]; here stands "sqlite"
    "#);
}

#[test]
fn syntax_errors_have_their_line_and_do_not_hide_the_rest() {
    insta::assert_snapshot!(problems("[node]\nname = \n[topology]\nuser = \"u\"\npassword = \"p\"\nseeeds = []\n"), @r#"
    2 problems in the configuration
      line 2: syntax: string values must be quoted, expected literal string
      line 6: topology.seeeds: unknown key; did you mean "seeds"?
    "#);
}

#[test]
fn an_empty_file_says_what_is_missing() {
    insta::assert_snapshot!(problems(""), @r"
    3 problems in the configuration
      node.name: is missing (name of this node, in the lease, the audit log and status pages)
      topology.user: is missing (account on every managed server)
      topology.password: is missing (its password)
    ");
}

#[test]
fn unknown_keys_are_explained() {
    insta::assert_snapshot!(with("http.poll_interval = \"1s\""), @r"
    1 problem in the configuration
      line 4: http.poll_interval: unknown key here; it belongs in [topology]
    ");
    insta::assert_snapshot!(with("zzz.x = 1"), @r"
    1 problem in the configuration
      line 4: zzz: unknown key (known here: node, http, topology, server, cluster, replication, recovery, analysis, policy, backend, log)
    ");
    insta::assert_snapshot!(with("policy.failovr.plugin = \"x\""), @r#"
    1 problem in the configuration
      line 4: policy.failovr: unknown key; did you mean "failover"?
    "#);
}

#[test]
fn sections_of_the_wrong_form() {
    insta::assert_snapshot!(with("[server]\naddress = \"a:1\""), @r"
    1 problem in the configuration
      line 4: server: may stand several times: write [[server]] instead of [server]
    ");
    insta::assert_snapshot!(with("[[recovery]]\nrejoin = \"off\""), @r"
    1 problem in the configuration
      line 4: recovery: may stand once only: write [recovery] instead of [[recovery]]
    ");
    insta::assert_snapshot!(with("http = 3\nserver = [1]\npolicy = \"x\""), @r#"
    3 problems in the configuration
      line 4: http = 3: expected a table
      line 5: server[0] = 1: expected a table
      line 6: policy = "x": expected a table
    "#);
}

#[test]
fn relations_between_durations() {
    insta::assert_snapshot!(with("topology.read_timeout = \"2s\""), @r#"
    1 problem in the configuration
      line 4: topology.read_timeout = "2s": must not be longer than topology.poll_interval ("1s", the default)
    "#);
    insta::assert_snapshot!(with("topology.poll_interval = \"100ms\"\ntopology.connect_timeout = \"200ms\""), @r#"
    1 problem in the configuration
      line 5: topology.connect_timeout = "200ms": must not be longer than topology.poll_interval ("100ms")
    "#);
    insta::assert_snapshot!(with("recovery.switchover_deadline = \"1s\"\nrecovery.step_limit = \"2s\""), @r#"
    1 problem in the configuration
      line 5: recovery.step_limit = "2s": must be shorter than recovery.switchover_deadline ("1s")
    "#);
    insta::assert_snapshot!(with("topology.commit_probe = { statement = \"SELECT 1\", interval = \"1s\" }"), @r#"
    1 problem in the configuration
      line 4: topology.commit_probe.interval = "1s": topology.commit_probe.limit ("2s", the default) must not be longer than this
    "#);
}

#[test]
fn a_short_interval_alone_is_no_contradiction() {
    let text = format!(
        "{}\n[http]\n",
        MINIMAL.replace("seeds", "poll_interval = \"100ms\"\nseeds")
    );
    let settings = read(&text).expect("accepted");
    assert_eq!(
        settings.topology.connect_timeout,
        settings.topology.poll_interval
    );
}

#[test]
fn a_refused_value_causes_no_second_complaint() {
    insta::assert_snapshot!(with("topology.poll_interval = \"fast\"\ntopology.read_timeout = \"2s\""), @r#"
    1 problem in the configuration
      line 4: topology.poll_interval = "fast": is not a duration (expected for example "500ms", "10s", "1h 30m")
    "#);
}

#[test]
fn names_and_addresses_stand_once() {
    let text = r#"
[[server]]
address = "A.example"
[[server]]
address = "a.example:3306"
[[cluster]]
name = "x"
members = ["a:1"]
[[cluster]]
name = "x"
members = ["a:1", "b:1"]
[[cluster]]
name = "y"
members = []
[[http.users]]
name = "u"
password = ""
"#;
    insta::assert_snapshot!(with(text), @r#"
    5 problems in the configuration
      line 8: server[1].address = "a.example:3306": a.example:3306 stands in server[0].address already
      line 13: cluster[1].name = "x": x stands in cluster[0].name already
      line 14: cluster[1].members = ["a:1", "b:1"]: a:1 stands in cluster[0].members already
      line 17: cluster[2].members = []: must name at least one server
      line 20: http.users[0].password = <redacted>: must not be empty
    "#);
}

#[test]
fn secrets_that_cannot_be_read() {
    insta::assert_snapshot!(with("replication = { user = \"r\", password = { env = \"HOME_SWEET\" } }"), @r#"
    1 problem in the configuration
      line 4: replication.password = { env = "HOME_SWEET" }: the environment variable HOME_SWEET is not set
    "#);
    insta::assert_snapshot!(with("replication = { user = \"r\", password = { file = \"/nowhere\" } }"), @r#"
    1 problem in the configuration
      line 4: replication.password = { file = "/nowhere" }: the file cannot be read (entity not found)
    "#);
    insta::assert_snapshot!(with("replication = { user = \"r\", password = { file = \"/binary\" } }"), @r#"
    1 problem in the configuration
      line 4: replication.password = { file = "/binary" }: the file is not text
    "#);
    insta::assert_snapshot!(with("replication = { password = 7 }"), @r#"
    2 problems in the configuration
      line 4: replication.password = <redacted>: expected a password in quotes, { env = "NAME" } or { file = "PATH" }, found an integer
      line 4: replication.user: is missing (account with the privilege to replicate, on every server)
    "#);
}

#[test]
fn files_and_directories_must_exist() {
    insta::assert_snapshot!(with("node.data_dir = \"/nowhere\"\npolicy.failover.plugin = \"/nowhere/p.wasm\""), @r#"
    2 problems in the configuration
      line 4: node.data_dir = "/nowhere": is not a directory that exists
      line 5: policy.failover.plugin = "/nowhere/p.wasm": cannot be read (entity not found); the components inside the program are named builtin:NAME
    "#);
    insta::assert_snapshot!(with("topology.tls = { mode = \"verify-identity\", ca = \"/nowhere\" }"), @r#"
    1 problem in the configuration
      line 4: topology.tls.ca = "/nowhere": cannot be read (entity not found)
    "#);
    insta::assert_snapshot!(with("topology.tls.mode = \"verify-identity\""), @r"
    1 problem in the configuration
      topology.tls.ca: is missing: topology.tls.mode asks for verification
    ");
    let replication = |tls: &str| {
        with(&format!(
            "replication = {{ user = \"r\", password = \"p\", tls = {{ {tls} }} }}"
        ))
    };
    insta::assert_snapshot!(replication("mode = \"verify-ca\""), @r"
    1 problem in the configuration
      replication.tls.ca: is missing, as is ca_path: replication.tls.mode asks for verification
    ");
    insta::assert_snapshot!(replication("mode = \"required\", cert = \"/c\""), @r#"
    1 problem in the configuration
      line 4: replication.tls.cert = "/c": needs replication.tls.key, and that needs this
    "#);
    insta::assert_snapshot!(with("topology.tls.ca = \"/etc/baton/ca.pem\""), @r#"
    1 problem in the configuration
      line 4: topology.tls.ca = "/etc/baton/ca.pem": is of no use unless topology.tls.mode is "verify-identity"
    "#);
}

#[test]
fn a_policy_that_does_not_load_is_a_problem_among_others() {
    insta::assert_snapshot!(with("policy.failover.plugin = \"builtin:bad\"\nx = 1"), @r#"
    3 problems in the configuration
      line 4: policy.failover.plugin = "builtin:bad": one
      line 4: policy.failover.plugin = "builtin:bad": two
      line 5: x: unknown key (known here: node, http, topology, server, cluster, replication, recovery, analysis, policy, backend, log)
    "#);
}

#[test]
fn so_is_a_selector() {
    let file = "policy.backend.plugin = \"builtin:bad\"\npolicy.backend.settings.zone = 3\nx = 1";
    insta::assert_snapshot!(with(file), @r#"
    2 problems in the configuration
      line 4: policy.backend.plugin = "builtin:bad": no to {"zone":3}
      line 6: x: unknown key (known here: node, http, topology, server, cluster, replication, recovery, analysis, policy, backend, log)
    "#);
}

#[test]
fn texts_have_rules() {
    insta::assert_snapshot!(with(concat!(
        "node.peers = [\"10.0.0.2:3000\", \"http://x/y\", \"http://u@x\", \"https://ok:1\"]\n",
        "http.url_prefix = \"baton/\"\n",
        "recovery.kv_prefix = \"/mysql\"\n",
        "recovery.automatic = [\"a b\"]\n",
        "topology.lag_query = \"SELECT 1; DROP TABLE t\"\n",
        "topology.region_query = \" \"\n",
        "log.filter = \"info,=\"\n",
    )), @r#"
    7 problems in the configuration
      line 4: node.peers = ["10.0.0.2:3000","http://x/y","http://u@x","https://ok:1"]: "10.0.0.2:3000" is not a URL (expected http://host:port or https://host:port); "http://x/y" must not have a path; "http://u@x" must not have a user in it
      line 5: http.url_prefix = "baton/": must be empty, or begin with a slash and not end with one, for example "/baton"
      line 6: recovery.kv_prefix = "/mysql": must not begin or end with a slash
      line 7: recovery.automatic = ["a b"]: "a b" must not contain white space
      line 8: topology.lag_query = "SELECT 1; DROP TABLE t": must be one statement, without a semicolon in it
      line 9: topology.region_query = " ": must not be empty
      line 10: log.filter = "info,=": is not a log filter (invalid filter directive)
    "#);
}

#[test]
fn passwords_are_not_shown() {
    let shown = with("http.users = [{ name = \"n\", password = [\"hunter3\"] }]\nx = 1");
    assert!(!shown.contains("hunter"), "{shown}");
    let settings = read(MINIMAL).expect("accepted");
    assert_eq!(
        settings.topology.account.password.reveal(),
        "value of BATON_TOPOLOGY_PASSWORD"
    );
    assert!(
        !format!("{settings:?}").contains("value of"),
        "a password is printed"
    );
}

#[test]
fn the_minimal_sample_has_the_defaults() {
    let settings = read(MINIMAL).expect("accepted");
    assert_eq!(
        settings.backend,
        BackendSettings::Sqlite {
            path: "./baton.db".into()
        }
    );
    assert_eq!(
        settings.policy.failover,
        PluginSource::Builtin("failover-default".into())
    );
    assert_eq!(settings.recovery.rejoin, RejoinMode::FenceAndAttach);
    assert_eq!(settings.recovery.kv_prefix, "mysql/master");
    assert!(settings.recovery.intermediate);
    assert!(settings.recovery.without_backend);
    assert_eq!(settings.recovery.peer_confirmations, 0);
    assert_eq!(settings.recovery.automatic, ["*"]);
    assert_eq!(settings.http.listen.to_string(), "127.0.0.1:3000");
    assert_eq!(settings.topology.poll_interval.as_millis(), 1000);
    assert_eq!(settings.topology.connect_timeout.as_millis(), 500);
    assert_eq!(settings.topology.forget_after.as_secs(), 240 * 3600);
    assert!(settings.topology.commit_probe.is_none());
    let (recovery, plan) = (&settings.recovery, PlanSettings::default());
    assert_eq!(recovery.step_limit, plan.step_limit);
    assert_eq!(recovery.drain_limit, plan.drain_limit);
    assert_eq!(recovery.revoke_limit, plan.revoke_limit);
    let warned: Vec<_> = settings
        .warnings
        .iter()
        .map(|warning| warning.key.as_str())
        .collect();
    assert_eq!(warned, ["replication"]);
}

#[test]
fn the_full_sample_is_accepted_and_shows_every_key() {
    let settings = read(SQLITE).expect("accepted");
    assert_eq!(settings.servers.len(), 2);
    assert_eq!(settings.servers[0].place.region, "east");
    assert_eq!(settings.clusters[0].members.len(), 2);
    assert_eq!(
        settings.replication.expect("given").password.reveal(),
        "from-file"
    );
    assert_eq!(settings.policy.settings["cooldown-ms"], 3_600_000);
    assert_eq!(settings.recovery.automatic, ["shop", "test-*"]);
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
    let full = Document::read(SQLITE);
    // What is written in place of [backend] cannot stand in the same file.
    let databases = DATABASES.map(|(_, text)| Document::read(text));
    for section in SECTIONS {
        for key in section.keys {
            let name = format!("{}.{}", section.path, key.name);
            let shows = |document: &Document| {
                let instances = document.instances(section.path);
                let place = instances.first().map_or(section.path, String::as_str);
                document.is_given(&format!("{place}.{}", key.name))
            };
            let shown = match section.path {
                "backend.cluster" => databases.iter().any(shows),
                _ => shows(&full),
            };
            assert!(shown, "no sample shows {name}");
        }
    }
}

#[test]
fn the_database_samples_are_accepted() {
    for (kind, text) in DATABASES {
        let settings = read(text).unwrap_or_else(|error| panic!("config/{kind}.toml: {error}"));
        let BackendSettings::Databases(clusters) = &settings.backend else {
            panic!("config/{kind}.toml keeps the state elsewhere");
        };
        let [cluster] = clusters.as_slice() else {
            panic!("config/{kind}.toml has several backends");
        };
        assert_eq!(cluster.kind.word(), kind);
        assert_eq!(cluster.timing, baton_backend::Timing::default());
        assert_eq!(cluster.promotion.is_some(), kind == "master-master");
        assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
        let shown = format!("{settings:?}");
        assert!(
            !shown.contains("secret@") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
    let settings = read(DATABASES[2].1).expect("accepted");
    let BackendSettings::Databases(clusters) = &settings.backend else {
        panic!("not a database");
    };
    let node = &clusters[0].nodes[2];
    assert_eq!(node.url.address.to_string(), "10.0.0.13:3306");
    let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(node.tags, [tag("rack", "r1"), tag("zone", "c")]);
}

#[test]
fn a_lease_shorter_than_a_stall_is_warned_of() {
    for (kind, text) in DATABASES {
        let with = |ttl: &str| {
            let text = text.replace(
                "[node]
",
                &format!(
                    "[node]
lease_ttl = \"{ttl}\"
"
                ),
            );
            let settings = read(&text).expect("accepted");
            assert!(settings.node.lease_ttl.is_some());
            settings.warnings.len()
        };
        assert_eq!((with("2s"), with("20s")), (1, 0), "{kind}");
    }
}

#[test]
fn databases_have_rules() {
    let text = r#"
[backend]
path = "x.db"
[[backend.cluster]]
name = "one"
kind = "galera"
nodes = ["mysql://u:hunter2@h1/d", "http://u:hunter2@h2/d", { env = "HOME_SWEET" }, "mysql://u:hunter2@h1:3306/d"]
promote_after = "1s"
[[backend.cluster]]
name = "one"
kind = "master-master"
nodes = ["mysql://u:hunter2@h1/d"]
admin_password = "hunter2"
[[backend.cluster]]
name = "three"
kind = "galara"
nodes = [{ url = "mysql://u:hunter2@h3/d", zine = "a" }, 7]
[[backend.cluster]]
name = "four"
kind = "ndb"
nodes = []
"#;
    insta::assert_snapshot!(with(text), @r#"
    10 problems in the configuration
      line 6: backend.path = "x.db": is of no use beside [[backend.cluster]]
      line 10: backend.cluster[0].nodes = <redacted>: node 2 must begin with mysql://; node 3 the environment variable HOME_SWEET is not set
      line 10: backend.cluster[0].nodes = <redacted>: h1:3306 stands in it twice
      line 11: backend.cluster[0].promote_after = "1s": means something only for the kind "master-master"
      line 13: backend.cluster[1].name = "one": one stands in backend.cluster[0].name already
      line 15: backend.cluster[1].nodes = <redacted>: h1:3306 stands in backend.cluster[0].nodes already
      line 16: backend.cluster[1].admin_password = <redacted>: is of no use without admin_user
      line 19: backend.cluster[2].kind = "galara": is not one of "galera", "ndb", "master-master", "group-replication"; did you mean "galera"?
      line 20: backend.cluster[2].nodes = <redacted>: node 1: "zine" is none of url, zone, tags; node 2: expected a URL in quotes, { env = "NAME" }, { file = "PATH" }, or { url = one of these, zone = "...", tags = { ... } }
      line 24: backend.cluster[3].nodes = <redacted>: must name at least one node
    "#);
}

#[test]
fn warnings_do_not_refuse() {
    let text = MINIMAL.replace("[\"*\"]", "[]")
        + "[http]\nlisten = \"0.0.0.0:3000\"\n[backend]\npath = \":memory:\"\n";
    let settings = read(&text).expect("accepted");
    assert_eq!(settings.backend, BackendSettings::Memory);
    let warned: Vec<_> = settings
        .warnings
        .iter()
        .map(|warning| warning.key.as_str())
        .collect();
    assert_eq!(
        warned,
        [
            "http.listen",
            "recovery.automatic",
            "replication",
            "backend.path"
        ]
    );
}

#[test]
fn every_default_is_a_value_its_key_takes() {
    let empty = Document::read("");
    for section in SECTIONS {
        for key in section.keys {
            let path = format!("{}.{}", section.path, key.name);
            let has_value = matches!(key.default, Default::Is(_));
            assert_eq!(empty.find(&path).is_some(), has_value, "default of {path}");
        }
    }
}

/// `BATON_UPDATE_DOCS=1 cargo test -p baton-server` writes it anew.
#[test]
fn the_documentation_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    if std::env::var_os("BATON_UPDATE_DOCS").is_some() {
        std::fs::write(&path, reference()).expect("docs/configuration.md can be written");
    }
    let written = std::fs::read_to_string(&path).expect("docs/configuration.md can be read");
    assert!(
        written == reference(),
        "docs/configuration.md is stale: run BATON_UPDATE_DOCS=1 cargo test -p baton-server"
    );
}
