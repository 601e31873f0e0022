//! A policy for tests: it behaves until it is asked a real question, then does what the setting `how` says.
//!
//! Baton must contain all of it. Never configure this for a cluster that matters.

use baton_policy_sdk::{
    AssessQuestion, Assessment, Choice, FailoverPolicy, Level, RankQuestion, Ranked, Ranking,
    Settings, Verdict, Veto, export_policy, log, reason,
};

/// The decision name of the questions Baton asks while it loads a policy.
const SELF_CHECK: &str = "self-check";

/// Bytes requested at a time by [`How::Allocate`].
const CHUNK: usize = 1 << 20;

#[derive(Clone, Copy)]
enum How {
    Obey,
    Trap,
    Spin,
    Allocate,
    Flood,
    Decline,
    UnknownServer,
    DeadServer,
    NamedTwice,
    EmptyList,
    EmptyAsk,
    HugeAnswer,
}

const WAYS: &[(&str, How)] = &[
    ("obey", How::Obey),
    ("trap", How::Trap),
    ("spin", How::Spin),
    ("allocate", How::Allocate),
    ("flood-log", How::Flood),
    ("decline", How::Decline),
    ("unknown-server", How::UnknownServer),
    ("dead-server", How::DeadServer),
    ("named-twice", How::NamedTwice),
    ("empty-list", How::EmptyList),
    ("empty-ask", How::EmptyAsk),
    ("huge-answer", How::HugeAnswer),
];

struct FailoverMisbehaving {
    how: How,
}

impl FailoverPolicy for FailoverMisbehaving {
    const NAME: &str = "failover-misbehaving";
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

    fn assess(&self, question: &AssessQuestion) -> Result<Assessment, String> {
        if question.context.decision != SELF_CHECK {
            self.misbehave()?;
        }
        let verdict = match self.how {
            How::EmptyAsk if question.context.decision != SELF_CHECK => {
                Verdict::Ask(baton_policy_sdk::Ask {
                    topic: String::new(),
                    prompt: String::new(),
                    valid_for: 1,
                })
            }
            _ => Verdict::Act,
        };
        let mut why = reason("obeys", "Acts on everything.");
        if question.context.decision != SELF_CHECK && matches!(self.how, How::UnknownServer) {
            why.about.push(u32::MAX);
        }
        Ok(Assessment {
            verdict,
            reasons: vec![why],
            extra: None,
        })
    }

    fn rank(&self, question: &RankQuestion) -> Result<Ranking, String> {
        let obedient = || {
            question
                .candidates
                .iter()
                .map(|candidate| ranked(candidate.server))
        };
        let order: Vec<Ranked> = if question.context.decision == SELF_CHECK {
            obedient().collect()
        } else {
            self.misbehave()?;
            match self.how {
                How::UnknownServer => vec![ranked(4_000_000_000)],
                How::DeadServer => vec![ranked(question.replaced)],
                How::NamedTwice => obedient().chain(obedient()).collect(),
                How::EmptyList => Vec::new(),
                _ => obedient().collect(),
            }
        };
        let vetoes: Vec<Veto> = Vec::new();
        Ok(Ranking {
            order,
            vetoes,
            reasons: vec![reason("obeys", "Keeps the order.")],
            extra: None,
        })
    }
}

impl FailoverMisbehaving {
    fn misbehave(&self) -> Result<(), String> {
        match self.how {
            How::Trap => panic!("told to trap"),
            How::Spin => loop {
                std::hint::black_box(0);
            },
            How::Allocate => allocate(),
            How::Flood => loop {
                log(Level::Info, "flood");
            },
            How::Decline => Err("told to decline".to_owned()),
            How::HugeAnswer => Err("x".repeat(12 << 20)),
            How::Obey
            | How::UnknownServer
            | How::DeadServer
            | How::NamedTwice
            | How::EmptyList
            | How::EmptyAsk => Ok(()),
        }
    }
}

fn ranked(server: u32) -> Ranked {
    Ranked {
        server,
        score: 0,
        reasons: Vec::new(),
    }
}

/// Takes memory until it gets no more, which ends a Rust program.
fn allocate() -> ! {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    loop {
        hoard.push(Vec::with_capacity(CHUNK));
        std::hint::black_box(&hoard);
    }
}

export_policy!(FailoverMisbehaving);
