//! A selector for tests: it behaves until it is asked a real question, then does what the setting `how` says.
//!
//! Baton must contain all of it. Never configure this where the state matters.

use baton_selector_sdk::{
    BackendSelector, Choice, SelectQuestion, Selection, Settings, export_selector, reason_about,
};

/// The decision name of the questions Baton asks while it loads a policy.
const SELF_CHECK: &str = "self-check";

#[derive(Clone, Copy)]
enum How {
    Obey,
    Trap,
    Spin,
    Decline,
    UnknownNode,
    EveryNode,
    NamedTwice,
    Unlisted,
    NoChoice,
    UnknownReason,
}

const WAYS: &[(&str, How)] = &[
    ("obey", How::Obey),
    ("trap", How::Trap),
    ("spin", How::Spin),
    ("decline", How::Decline),
    ("unknown-node", How::UnknownNode),
    ("every-node", How::EveryNode),
    ("named-twice", How::NamedTwice),
    ("unlisted", How::Unlisted),
    ("no-choice", How::NoChoice),
    ("unknown-reason", How::UnknownReason),
];

struct BackendMisbehaving {
    how: How,
}

impl BackendSelector for BackendMisbehaving {
    const NAME: &str = "backend-misbehaving";
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &str = "For tests: misbehaves on command";

    fn configure(settings: &mut Settings) -> Self {
        let about = "What to do when asked a real question.";
        Self {
            how: settings.choice(Choice {
                name: "how",
                default: "obey",
                words: WAYS,
                about,
            }),
        }
    }

    fn select(&self, question: &SelectQuestion) -> Result<Selection, String> {
        let mut answer = obedient(question);
        if question.context.decision == SELF_CHECK {
            return Ok(answer);
        }
        match self.how {
            How::Obey => {}
            How::Trap => panic!("told to trap"),
            How::Spin => loop {
                std::hint::black_box(0);
            },
            How::Decline => return Err("told to decline".to_owned()),
            How::UnknownNode => answer.usable.push(4_000_000_000),
            How::EveryNode => answer.usable = (0u32..).take(question.nodes.len()).collect(),
            How::NamedTwice => answer.usable.extend(answer.chosen),
            How::Unlisted => answer.usable.retain(|index| Some(*index) != answer.chosen),
            How::NoChoice => answer.chosen = None,
            How::UnknownReason => {
                let text = "About nothing.";
                answer.reasons = vec![reason_about("astray", text, vec![u32::MAX])];
            }
        }
        Ok(answer)
    }
}

/// The last ready node first, which no other selector would do.
fn obedient(question: &SelectQuestion) -> Selection {
    let ready = (0u32..).zip(&question.nodes);
    let ready = ready.filter(|(_, node)| node.ready == Some(true) && node.not_ready.is_empty());
    let mut usable: Vec<u32> = ready.map(|(index, _)| index).collect();
    usable.reverse();
    let chosen = usable.first().copied();
    Selection {
        chosen,
        usable,
        reasons: vec![reason_about("obeys", "The last one.", Vec::new())],
        extra: None,
    }
}

export_selector!(BackendMisbehaving);
