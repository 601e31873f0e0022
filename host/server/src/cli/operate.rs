//! Short changes: `ack`, `downtime`, `discover`, `refresh`, `forget`, `promotion`,
//! `recoveries-enabled`.

use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::{Ack, Downtime, Rule, SwitchWord};
use super::client::{Client, Verb, segment};
use super::failure::Failure;
use super::json;
use super::screen::Screen;

/// How long such a change may take: discovery waits for a server that does not answer.
const LIMIT: Duration = Duration::from_secs(30);

/// Acknowledges recoveries.
pub(crate) fn acknowledge(client: &Client, screen: Screen, request: &Ack) -> Result<(), Failure> {
    let path = match (&request.which.id, &request.which.cluster) {
        (Some(id), _) => format!("/api/v1/recoveries/{}/acknowledge", segment(id)),
        (None, Some(cluster)) => format!("/api/v1/clusters/{}/acknowledge", segment(cluster)),
        (None, None) => "/api/v1/recoveries/acknowledge".to_owned(),
    };
    let answer = client.change(
        Verb::Post,
        &path,
        &json!({ "comment": request.comment }),
        LIMIT,
    )?;
    let text = match json::number(&answer, "count") {
        Some(0) => "nothing was to be acknowledged".to_owned(),
        Some(1) => "1 recovery acknowledged".to_owned(),
        Some(number) => format!("{number} recoveries acknowledged"),
        None => "acknowledged".to_owned(),
    };
    conclude(screen, &answer, &text);
    Ok(())
}

/// Sets or ends a downtime.
pub(crate) fn downtime(client: &Client, screen: Screen, request: &Downtime) -> Result<(), Failure> {
    let path = format!("/api/v1/servers/{}/downtime", segment(&request.server));
    let (answer, text) = if request.end {
        let answer = client.change(Verb::Delete, &path, &Value::Null, LIMIT)?;
        (answer, format!("the downtime of {} ended", request.server))
    } else {
        let time = humantime::format_duration(request.time).to_string();
        let body =
            json!({ "reason": request.reason.as_deref().unwrap_or_default(), "duration": time });
        let answer = client.change(Verb::Post, &path, &body, LIMIT)?;
        (answer, format!("{} is ignored for {time}", request.server))
    };
    conclude(screen, &answer, &text);
    Ok(())
}

/// Begins to watch a server and its cluster.
pub(crate) fn discover(client: &Client, screen: Screen, server: &str) -> Result<(), Failure> {
    let answer = client.change(
        Verb::Post,
        "/api/v1/discover",
        &json!({ "address": server }),
        LIMIT,
    )?;
    let text = match json::text(&answer, "id") {
        Some(id) => format!("{id} is watched; see `baton topology`"),
        None => format!("{server} is watched; see `baton topology`"),
    };
    conclude(screen, &answer, &text);
    Ok(())
}

/// Has all servers of a cluster read now.
pub(crate) fn refresh(client: &Client, screen: Screen, cluster: &str) -> Result<(), Failure> {
    let path = format!("/api/v1/clusters/{}/refresh", segment(cluster));
    let answer = client.change(Verb::Post, &path, &json!({}), LIMIT)?;
    let servers = json::list(&answer, "servers").len();
    let text = format!("{servers} servers of {cluster} were read; see `baton topology`");
    conclude(screen, &answer, &text);
    Ok(())
}

/// Forgets a server.
pub(crate) fn forget(
    client: &Client,
    screen: Screen,
    server: &str,
    yes: bool,
) -> Result<(), Failure> {
    let force = if yes { "?force=true" } else { "" };
    let path = format!("/api/v1/servers/{}{force}", segment(server));
    let answer = client.change(Verb::Delete, &path, &Value::Null, LIMIT)?;
    conclude(screen, &answer, &format!("{server} is forgotten"));
    Ok(())
}

/// Sets a promotion rule.
pub(crate) fn promotion(
    client: &Client,
    screen: Screen,
    server: &str,
    rule: Rule,
    time: Option<Duration>,
) -> Result<(), Failure> {
    let path = format!("/api/v1/servers/{}/promotion", segment(server));
    let mut body = json!({ "rule": rule.word() });
    let time = time.map(|time| humantime::format_duration(time).to_string());
    if let (Some(time), Some(body)) = (&time, body.as_object_mut()) {
        body.insert("expires_in".to_owned(), time.as_str().into());
    }
    let answer = client.change(Verb::Post, &path, &body, LIMIT)?;
    let time = time.map(|time| format!(" for {time}")).unwrap_or_default();
    conclude(
        screen,
        &answer,
        &format!("promotion of {server}: {}{time}", rule.word()),
    );
    Ok(())
}

/// Reads or sets the switch of all recoveries.
pub(crate) fn recoveries_enabled(
    client: &Client,
    screen: Screen,
    switch: SwitchWord,
) -> Result<(), Failure> {
    const PATH: &str = "/api/v1/recoveries-enabled";
    let answer = match switch {
        SwitchWord::Show => client.read(PATH)?,
        SwitchWord::On | SwitchWord::Off => client.change(
            Verb::Post,
            PATH,
            &json!({ "enabled": switch == SwitchWord::On }),
            LIMIT,
        )?,
    };
    let text = match json::flag(&answer, "enabled") {
        Some(true) => "recoveries are enabled",
        Some(false) => "recoveries are disabled: Baton changes no server",
        None => "the switch cannot be read, which means off",
    };
    conclude(screen, &answer, text);
    Ok(())
}

fn conclude(screen: Screen, answer: &Value, text: &str) {
    if screen.json {
        Screen::show_json(answer);
    } else {
        Screen::show(text);
    }
}
