//! What texts of a configuration must look like.

use std::net::SocketAddr;

use baton_core::ids::Address;
use tracing_subscriber::EnvFilter;

use super::key::Rule;

/// Longest name; names are keys in the state store, whose keys must be short.
const NAME_MAX: usize = 64;

/// Says what is wrong with a text.
pub(crate) fn check(rule: Rule, text: &str) -> Result<(), String> {
    if matches!(rule, Rule::Prefix) {
        return check_prefix(text);
    }
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    match rule {
        Rule::Name => check_name(text),
        Rule::Server => match Address::parse(text, Some(3306)) {
            Ok(_) => Ok(()),
            Err(_) => Err("is not an address (expected host:port, for example db1.example:3306)".to_owned()),
        },
        Rule::Listen => match text.parse::<SocketAddr>() {
            Ok(_) => Ok(()),
            Err(_) => Err("is not an address to listen on (expected ip:port, for example 127.0.0.1:3000 or [::]:3000)".to_owned()),
        },
        Rule::Url => check_url(text),
        Rule::Statement if text.trim_end().trim_end_matches(';').contains(';') => {
            Err("must be one statement, without a semicolon in it".to_owned())
        }
        Rule::LogFilter => match EnvFilter::try_new(text) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("is not a log filter ({error})")),
        },
        Rule::StoreKey if text.starts_with('/') || text.ends_with('/') => {
            Err("must not begin or end with a slash".to_owned())
        }
        Rule::Glob | Rule::StoreKey if text.contains(char::is_whitespace) => Err("must not contain white space".to_owned()),
        Rule::Any | Rule::Path | Rule::Prefix | Rule::Glob | Rule::Statement | Rule::StoreKey => Ok(()),
    }
}

fn check_name(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match text.chars().find(|c| !allowed(*c)) {
        Some(c) => Err(format!(
            "must not contain {c:?} (letters, digits, '-', '_' and '.' are allowed)"
        )),
        None if text.len() > NAME_MAX => Err(format!("is longer than {NAME_MAX} characters")),
        None => Ok(()),
    }
}

fn check_url(text: &str) -> Result<(), String> {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let authority = rest.map(|rest| rest.trim_end_matches('/'));
    match authority {
        None => Err("is not a URL (expected http://host:port or https://host:port)".to_owned()),
        Some(authority) if authority.contains('/') => Err("must not have a path".to_owned()),
        Some(authority) if authority.contains('@') => Err("must not have a user in it".to_owned()),
        Some(authority) => match Address::parse(authority, Some(80)) {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("{authority:?} in it is not host:port")),
        },
    }
}

fn check_prefix(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '/');
    if text.is_empty() {
        Ok(())
    } else if !text.starts_with('/') || text.ends_with('/') || text.contains("//") {
        Err(
            "must be empty, or begin with a slash and not end with one, for example \"/baton\""
                .to_owned(),
        )
    } else if !text.chars().all(allowed) || text.split('/').any(|part| part == "." || part == "..")
    {
        Err("may contain letters, digits, '-', '_', '.', '~' and '/' only, and no part \".\" or \"..\"".to_owned())
    } else {
        Ok(())
    }
}
