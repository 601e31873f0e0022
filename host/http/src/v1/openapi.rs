//! The OpenAPI document, made from the table of endpoints and the types of bodies and answers.

use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::extract::State;
use baton_http_core::{Forward, Scope};
use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::endpoint::Endpoint;
use super::endpoints::endpoints;
use super::problem::ProblemDocument;
use crate::server::App;

static DOCUMENT: LazyLock<Map<String, Value>> = LazyLock::new(|| document(&endpoints()));

/// `GET /openapi.json`.
pub(super) async fn show(State(app): State<Arc<App>>) -> Json<Map<String, Value>> {
    let mut document = DOCUMENT.clone();
    let base = format!("{}/api/v1", app.api.settings.url_prefix.as_str());
    document.insert("servers".to_owned(), json!([{"url": base}]));
    Json(document)
}

/// The description of all endpoints; the servers are added when it is shown.
pub(super) fn document(endpoints: &[Endpoint]) -> Map<String, Value> {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for endpoint in endpoints {
        let parameters = path_parameters(endpoint.path);
        let operation = operation(endpoint, &mut schemas);
        let item = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(endpoint.verb.word().to_owned(), operation);
            if !parameters.is_empty() {
                item.insert("parameters".to_owned(), Value::Array(parameters));
            }
        }
    }
    let problem = schemas.answers.subschema_for::<ProblemDocument>();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Baton",
            "version": "1",
            "description": "Control of MySQL and MariaDB replication topologies. Changes need \
                Content-Type: application/json and, where configured, HTTP basic authentication.",
        },
        "paths": paths,
        "components": {
            "responses": {
                "Problem": {
                    "description": "Refused.",
                    "content": {"application/problem+json": {"schema": problem}},
                }
            },
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
            "schemas": schemas.components(),
        },
    });
    tidy(&mut document);
    match document {
        Value::Object(document) => document,
        _ => Map::new(),
    }
}

/// Schemas of the documents and of the bodies: of a body an absent field may have a default.
struct Schemas {
    answers: SchemaGenerator,
    bodies: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            answers: settings().for_serialize().into_generator(),
            bodies: settings().for_deserialize().into_generator(),
        }
    }

    fn components(mut self) -> Map<String, Value> {
        let mut all = self.answers.take_definitions(true);
        all.extend(self.bodies.take_definitions(true));
        all
    }
}

/// What the signature of one endpoint's handler says.
pub(super) struct Operation<'s> {
    schemas: &'s mut Schemas,
    /// The handler reads the parameter of its path.
    takes_name: bool,
    query: Vec<Value>,
    body: Option<Value>,
    success: (&'static str, Option<(&'static str, Value)>),
}

impl Operation<'_> {
    pub(super) fn takes_name(&mut self) {
        self.takes_name = true;
    }

    pub(super) fn takes_query<T: JsonSchema>(&mut self) {
        let schema = T::json_schema(&mut self.schemas.bodies);
        let properties = schema.get("properties").and_then(Value::as_object);
        self.query = properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| query_parameter(name, schema.clone()))
            .collect();
    }

    pub(super) fn takes_body<T: JsonSchema>(&mut self) {
        let schema = self.schemas.bodies.subschema_for::<T>();
        self.body = Some(json!({
            "required": true,
            "content": {"application/json": {"schema": schema}},
        }));
    }

    pub(super) fn answers<T: JsonSchema>(&mut self) {
        let schema = self.schemas.answers.subschema_for::<T>();
        self.success = ("200", Some(("application/json", schema.to_value())));
    }

    pub(super) fn answers_events(&mut self) {
        let schema = json!({"type": "string"});
        self.success = ("200", Some(("text/event-stream", schema)));
    }

    pub(super) fn answers_nothing(&mut self) {
        self.success = ("204", None);
    }
}

fn operation(endpoint: &Endpoint, schemas: &mut Schemas) -> Value {
    let mut operation = Operation {
        schemas,
        takes_name: false,
        query: Vec::new(),
        body: None,
        success: ("200", None),
    };
    (endpoint.describe)(&mut operation);
    let Operation {
        schemas: _,
        takes_name,
        query,
        body,
        success: (status, content),
    } = operation;
    debug_assert_eq!(
        takes_name,
        endpoint.path.contains('{'),
        "{}: the handler must read the parameter of its path",
        endpoint.path
    );
    let is_change = endpoint.access.scope == Scope::Change;
    let mut success = Map::new();
    let outcome = if is_change { "Done." } else { "As asked." };
    success.insert("description".to_owned(), outcome.into());
    if let Some((kind, schema)) = content {
        success.insert("content".to_owned(), json!({kind: {"schema": schema}}));
    }
    let mut described = Map::new();
    described.insert("summary".to_owned(), endpoint.summary.into());
    if is_change {
        let where_done = match endpoint.access.forward {
            Forward::ToLeader => "A node that does not lead forwards it to the leader.",
            Forward::Never => "The node that is asked carries it out, whether it leads or not.",
        };
        described.insert("description".to_owned(), where_done.into());
    }
    if !query.is_empty() {
        described.insert("parameters".to_owned(), Value::Array(query));
    }
    if let Some(body) = body {
        described.insert("requestBody".to_owned(), body);
    }
    let problem = json!({"$ref": "#/components/responses/Problem"});
    let responses = json!({status: success, "default": problem});
    described.insert("responses".to_owned(), responses);
    Value::Object(described)
}

/// A query parameter. One that is absent is no null.
fn query_parameter(name: &str, mut schema: Value) -> Value {
    let mut parameter = json!({"name": name, "in": "query"});
    let fields = (parameter.as_object_mut(), schema.as_object_mut());
    if let (Some(parameter), Some(fields)) = fields {
        if let Some(Value::Array(types)) = fields.get_mut("type") {
            types.retain(|one| one != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                fields.insert("type".to_owned(), only);
            }
        }
        if let Some(description) = fields.remove("description") {
            parameter.insert("description".to_owned(), description);
        }
        parameter.insert("schema".to_owned(), schema);
    }
    parameter
}

/// The schemas as this document has always had them: `oneOf` for what may be null, no default that
/// is null.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(any) = fields.remove("anyOf") {
                fields.insert("oneOf".to_owned(), any);
            }
            if fields.get("default").is_some_and(Value::is_null) {
                fields.remove("default");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The parameters in the template of a path.
fn path_parameters(path: &str) -> Vec<Value> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let description = match name {
                "cluster" => "Identity or name of a cluster, or the address of a member.",
                "server" => "Identity or address of a server.",
                "recovery" => "Identity of a recovery.",
                "node" => "Name of a Baton node.",
                _ => "",
            };
            json!({
                "name": name,
                "in": "path",
                "required": true,
                "description": description,
                "schema": {"type": "string"},
            })
        })
        .collect()
}
