//! Stands between the adapter and the mock, over HTTP: passes calls on and keeps the answers, or answers with what it is
//! told. Knows just enough of HTTP for both.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Context;

/// An answer: its status, and its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// What is done with the next calls.
#[derive(Default)]
struct Script {
    /// Answered to requests whose first line contains the text.
    instead: Option<(String, Answer)>,
    /// Answered to others, by their first line; the rest is passed on.
    known: BTreeMap<String, Answer>,
    /// What was passed on: first line of the request, and the answer.
    passed: Vec<(String, Answer)>,
}

/// A relay; it ends with the process.
pub struct Relay {
    pub url: String,
    script: Arc<Mutex<Script>>,
}

impl Relay {
    /// To the server behind `url`.
    pub fn to(url: &str) -> anyhow::Result<Self> {
        let host = url
            .strip_prefix("http://")
            .context("a plain URL")?
            .to_owned();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let script = Arc::<Mutex<Script>>::default();
        let shared = Arc::clone(&script);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (host, script) = (host.clone(), Arc::clone(&shared));
                // A client that hangs up ends its thread.
                thread::spawn(move || serve(&stream, &host, &script));
            }
        });
        Ok(Self { url, script })
    }

    /// From now on `answer` to each request whose first line contains `line`.
    pub fn instead(&self, line: &str, answer: Answer) {
        self.script().instead = Some((line.to_owned(), answer));
    }

    /// From now on these answers to the requests with these first lines.
    pub fn remember(&self, known: &[(String, Answer)]) {
        self.script().known = known.iter().cloned().collect();
    }

    /// From now on all is passed on; returns what was, by the first line of its request.
    pub fn pass(&self) -> Vec<(String, Answer)> {
        let mut script = self.script();
        script.instead = None;
        script.known.clear();
        std::mem::take(&mut script.passed)
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(stream: &TcpStream, host: &str, script: &Mutex<Script>) -> anyhow::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (line, request) = message(&mut reader)?;
        let instead = {
            let script = script.lock().unwrap_or_else(PoisonError::into_inner);
            let applies = script
                .instead
                .as_ref()
                .filter(|(part, _)| line.contains(part));
            let known = || script.known.get(&line);
            applies.map(|(_, answer)| answer).or_else(known).cloned()
        };
        let answer = match instead {
            Some(answer) => answer,
            None => {
                let answer = pass_on(host, &request)?;
                let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
                script.passed.push((line, answer.clone()));
                answer
            }
        };
        let mut response = format!(
            "HTTP/1.1 {} X\r\nx-aws-ec2-metadata-token-ttl-seconds: 300\r\ncontent-length: {}\r\n\r\n",
            answer.status,
            answer.body.len()
        )
        .into_bytes();
        response.extend(answer.body);
        // At once: a second write would wait for the acknowledgement of the first.
        (&mut &*stream).write_all(&response)?;
    }
}

fn pass_on(host: &str, request: &[u8]) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(host)?;
    stream.write_all(request)?;
    let (line, response) = message(&mut BufReader::new(&stream))?;
    let status = line.split(' ').nth(1).context("a status")?.parse()?;
    let blank = response.windows(4).position(|four| four == b"\r\n\r\n");
    let body = response[blank.context("a header")? + 4..].to_vec();
    Ok(Answer { status, body })
}

/// A request or response: its first line, and all of it. Both sides say how long their bodies are.
fn message(reader: &mut impl BufRead) -> anyhow::Result<(String, Vec<u8>)> {
    let (mut first, mut all, mut length) = (String::new(), Vec::new(), 0);
    loop {
        let mut line = String::new();
        anyhow::ensure!(reader.read_line(&mut line)? > 0, "hung up");
        all.extend(line.as_bytes());
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if first.is_empty() {
            line.clone_into(&mut first);
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    all.extend(body);
    Ok((first, all))
}
