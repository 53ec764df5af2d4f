//! A small HTTP server in a node's namespace that notes what it is asked and answers what it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use e2e::netns::Netns;

/// The server; it ends when dropped.
pub struct Answering {
    told: Arc<Told>,
    thread: Option<JoinHandle<()>>,
}

struct Told {
    /// Status line and body of each answer.
    answer: Mutex<(String, String)>,
    /// What came in: request line, headers and body.
    asked: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl Answering {
    /// Listens on `address` in `netns`.
    pub fn start(
        netns: &Netns,
        address: SocketAddr,
        status: &str,
        body: &str,
    ) -> anyhow::Result<Self> {
        let listener = netns.run(|| TcpListener::bind(address))?;
        let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
        listener.set_nonblocking(true)?;
        let told = Arc::new(Told {
            answer: Mutex::new((status.to_owned(), body.to_owned())),
            asked: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let shared = Arc::clone(&told);
        let thread = thread::spawn(move || {
            while !shared.stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    // A client that goes away is its own affair.
                    Ok((stream, _)) => drop(serve(stream, &shared)),
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            }
        });
        Ok(Self {
            told,
            thread: Some(thread),
        })
    }

    /// Answers this from now on.
    pub fn answer(&self, status: &str, body: &str) {
        *self.told.answer.lock().unwrap() = (status.to_owned(), body.to_owned());
    }

    /// All that was asked until now.
    pub fn asked(&self) -> Vec<String> {
        self.told.asked.lock().unwrap().clone()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.told.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: TcpStream, told: &Told) -> anyhow::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(&stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request)? == 0 {
            break;
        }
    }
    let length = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    request.push_str(&String::from_utf8_lossy(&body));
    told.asked.lock().unwrap().push(request);
    let (status, body) = told.answer.lock().unwrap().clone();
    let length = body.len();
    write!(
        &stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    Ok(())
}
