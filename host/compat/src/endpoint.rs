//! One row per path: pattern, who may, where it is carried out, what it does, and its handler.

use baton_http_core::{Access, Forward};
use futures::future::{BoxFuture, FutureExt as _, ready};

use crate::Context;
use crate::answer::{Answer, Failure};
use crate::changes::Change;

/// What a handler answers.
pub(crate) type Outcome = Result<Answer, Failure>;

type Read = dyn for<'a> Fn(&'a Context, Vec<&'a str>) -> BoxFuture<'a, Outcome> + Send + Sync;
type ReadChange = dyn Fn(&Context, &[&str]) -> Result<Change, Failure> + Send + Sync;

/// What answers a path.
pub(crate) enum Handler {
    /// Reads.
    Read(Box<Read>),
    /// Reads from the path what is to be changed; [`crate::changes::carry_out`] does it.
    Change(Box<ReadChange>),
}

/// One path. `GET` and `HEAD` read; `GET` and `POST` change.
pub(crate) struct Endpoint {
    /// Segments after `/api/`; those that begin with a colon are parameters.
    pub(crate) pattern: &'static str,
    /// Who may, and where it is carried out.
    pub(crate) access: Access,
    /// What it is, for `docs/api.md`; neighbours with the same text share a line there.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "a test writes it to docs/api.md")
    )]
    pub(crate) summary: &'static str,
    pub(crate) handler: Handler,
}

impl Endpoint {
    /// A path that answers at once.
    pub(crate) fn read<const N: usize>(
        pattern: &'static str,
        summary: &'static str,
        handler: fn(&Context, [&str; N]) -> Outcome,
    ) -> Self {
        require_parameters(pattern, N);
        let read =
            move |context: &Context, parameters: &[&str]| handler(context, taken(parameters)?);
        Self {
            pattern,
            access: Access::READ,
            summary,
            handler: Handler::Read(Box::new(move |context, parameters| {
                ready(read(context, &parameters)).boxed()
            })),
        }
    }

    /// A path whose answer is awaited.
    pub(crate) fn read_later<const N: usize>(
        pattern: &'static str,
        summary: &'static str,
        handler: for<'a> fn(&'a Context, [&'a str; N]) -> BoxFuture<'a, Outcome>,
    ) -> Self {
        require_parameters(pattern, N);
        Self {
            pattern,
            access: Access::READ,
            summary,
            handler: Handler::Read(Box::new(move |context, parameters| {
                match taken(&parameters) {
                    Ok(parameters) => handler(context, parameters),
                    Err(failure) => ready(Err(failure)).boxed(),
                }
            })),
        }
    }

    /// A path that changes something, on the leader.
    pub(crate) fn change<const N: usize>(
        pattern: &'static str,
        summary: &'static str,
        handler: fn(&Context, [&str; N]) -> Result<Change, Failure>,
    ) -> Self {
        require_parameters(pattern, N);
        Self {
            pattern,
            access: Access::CHANGE,
            summary,
            handler: Handler::Change(Box::new(move |context, parameters| {
                handler(context, taken(parameters)?)
            })),
        }
    }

    /// The node that is asked carries it out.
    pub(crate) fn on_this_node(mut self) -> Self {
        self.access.forward = Forward::Never;
        self
    }

    /// The parameters in a decoded path; `None` if it is another path.
    pub(crate) fn parameters<'a>(&self, path: &[&'a str]) -> Option<Vec<&'a str>> {
        let segments = self.pattern.split('/');
        if segments.clone().count() != path.len() {
            return None;
        }
        let mut parameters = Vec::new();
        for (segment, text) in segments.zip(path) {
            if segment.starts_with(':') {
                parameters.push(*text);
            } else if segment != *text {
                return None;
            }
        }
        Some(parameters)
    }
}

/// Stops any test of a program in which a handler takes another number of parameters than its
/// pattern has.
fn require_parameters(pattern: &str, number: usize) {
    let parameters = pattern.split('/').filter(|part| part.starts_with(':'));
    debug_assert_eq!(parameters.count(), number, "{pattern}");
}

/// The parameters as the handler names them.
fn taken<'a, const N: usize>(parameters: &[&'a str]) -> Result<[&'a str; N], Failure> {
    <[&str; N]>::try_from(parameters).map_err(|_| Failure::NoRoute)
}

#[cfg(test)]
mod tests;
