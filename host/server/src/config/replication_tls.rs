//! `[replication.tls]`: the encryption of the channels that Baton makes.

use super::document::Document;
use super::settings::{ReplicationTls, ReplicationTlsMode};

/// The section, if it is there; what is wrong with it is noted in the document.
pub(super) fn read(document: &mut Document) -> Option<ReplicationTls> {
    const MODE: &str = "replication.tls.mode";
    if !document.has_section("replication.tls") {
        return None;
    }
    let mode = match document.text(MODE).as_deref() {
        Some("required") => ReplicationTlsMode::Required,
        Some("verify-ca") => ReplicationTlsMode::VerifyCa,
        Some("verify-identity") => ReplicationTlsMode::VerifyIdentity,
        _ => ReplicationTlsMode::Off,
    };
    let text = |key: &str| document.text(&format!("replication.tls.{key}"));
    let tls = ReplicationTls {
        mode,
        ca: text("ca"),
        ca_path: text("ca_path"),
        cert: text("cert"),
        key: text("key"),
        cipher: text("cipher"),
        crl: text("crl"),
        versions: text("versions"),
    };
    let verifies = matches!(
        mode,
        ReplicationTlsMode::VerifyCa | ReplicationTlsMode::VerifyIdentity
    );
    if verifies && document.is_sound(MODE) && tls.ca.is_none() && tls.ca_path.is_none() {
        let why = "is missing, as is ca_path: replication.tls.mode asks for verification";
        document.object("replication.tls.ca", why.to_owned());
    }
    if tls.cert.is_some() != tls.key.is_some() {
        let why = "needs replication.tls.key, and that needs this";
        document.object("replication.tls.cert", why.to_owned());
    }
    Some(tls)
}
