//! Which module may import which. Inside a package the compiler allows every import; these tests
//! read the source and allow only what the architecture has.

use std::collections::{BTreeMap, BTreeSet};

use super::repository::{demand_none, files, read};

/// Modules of `host/control` that any room may import: they import no room.
const GROUND: [&str; 6] = [
    "api",
    "counters",
    "locking",
    "order_kind",
    "settings",
    "store_retry",
];

/// For each room of `host/control`, the rooms that it may import.
const ROOMS: [(&str, &[&str]); 3] = [
    ("inventory", &[]),
    ("leadership", &["inventory"]),
    ("clusters", &["inventory", "leadership"]),
];

/// Which top-level modules each top-level module of a package imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// Reads the sources of a package. Tests may import what they like.
fn imports(package: &str) -> Imports {
    let mut found = Imports::new();
    let src = format!("{package}/src/");
    for (path, text) in files(&[".rs"]) {
        let Some(inside) = path.strip_prefix(&src).filter(|path| is_source(path)) else {
            continue;
        };
        let module = inside.split('/').next().unwrap();
        let module = module.trim_end_matches(".rs").to_owned();
        let mut others = imported(&text);
        others.remove(&module);
        found.entry(module).or_default().extend(others);
    }
    assert!(!found.is_empty(), "{package} has no modules");
    found
}

/// True for a source file that is neither a test nor the root of a package.
fn is_source(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let (name, folders) = parts.split_last().unwrap();
    !folders.contains(&"tests") && !["tests.rs", "lib.rs"].contains(name)
}

/// The top-level modules that a source file names as `crate::module`, outside its tests and
/// comments.
fn imported(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim().starts_with("//"));
    let mut found = BTreeSet::new();
    for line in lines {
        for (at, _) in line.match_indices("crate::") {
            let before = line.get(..at).and_then(|before| before.chars().last());
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = line.get(at + "crate::".len()..).unwrap_or_default();
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let name = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            assert!(!name.is_empty(), "import modules one by one: {line}");
            // Not a module: something that the package exports under its own name.
            if !name.starts_with(char::is_uppercase) {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

/// Modules that import themselves over others.
fn circles(imports: &Imports) -> Vec<String> {
    let mut found = Vec::new();
    for module in imports.keys() {
        let mut reached: BTreeSet<&String> = BTreeSet::new();
        let mut queue: Vec<&String> = vec![module];
        while let Some(next) = queue.pop() {
            for other in imports.get(next).into_iter().flatten() {
                if reached.insert(other) {
                    queue.push(other);
                }
            }
        }
        if reached.contains(module) {
            found.push(module.clone());
        }
    }
    found
}

fn room(module: &str) -> Option<&str> {
    let mut rooms = ROOMS.iter().map(|(room, _)| *room);
    rooms.find(|room| *room == module)
}

#[test]
fn rooms_of_control_import_in_one_direction() {
    let mut offences = Vec::new();
    for (module, others) in imports("host/control") {
        let Some(own) = room(&module) else { continue };
        let mut rooms = ROOMS.iter().filter(|(room, _)| *room == own);
        let allowed = rooms.next().map_or(&[][..], |(_, allowed)| allowed);
        for other in others {
            let is_allowed = match room(&other) {
                Some(other) => other == own || allowed.contains(&other),
                None => GROUND.contains(&other.as_str()),
            };
            if !is_allowed {
                offences.push(format!("{module} ({own}) imports {other}"));
            }
        }
    }
    demand_none("imports against the direction of the rooms", &offences);
}

#[test]
fn planning_does_not_import_execution() {
    let imports = imports("host/core");
    let planning = imports.get("planning").unwrap();
    assert!(!planning.contains("execution"));
    let command = imports.get("command").unwrap();
    let above = ["check", "execution", "operation", "planning"];
    assert!(above.iter().all(|module| !command.contains(*module)));
}

#[test]
fn modules_of_backend_have_no_circle() {
    assert_eq!(circles(&imports("host/backend")), Vec::<String>::new());
}

/// The rest of the watch runs in the simulator as well.
#[test]
fn only_one_module_of_backend_speaks_to_databases() {
    let uses = |name: &str| read(&format!("host/backend/src/{name}")).contains("baton_mysql");
    let all = imports("host/backend");
    let files = all.keys().map(|module| format!("{module}.rs"));
    let found: Vec<String> = files.filter(|name| uses(name)).collect();
    // Two of them take nothing but the account of the configuration.
    assert_eq!(found, ["mysql.rs", "spec.rs", "url.rs"]);
}

#[test]
fn an_import_is_found_wherever_it_stands() {
    let text = "use crate::a::B;\n// crate::c\nfn f() { crate::d::e(crate::F); baton_crate::g() }\n\
                #[cfg(test)]\nmod tests {\n    use crate::h;\n}\n";
    let found: Vec<String> = imported(text).into_iter().collect();
    assert_eq!(found, ["a", "d"]);
    let circle = [("a", "b"), ("b", "a"), ("c", "a")].map(|(module, other)| {
        let others = BTreeSet::from([other.to_owned()]);
        (module.to_owned(), others)
    });
    assert_eq!(circles(&circle.into()), ["a", "b"]);
}
