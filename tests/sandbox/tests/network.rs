//! Servers on hosts of their own, and what cuts between them do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use baton_sandbox::{
    Flavor, Need, Network, Sandbox, TopologySpec, Writer, WriterOptions, wait_until,
};

const LIMIT: Duration = Duration::from_secs(20);
/// Long for one bridge, short for a test.
const SILENCE: Duration = Duration::from_millis(300);

#[test]
fn a_cut_silences_standing_connections_and_healing_revives_them() {
    baton_sandbox::require!(Need::Namespaces);
    let network = Network::new().unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| network.host(name).unwrap());
    let listener = b
        .run(|| TcpListener::bind((b.address(), 99)).unwrap())
        .unwrap();
    let target = SocketAddr::from((b.address(), 99));
    let connect = |from: &baton_sandbox::Host| {
        from.run(|| TcpStream::connect_timeout(&target, SILENCE))
            .unwrap()
    };
    let mut client = connect(&a).unwrap();
    let (mut served, _) = listener.accept().unwrap();
    served.set_read_timeout(Some(SILENCE)).unwrap();
    let mut byte = [0_u8; 1];
    client.write_all(b"1").unwrap();
    served.read_exact(&mut byte).unwrap();

    network.cut(&a, &b).unwrap();
    client.write_all(b"2").unwrap();
    assert!(
        served.read_exact(&mut byte).is_err(),
        "nothing passes a cut"
    );
    assert!(connect(&a).is_err(), "and nobody connects");
    assert!(connect(&c).is_ok(), "others do");

    network.heal(&a, &b).unwrap();
    served.set_read_timeout(Some(LIMIT)).unwrap();
    served.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"2", "what was sent during the cut arrives");

    network.unplug(&b).unwrap();
    assert!(connect(&a).is_err() && connect(&c).is_err());
    network.plug_in(&b).unwrap();
    assert!(connect(&a).is_ok() && connect(&c).is_ok());
}

#[test]
fn a_port_of_a_host_is_reached_through_a_forward_only() {
    baton_sandbox::require!(Need::Namespaces);
    let network = Network::new().unwrap();
    let host = network.host("web").unwrap();
    let listener = host
        .run(|| TcpListener::bind((host.address(), 80)).unwrap())
        .unwrap();
    let forward = host.expose(80).unwrap();
    let mut client = TcpStream::connect(forward.address()).unwrap();
    let (mut served, peer) = listener.accept().unwrap();
    assert_eq!(peer.ip(), host.address());
    client.write_all(b"question").unwrap();
    let mut question = [0_u8; 8];
    served.read_exact(&mut question).unwrap();
    served.write_all(b"answer").unwrap();
    drop(served);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!((&question, answer.as_str()), (b"question", "answer"));
}

#[test]
fn a_program_runs_on_a_host_and_ends_with_the_sandbox() {
    baton_sandbox::require!(Need::Namespaces);
    let sandbox = Sandbox::new("program").unwrap();
    let host = Network::new().unwrap().host("h").unwrap();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "echo \"$WORD\"; ip -brief address show eth0; exec sleep 600",
    ]);
    command.env("WORD", "given");
    let process = sandbox.run("program", &command, Some(&host)).unwrap();
    wait_until("it has said its address", LIMIT, || {
        let log = process.log_tail(5);
        Ok(log.contains("given") && log.contains(&host.address().to_string()))
    })
    .unwrap();
    let pid = process.pid();
    drop(process);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

fn cut_off_primary(flavor: Flavor) -> anyhow::Result<()> {
    let sandbox = Sandbox::new("cut")?;
    let network = Network::new()?;
    let begun = Instant::now();
    let spec = TopologySpec::parse("p1\n r1 <- p1")?.with_network(&network);
    let topology = sandbox.topology(flavor, &spec)?;
    println!(
        "{flavor}: two servers on hosts replicate after {:?}",
        begun.elapsed()
    );
    let client = network.host("client")?;
    let [p1, r1] = ["p1", "r1"].map(|name| network.host(name).unwrap());
    assert!(
        Writer::start(topology.servers()).is_err(),
        "not from the machine's own network"
    );
    let options = WriterOptions {
        host: Some(client.clone()),
        ..WriterOptions::default()
    };
    let writer = Writer::start_with(topology.servers(), options)?;
    writer.wait_for_rows(50, LIMIT)?;

    // The replica loses its source, the client does not.
    network.cut(&p1, &r1)?;
    writer.wait_for_rows(50, LIMIT)?;
    assert_eq!(writer.server_in_use().as_deref(), Some("p1"));
    let acknowledged = writer.snapshot().acknowledged().last().unwrap().id;
    assert!(
        writer
            .snapshot()
            .lost_on(&topology["r1"])?
            .contains(&acknowledged)
    );

    // Now the client does as well.
    network.unplug(&p1)?;
    let cut = Instant::now();
    topology["r1"].exec("SET GLOBAL read_only = 0")?;
    writer.wait_for_other_than("p1", LIMIT)?;
    let report = writer.stop()?;
    println!(
        "cut to writable {:?}",
        report.handover_after(cut).unwrap().ended - cut
    );
    assert!(
        topology["p1"].is_writable()?,
        "its socket works in spite of the cut"
    );
    Ok(())
}

#[test]
fn a_primary_cut_off_in_two_steps_on_mariadb() {
    baton_sandbox::require!(Flavor::MariaDb, Need::Namespaces);
    cut_off_primary(Flavor::MariaDb).unwrap();
}

#[test]
fn a_primary_cut_off_in_two_steps_on_mysql() {
    baton_sandbox::require!(Flavor::MySql, Need::Namespaces);
    cut_off_primary(Flavor::MySql).unwrap();
}
