//! The `baton` commands. Those that are not `serve` or `config` speak HTTP to any node.

mod arguments;
mod backend;
mod change;
mod client;
mod clusters;
#[cfg(test)]
mod endpoints;
mod explain;
mod failure;
mod forecast;
mod json;
mod nodes;
mod operate;
mod paint;
mod plugin;
mod progress;
mod recoveries;
mod screen;
mod status;
#[cfg(test)]
mod tests;
mod timeline;
mod tree;
mod view;
mod words;

use std::cell::RefCell;
use std::path::Path;
use std::process::ExitCode;

use baton_wasm::{WasmPolicies, WasmSelectors};
use clap::Parser as _;

use self::arguments::{Arguments, BackendCommand, Command, ConfigCommand, PluginCommand, Shared};
use self::client::Client;
use self::failure::Failure;
use self::paint::{BAD, GOOD, WARN, paint};
use self::screen::Screen;
use crate::causes::chain;
use crate::config::{ConfigError, Problem};
use crate::{app, config};

/// Runs the program with the process's arguments.
///
/// Exit status: 0 done; 1 refused or failed; 2 wrong command line or configuration; 3 no node
/// answers.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let shown = error.print();
            drop(shown);
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let screen = Screen::new(arguments.shared.json);
    match dispatch(arguments, screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen::eprint(&format!("{} {}", paint(BAD, "error:"), failure.text()));
            failure.exit_code()
        }
    }
}

fn dispatch(arguments: Arguments, screen: Screen) -> Result<(), Failure> {
    let client = || client(&arguments.shared);
    match arguments.command {
        Command::Serve { config } => serve(&config),
        Command::Config(ConfigCommand::Check { file }) => check(&file, screen),
        Command::Plugin(PluginCommand::Inspect { plugin }) => plugin::inspect(&plugin, screen),
        Command::Plugin(PluginCommand::Check { plugin, settings }) => {
            plugin::check(&plugin, &settings, screen)
        }
        Command::Clusters => clusters::show(&client()?, screen),
        Command::Topology { cluster } => {
            clusters::show_trees(&client()?, screen, cluster.as_deref())
        }
        Command::Explain { cluster } => explain::show(&client()?, screen, &cluster),
        Command::Failover(request) => change::failover(&client()?, screen, &request),
        Command::Switchover(request) => change::switchover(&client()?, screen, &request),
        Command::Recoveries {
            steps: Some(id), ..
        } => recoveries::show_one(&client()?, screen, &id),
        Command::Recoveries {
            cluster,
            steps: None,
            limit,
        } => recoveries::show(&client()?, screen, cluster.as_deref(), limit),
        Command::Ack(request) => operate::acknowledge(&client()?, screen, &request),
        Command::Downtime(request) => operate::downtime(&client()?, screen, &request),
        Command::Discover { server } => operate::discover(&client()?, screen, &server),
        Command::Refresh { cluster } => operate::refresh(&client()?, screen, &cluster),
        Command::Forget { server, yes } => operate::forget(&client()?, screen, &server, yes),
        Command::Rejoin { server, dry_run } => change::rejoin(&client()?, screen, &server, dry_run),
        Command::Promotion { server, rule, time } => {
            operate::promotion(&client()?, screen, &server, rule, time)
        }
        Command::RecoveriesEnabled { switch } => {
            operate::recoveries_enabled(&client()?, screen, switch)
        }
        Command::Backend(BackendCommand::Status) => backend::status(&client()?, screen),
        Command::Backend(BackendCommand::Move(request)) => {
            backend::move_to(&client()?, screen, &request)
        }
        Command::Status => status::show(&client()?, screen),
        Command::Nodes { command: None } => nodes::show(&client()?, screen),
        Command::Nodes {
            command: Some(command),
        } => nodes::change(&client()?, screen, &command),
    }
}

fn client(shared: &Shared) -> Result<Client, Failure> {
    let user = shared
        .user
        .as_deref()
        .map(|name| (name, shared.password.as_deref().unwrap_or_default()));
    Client::new(&shared.api, user)
}

fn serve(file: &Path) -> Result<(), Failure> {
    let Loaded {
        settings,
        policies,
        selectors,
    } = load(file).map_err(|error| Failure::Usage(chain(&error)))?;
    for warning in &settings.warnings {
        screen::eprint(&format!("{} {warning}", paint(WARN, "warning:")));
    }
    app::run(settings, policies, selectors).map_err(|error| Failure::Refused(format!("{error:#}")))
}

fn check(file: &Path, screen: Screen) -> Result<(), Failure> {
    let loaded = load(file);
    if screen.json {
        let (problems, warnings) = match &loaded {
            Ok(loaded) => (&[][..], loaded.settings.warnings.as_slice()),
            Err(ConfigError::Wrong { problems }) => (problems.as_slice(), &[][..]),
            Err(ConfigError::Unreadable { .. }) => (&[][..], &[][..]),
        };
        let list = |problems: &[Problem]| problems.iter().map(problem_document).collect::<Vec<_>>();
        Screen::show_json(&serde_json::json!({
            "ok": loaded.is_ok(), "problems": list(problems), "warnings": list(warnings),
        }));
    }
    let Loaded { settings, .. } = loaded.map_err(|error| Failure::Usage(chain(&error)))?;
    if !screen.json {
        for warning in &settings.warnings {
            Screen::show(&format!("{} {warning}", paint(WARN, "warning:")));
        }
        Screen::show(&format!(
            "{} {}",
            paint(GOOD, "ok:"),
            app::summary(&settings)
        ));
    }
    Ok(())
}

fn problem_document(problem: &Problem) -> serde_json::Value {
    let Problem {
        line,
        key,
        value,
        why,
    } = problem;
    serde_json::json!({ "line": line, "key": key, "value": value, "why": why })
}

/// A configuration that is in order, and the components it names.
struct Loaded {
    settings: config::Settings,
    policies: WasmPolicies,
    selectors: WasmSelectors,
}

/// Reads the configuration and loads the components it names, so that one that does not load is one
/// of the problems.
fn load(file: &Path) -> Result<Loaded, ConfigError> {
    let (policies, selectors) = (RefCell::new(None), RefCell::new(None));
    let policy = |plugin: &config::PluginSource, settings: &serde_json::Value| {
        *policies.borrow_mut() = Some(app::load_policies(plugin, settings)?);
        Ok(())
    };
    let selector = |plugin: &config::PluginSource, settings: &serde_json::Value| {
        let loaded = app::load_selectors(policies.borrow().as_ref(), plugin, settings)?;
        *selectors.borrow_mut() = Some(loaded);
        Ok(())
    };
    let settings = config::load(file, &policy, &selector)?;
    let (Some(policies), Some(selectors)) = (policies.into_inner(), selectors.into_inner()) else {
        let why = "a policy was not loaded".to_owned();
        let key = "policy".to_owned();
        return Err(ConfigError::Wrong {
            problems: vec![Problem {
                line: None,
                key,
                value: None,
                why,
            }],
        });
    };
    let policies = match settings.policy.deadline {
        Some(deadline) => policies.with_deadline(deadline),
        None => policies,
    };
    Ok(Loaded {
        settings,
        policies,
        selectors,
    })
}
