//! A node that is only a socket: it answers as told and remembers what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest wait for another request.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to answer.
pub(crate) struct Answer {
    status: u16,
    body: String,
    hang_up: bool,
    held: bool,
}

impl Answer {
    pub(crate) fn new(status: u16, body: &str) -> Self {
        Self {
            status,
            body: body.to_owned(),
            hang_up: false,
            held: false,
        }
    }

    /// Closes the connection instead.
    pub(crate) fn hang_up() -> Self {
        Self {
            hang_up: true,
            ..Self::new(0, "")
        }
    }

    /// Answers only when a request has come after this one, so that progress is seen before the
    /// end.
    pub(crate) fn after_another_request(self) -> Self {
        Self { held: true, ..self }
    }
}

#[derive(Default)]
struct Seen {
    requests: Vec<String>,
    authorizations: Vec<String>,
    stopped: bool,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("nobody panicked with it")
    }
}

type Respond = dyn Fn(&str, &[String]) -> Answer + Send + Sync;

/// A listening socket, until it is dropped.
pub(crate) struct Node {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

impl Node {
    /// `respond` gets "METHOD PATH BODY" and what was asked before.
    pub(crate) fn start(
        respond: impl Fn(&str, &[String]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("bound");
        let shared = Arc::new(Shared::default());
        let respond: Arc<Respond> = Arc::new(respond);
        let state = Arc::clone(&shared);
        let listener = std::thread::spawn(move || {
            for stream in socket.incoming().map_while(Result::ok) {
                if state.lock().stopped {
                    return;
                }
                let (state, respond) = (Arc::clone(&state), Arc::clone(&respond));
                std::thread::spawn(move || serve(&stream, &state, &*respond));
            }
        });
        Self {
            address,
            shared,
            listener: Some(listener),
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.lock().requests.clone()
    }

    pub(crate) fn authorizations(&self) -> Vec<String> {
        self.shared.lock().authorizations.clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        // Wakes the listener, which then ends and closes the port.
        drop(TcpStream::connect(self.address));
        if let Some(listener) = self.listener.take() {
            drop(listener.join());
        }
    }
}

fn serve(stream: &TcpStream, shared: &Shared, respond: &Respond) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let mut request: String = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).expect("a header");
        let Some((name, value)) = header.trim().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().expect("a length"),
            "authorization" => shared.lock().authorizations.push(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    if !body.is_empty() {
        request.push(' ');
        request.push_str(&String::from_utf8_lossy(&body));
    }
    let answer = {
        let mut seen = shared.lock();
        let answer = respond(&request, &seen.requests);
        seen.requests.push(request);
        shared.changed.notify_all();
        if answer.held {
            let count = seen.requests.len();
            let wait = shared
                .changed
                .wait_timeout_while(seen, PATIENCE, |seen| seen.requests.len() <= count);
            drop(wait.expect("nobody panicked with it"));
        }
        answer
    };
    if answer.hang_up {
        return;
    }
    let text = format!(
        "HTTP/1.1 {} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{}",
        answer.status,
        answer.body.len(),
        answer.body
    );
    // The client may be gone.
    drop((&*stream).write_all(text.as_bytes()));
}
