use super::*;
use crate::rows::recorded::vertical;

const SHOWN: &str = "*** 1. row
Channel_Name:
Source_Host: p1
Source_Port: 3306
Connect_Retry: 17
Source_SSL_Allowed: Yes
Source_SSL_CA_File: /etc/o'ca.pem
Source_SSL_Verify_Server_Cert: No
Source_Retry_Count: 10
Source_TLS_Version:
Source_public_key_path:
SQL_Delay: 30";

const CONFIGURED: &str = "*** 1. row
CHANNEL_NAME:
HEARTBEAT_INTERVAL: 2.500
COMPRESSION_ALGORITHM: zstd,uncompressed
ZSTD_COMPRESSION_LEVEL: 5
TLS_CIPHERSUITES: NULL
GTID_ONLY: 1
PRIVILEGE_CHECKS_USER: 'o'@'%'
REQUIRE_ROW_FORMAT: NO
REQUIRE_TABLE_PRIMARY_KEY_CHECK: STREAM";

fn address(host: &str) -> Address {
    Address::new(host, 3306).unwrap()
}

fn seen(name: &str, source: &str, ca: &str) -> SeenChannel {
    SeenChannel {
        name: name.to_owned(),
        source: Some(address(source)),
        options: ChannelOptions {
            tls: vec![("SSL_CA", ca.to_owned())],
            ..ChannelOptions::default()
        },
    }
}

#[test]
fn options_are_read_and_written_as_the_servers_do() {
    let channels = SeenChannel::all(&vertical(SHOWN), &vertical(CONFIGURED));
    assert_eq!(channels[0].source, Some(address("p1")));
    let options = &channels[0].options;
    assert_eq!(
        options.clauses("SOURCE").join(", "),
        "SOURCE_SSL=1, SOURCE_SSL_CA='/etc/o''ca.pem', SOURCE_SSL_VERIFY_SERVER_CERT=0, \
         SOURCE_COMPRESSION_ALGORITHMS='zstd,uncompressed', SOURCE_ZSTD_COMPRESSION_LEVEL=5, \
         SOURCE_PUBLIC_KEY_PATH='', PRIVILEGE_CHECKS_USER='o'@'%', REQUIRE_ROW_FORMAT=0, \
         REQUIRE_TABLE_PRIMARY_KEY_CHECK=STREAM, GTID_ONLY=1",
        "the delay is the replica's own"
    );
    assert!(!options.asks_for_public_key());
    assert_eq!(
        options.clone().for_mariadb().clauses("MASTER").join(", "),
        "MASTER_SSL=1, MASTER_SSL_CA='/etc/o''ca.pem', MASTER_SSL_VERIFY_SERVER_CERT=0"
    );
    assert_eq!(
        (
            options.connect_retry,
            options.retry_count,
            options.heartbeat
        ),
        (Some(17), None, Some(2.5)),
        "what the server chose is not a person's choice"
    );
}

#[test]
fn the_configuration_goes_before_the_model() {
    let channels = SeenChannel::all(&vertical(SHOWN), &Table::default());
    let tls = ReplicationTls {
        mode: ReplicationTlsMode::VerifyIdentity,
        ca: Some("/other.pem".to_owned()),
        ca_path: None,
        cert: None,
        key: None,
        cipher: None,
        crl: None,
        versions: None,
    };
    let clauses = channels[0].options.clone().with_tls(&tls).clauses("MASTER");
    assert_eq!(
        clauses.join(", "),
        "MASTER_SSL=1, MASTER_SSL_CA='/other.pem', MASTER_SSL_CAPATH='', MASTER_SSL_CERT='', \
         MASTER_SSL_KEY='', MASTER_SSL_CIPHER='', MASTER_SSL_CRL='', \
         MASTER_SSL_VERIFY_SERVER_CERT=1, MASTER_PUBLIC_KEY_PATH=''"
    );
    let off = ReplicationTls {
        mode: ReplicationTlsMode::Off,
        ..tls
    };
    let plain = channels[0].options.clone().with_tls(&off);
    assert!(plain.asks_for_public_key());
}

#[test]
fn the_model_is_the_link_that_was_turned_round() {
    let memory = ChannelMemory::default();
    let (p1, r1) = (address("p1"), address("r1"));
    let model = |name: &str| {
        let options = memory.model(&p1, &r1, name)?;
        options.clauses("").first().cloned()
    };
    assert_eq!(model(""), None);
    memory.note(&p1, vec![seen("", "r0", "own")]);
    assert_eq!(model("").as_deref(), Some("_SSL_CA=own"));
    assert_eq!(model("other"), None);
    memory.note(&address("r2"), vec![seen("", "r1", "beside")]);
    assert_eq!(model("").as_deref(), Some("_SSL_CA=beside"));
    memory.note(&r1, vec![seen("", "elsewhere", "named")]);
    assert_eq!(model("").as_deref(), Some("_SSL_CA=named"));
    memory.note(&r1, vec![seen("x", "p1", "opposite")]);
    assert_eq!(model("").as_deref(), Some("_SSL_CA=opposite"));
    // A server that shows no channel any more was promoted: that is when it is asked for.
    memory.note(&r1, Vec::new());
    assert_eq!(model("").as_deref(), Some("_SSL_CA=opposite"));
}

#[test]
fn names_that_change_without_end_are_forgotten() {
    let memory = ChannelMemory::default();
    let (p1, r1) = (address("p1"), address("r1"));
    for number in 0..100 {
        memory.note(&r1, vec![seen(&number.to_string(), "p2", "x")]);
    }
    assert!(memory.model(&p1, &r1, "0").is_none());
    assert!(memory.model(&p1, &r1, "99").is_some());
}
