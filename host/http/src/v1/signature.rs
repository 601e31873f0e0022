//! What a handler's signature says about its endpoint: query, body, answer.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Sse;
use axum::response::sse::Event;
use axum::{Extension, Json};
use futures::Stream;
use schemars::JsonSchema;

use super::By;
use super::openapi::Operation;
use super::problem::Problem;
use super::request::{Body, Name, QueryParameters};
use crate::server::App;

/// A handler; `T` is the tuple of its parameters.
pub(super) trait Describe<T> {
    /// Writes what parameters and answer say.
    fn describe(operation: &mut Operation<'_>);
}

/// A parameter of handlers.
pub(super) trait Parameter {
    /// What it takes from the request; nothing unless said.
    fn describe(_: &mut Operation<'_>) {}
}

/// An answer of handlers.
pub(super) trait Answer {
    /// Status and content.
    fn describe(operation: &mut Operation<'_>);
}

macro_rules! describe_handlers_of {
    ($($parameter:ident),*) => {
        impl<H, F, A, $($parameter),*> Describe<($($parameter,)*)> for H
        where
            H: Fn($($parameter),*) -> F,
            F: Future<Output = A>,
            A: Answer,
            $($parameter: Parameter,)*
        {
            fn describe(operation: &mut Operation<'_>) {
                $($parameter::describe(operation);)*
                A::describe(operation);
            }
        }
    };
}

describe_handlers_of!(P1);
describe_handlers_of!(P1, P2);
describe_handlers_of!(P1, P2, P3);
describe_handlers_of!(P1, P2, P3, P4);

impl Parameter for State<Arc<App>> {}

impl Parameter for Extension<By> {}

impl Parameter for Name {
    fn describe(operation: &mut Operation<'_>) {
        operation.takes_name();
    }
}

impl<T: JsonSchema> Parameter for QueryParameters<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.takes_query::<T>();
    }
}

impl<T: JsonSchema> Parameter for Body<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.takes_body::<T>();
    }
}

impl<T: JsonSchema> Answer for Json<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers::<T>();
    }
}

/// Handlers that answer with a status alone answer 204.
impl Answer for StatusCode {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers_nothing();
    }
}

impl<S: Stream<Item = Result<Event, Infallible>>> Answer for Sse<S> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers_events();
    }
}

impl<A: Answer> Answer for Result<A, Problem> {
    fn describe(operation: &mut Operation<'_>) {
        A::describe(operation);
    }
}
