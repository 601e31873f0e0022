//! What the predecessor's client script does with curl and jq, on a real socket: for each of its
//! commands that is served, the same path and the same selection from the answer. With
//! `ORCHESTRATOR_CLIENT` naming the script itself, it is run, too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod fixture;

use std::process::{Command, Output};

use baton_http_core::HttpSettings;
use fixture::{Fixture, routes};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const KEY: &str = r#"(.Hostname + ":" + (.Port | tostring))"#;

/// One command: its arguments to the script, its path, what jq selects, what is printed.
struct Case {
    arguments: &'static [&'static str],
    path: &'static str,
    filter: String,
    printed: &'static str,
}

fn case(
    arguments: &'static [&'static str],
    path: &'static str,
    filter: &str,
    printed: &'static str,
) -> Case {
    Case {
        arguments,
        path,
        filter: filter.replace("KEY", KEY),
        printed,
    }
}

fn cases() -> Vec<Case> {
    const ALL: &str = "blog-1:3306 pair-2:3306 shop-1:3306 pair-1:3306 shop-2:3306 blog-2:3306 blog-3:3306 pair-3:3306 \
                       shop-3:3306 shop-4:3306";
    vec![
        case(
            &["discover", "-i", "shop-2"],
            "discover/shop-2/3306",
            ".Details.Key | KEY",
            "shop-2:3306",
        ),
        case(
            &["async-discover", "-i", "shop-2"],
            "async-discover/shop-2/3306",
            ".Details.Key | KEY",
            ":null",
        ),
        case(
            &["forget", "-i", "shop-4"],
            "forget/shop-4/3306",
            "empty",
            "",
        ),
        case(
            &["forget-cluster", "-a", "pair"],
            "forget-cluster/pair",
            "empty",
            "",
        ),
        case(
            &["clusters"],
            "clusters-info",
            ".[].ClusterName",
            "blog-1:3306 pair-1:3306 shop-1:3306",
        ),
        case(
            &["clusters-alias"],
            "clusters-info",
            r#".[] | .ClusterName + "," + .ClusterAlias"#,
            "blog-1:3306,blog pair-1:3306,pair shop-1:3306,shop",
        ),
        case(
            &["search", "-i", "pair-"],
            "search?s=pair-",
            ".[].Key | KEY",
            "pair-2:3306 pair-1:3306 pair-3:3306",
        ),
        case(
            &["instance", "-i", "shop-2"],
            "instance/shop-2/3306",
            ".Key | KEY",
            "shop-2:3306",
        ),
        case(
            &["which-master", "-i", "shop-2"],
            "instance/shop-2/3306",
            ".MasterKey | KEY",
            "shop-1:3306",
        ),
        case(
            &["which-master", "-i", "shop-1"],
            "instance/shop-1/3306",
            ".MasterKey | KEY",
            ":0",
        ),
        case(
            &["which-replicas", "-i", "shop-1"],
            "instance-replicas/shop-1/3306",
            ".[].Key | KEY",
            "shop-2:3306 shop-3:3306",
        ),
        case(
            &["which-broken-replicas", "-i", "blog-1"],
            "instance-replicas/blog-1/3306",
            ".[] | select((.ReplicationSQLThreadRuning == false or .ReplicationIOThreadRuning == false) and \
             (.LastSQLError != \"\" or .LastIOError != \"\")) | .Key | KEY",
            "blog-2:3306 blog-3:3306",
        ),
        case(
            &["which-cluster-instances", "-a", "pair"],
            "cluster/pair",
            ".[].Key | KEY",
            "pair-2:3306 pair-1:3306 pair-3:3306",
        ),
        case(
            &["which-cluster", "-i", "shop-4:3306"],
            "cluster-info/shop-4:3306",
            ".ClusterName",
            "shop-1:3306",
        ),
        case(
            &["which-cluster-alias", "-i", "shop-4"],
            "cluster-info/shop-4",
            ".ClusterAlias",
            "shop",
        ),
        case(
            &["which-cluster-master", "-a", "shop"],
            "master/shop",
            ".ClusterName",
            "shop-1:3306",
        ),
        case(
            &["all-clusters-masters"],
            "masters",
            ".[].Key | KEY",
            "blog-1:3306 pair-1:3306 shop-1:3306",
        ),
        case(&["all-instances"], "all-instances", ".[].Key | KEY", ALL),
        case(&["downtimed"], "downtimed/", ".[].Key | KEY", "shop-3:3306"),
        case(&["dominant-dc"], "masters", "first | .DataCenter", "ams"),
        case(
            &["submit-masters-to-kv-stores", "-a", "shop"],
            "submit-masters-to-kv-stores/shop",
            r#".Details[] | .Key + ":" + .Value"#,
            "mysql/master/shop:shop-1:3306",
        ),
        case(
            &[
                "begin-downtime",
                "-i",
                "shop-2",
                "-o",
                "ann",
                "-r",
                "new disk",
            ],
            "begin-downtime/shop-2/3306/ann/new%20disk/10m",
            ".Details | KEY",
            "shop-2:3306",
        ),
        case(
            &["end-downtime", "-i", "shop-2"],
            "end-downtime/shop-2/3306",
            ".Details | KEY",
            "shop-2:3306",
        ),
        case(
            &["register-candidate", "-i", "shop-2", "-R", "prefer"],
            "register-candidate/shop-2/3306/prefer",
            ".Details | KEY",
            "shop-2:3306",
        ),
        case(
            &["which-gtid-errant", "-i", "shop-3"],
            "instance/shop-3/3306",
            ".GtidErrant",
            "aaaaaaaa-71ca-11e1-9e33-c80aa9429562:7",
        ),
        case(
            &["is-replicating", "-i", "shop-2"],
            "instance/shop-2/3306",
            "select(.ReplicationSQLThreadState==1 and .ReplicationIOThreadState==1) | .Key | KEY",
            "shop-2:3306",
        ),
        case(
            &["is-replication-stopped", "-i", "shop-2"],
            "instance/shop-2/3306",
            "select(.ReplicationSQLThreadState==0 and .ReplicationIOThreadState==0) | .Key | KEY",
            "",
        ),
        case(
            &["recover", "-i", "blog-1"],
            "recover/blog-1/3306",
            ".Details | KEY",
            "shop-2:3306",
        ),
        case(
            &[
                "graceful-master-takeover",
                "-a",
                "shop",
                "-d",
                "shop-2:3306",
            ],
            "graceful-master-takeover/shop/shop-2/3306",
            ".Details.SuccessorKey | KEY",
            "shop-2:3306",
        ),
        case(
            &["graceful-master-takeover-auto", "-i", "shop-1:3306"],
            "graceful-master-takeover-auto/shop-1:3306",
            ".Details.SuccessorKey | KEY",
            "shop-2:3306",
        ),
        case(
            &["force-master-failover", "-a", "blog"],
            "force-master-failover/blog",
            ".Details.SuccessorKey | KEY",
            "shop-2:3306",
        ),
        case(
            &["force-master-takeover", "-a", "blog", "-d", "blog-3"],
            "force-master-takeover/blog/blog-3/3306",
            ".Details.SuccessorKey | KEY",
            "blog-3:3306",
        ),
        case(
            &["ack-cluster-recoveries", "-a", "shop", "-r", "seen"],
            "ack-recovery/cluster/shop?comment=seen",
            ".Details",
            "shop-1:3306",
        ),
        case(
            &["ack-all-recoveries", "-r", "seen"],
            "ack-all-recoveries?comment=seen",
            ".Details",
            "seen",
        ),
        case(
            &["disable-global-recoveries"],
            "disable-global-recoveries",
            ".Details",
            "disabled",
        ),
        case(
            &["enable-global-recoveries"],
            "enable-global-recoveries",
            ".Details",
            "enabled",
        ),
        case(
            &["check-global-recoveries"],
            "check-global-recoveries",
            ".Details",
            "enabled",
        ),
        case(
            &["replication-analysis"],
            "replication-analysis",
            r#".Details[] | (.AnalyzedInstanceKey | KEY) + " (cluster " + .ClusterDetails.ClusterName + "): " +
               (if .Analysis == "NoProblem" then .StructureAnalysis[0] else .Analysis end)"#,
            "blog-1:3306 (cluster blog-1:3306): DeadMaster shop-3:3306 (cluster shop-1:3306): ErrantGTIDStructureWarning",
        ),
    ]
}

fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    Command::new(program)
        .args(arguments)
        .env_remove("ORCHESTRATOR_INSTANCE")
        .output()
        .ok()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Serves the usual clusters on a port of their own while `work` runs beside it.
async fn with_server(work: impl FnOnce(String) + Send + 'static) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = format!("http://{}/api", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let router = routes(&Fixture::usual(), HttpSettings::default());
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown);
    let server = tokio::spawn(server.into_future());
    tokio::task::spawn_blocking(move || work(api))
        .await
        .unwrap();
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_selects_what_it_needs() {
    if run("curl", &["--version"]).is_none() || run("jq", &["--version"]).is_none() {
        eprintln!("skipped: the client's requests (apt-get install curl jq)");
        return;
    }
    with_server(|api| {
        for Case {
            arguments,
            path,
            filter,
            printed,
        } in cases()
        {
            let url = format!("{api}/{path}");
            let pipe = r#"set -o pipefail; curl -s "$1" | jq . | jq -r "$2""#;
            let output = run("bash", &["-c", pipe, "bash", &url, &filter]).unwrap();
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{arguments:?} {path}: {error}");
            assert_eq!(words(&output), printed, "{arguments:?} {path}");
        }
        // Finding the leader, and whether credentials are wanted.
        let code = run(
            "curl",
            &[
                "-m",
                "1",
                "-s",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                &format!("{api}/leader-check"),
            ],
        );
        assert_eq!(words(&code.unwrap()), "200");
        let head = run("curl", &["-s", "--head", &api]).unwrap();
        assert!(!String::from_utf8_lossy(&head.stdout).contains("401 Unauthorized"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_itself_prints_the_same() {
    let Ok(script) = std::env::var("ORCHESTRATOR_CLIENT") else {
        eprintln!("skipped: orchestrator-client itself (set ORCHESTRATOR_CLIENT to the script)");
        return;
    };
    with_server(move |api| {
        for Case {
            arguments,
            path: _,
            filter: _,
            printed,
        } in cases()
        {
            let mut all = vec![script.as_str(), "-U", &api, "-c"];
            all.extend(arguments);
            let output = run("bash", &all).unwrap();
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{arguments:?}: {error}");
            assert_eq!(words(&output), printed, "{arguments:?}: {error}");
        }
        let tree = run(
            "bash",
            &[&script, "-U", &api, "-c", "topology", "-a", "shop"],
        )
        .unwrap();
        assert_eq!(String::from_utf8_lossy(&tree.stdout).lines().count(), 4);
        let wrong = run(
            "bash",
            &[&script, "-U", &api, "-c", "instance", "-i", "nobody"],
        )
        .unwrap();
        assert_eq!(wrong.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&wrong.stderr).contains("nobody:3306"));
    })
    .await;
}
