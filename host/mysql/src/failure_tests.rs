use super::*;

fn server(code: u16) -> Error {
    Error::Server(ServerError {
        code,
        message: String::new(),
        state: "HY000".into(),
    })
}

fn io(kind: ErrorKind) -> Error {
    Error::Io(IoError::Io(kind.into()))
}

#[test]
fn each_number_is_its_own_fact() {
    let facts = [
        (1040, ProbeFailure::TooManyConnections),
        (1203, ProbeFailure::TooManyConnections),
        (1129, ProbeFailure::HostBlocked),
        (1130, ProbeFailure::HostBlocked),
        (1045, ProbeFailure::Authentication { number: 1045 }),
        (1044, ProbeFailure::Authentication { number: 1044 }),
        (1698, ProbeFailure::Authentication { number: 1698 }),
        (1862, ProbeFailure::Authentication { number: 1862 }),
        (3118, ProbeFailure::Authentication { number: 3118 }),
        (4151, ProbeFailure::Authentication { number: 4151 }),
        (3159, ProbeFailure::Tls),
        (1053, ProbeFailure::ShuttingDown),
        (1927, ProbeFailure::Reset),
        (3169, ProbeFailure::Reset),
        (1227, ProbeFailure::Statement { number: 1227 }),
    ];
    for (number, fact) in facts {
        assert_eq!(
            probe_failure(&server(number), Stage::Connecting),
            fact,
            "error {number}"
        );
    }
}

#[test]
fn the_network_is_told_from_the_server() {
    let facts = [
        (ErrorKind::ConnectionRefused, ProbeFailure::Refused),
        (ErrorKind::ConnectionReset, ProbeFailure::Reset),
        (ErrorKind::UnexpectedEof, ProbeFailure::Reset),
        (ErrorKind::HostUnreachable, ProbeFailure::NoRoute),
        (
            ErrorKind::TimedOut,
            ProbeFailure::Timeout(TimeoutPhase::Connect),
        ),
        (ErrorKind::InvalidData, ProbeFailure::NotMysql),
    ];
    for (kind, fact) in facts {
        assert_eq!(
            probe_failure(&io(kind), Stage::Connecting),
            fact,
            "{kind:?}"
        );
    }
    assert_eq!(
        probe_failure(&io(ErrorKind::InvalidData), Stage::ConnectingTls),
        ProbeFailure::Tls
    );
    assert_eq!(
        probe_failure(&io(ErrorKind::TimedOut), Stage::Established),
        ProbeFailure::Timeout(TimeoutPhase::Statement)
    );
}

#[test]
fn a_lost_session_leaves_the_outcome_unknown() {
    for error in [
        server(1927),
        server(3169),
        server(1053),
        io(ErrorKind::ConnectionReset),
    ] {
        let outcome = statement_error(&error, "fence");
        assert!(
            matches!(outcome, StatementError::OutcomeUnknown { .. }),
            "{error}: {outcome:?}"
        );
    }
    assert!(matches!(
        statement_error(&server(1227), "fence"),
        StatementError::Refused { number: 1227, .. }
    ));
    assert!(matches!(
        statement_error(&server(1242), "fence"),
        StatementError::GuardFailed { .. }
    ));
}
