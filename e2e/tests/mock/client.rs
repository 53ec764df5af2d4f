//! A client that shares nothing with the mock: HTTP/1.1 by hand over one connection a request, and XML by searching.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use e2e::mock::{Cloud, CloudConfig, Node, NodeSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A cloud and one m5.large without packets, which calls from its own endpoint.
pub async fn start(config: CloudConfig) -> (Cloud, Node) {
    let cloud = Cloud::start(config).await.unwrap();
    let node = cloud.add_node(NodeSpec::new("m5.large")).await.unwrap();
    (cloud, node)
}

/// An answer: status, headers and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The text of the first element of this name.
    pub fn text(&self, element: &str) -> String {
        self.texts(element).into_iter().next().unwrap_or_else(|| {
            panic!("no <{element}> in {}", self.body);
        })
    }

    /// The texts of all elements of this name.
    pub fn texts(&self, element: &str) -> Vec<String> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let parts = self.body.split(&open).skip(1);
        parts
            .map(|part| part.split(&close).next().unwrap().to_owned())
            .collect()
    }

    /// HTTP status and EC2 error code.
    pub fn error(&self) -> (u16, String) {
        assert!(
            self.body.contains("<Response><Errors><Error><Code>")
                && self.body.contains("<RequestID>"),
            "not an EC2 error: {}",
            self.body
        );
        (self.status, self.text("Code"))
    }

    pub fn expect_ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.body);
        self
    }
}

/// Sends a request; nothing if the connection closes without an answer.
pub async fn request(
    url: &str,
    method: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Answer> {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').map_or((rest, ""), |(h, p)| (h, p));
    let mut head = format!("{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let message = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(message.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
    // A reset is one way to close without an answer.
    let _ = read.await.expect("no answer within 20 s");
    if answer.is_empty() {
        return None;
    }
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Some(Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        body: body.to_owned(),
    })
}

/// Makes an EC2 call as the SDKs do; `call` is the action and its parameters: `CreateTags ResourceId.1=eni-1 ...`.
pub async fn try_ec2(url: &str, call: &str) -> Option<Answer> {
    let mut words = call.split_whitespace();
    let mut form = format!("Version=2016-11-15&Action={}", words.next().unwrap_or(""));
    for word in words {
        let (name, value) = word.split_once('=').unwrap();
        form.push_str(&format!("&{name}={}", encoded(value)));
    }
    let headers = [
        (
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        ),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=any/20260101/us-west-2/ec2/aws4_request",
        ),
    ];
    request(url, "POST", &headers, &form).await
}

/// Makes an EC2 call that must be answered.
pub async fn ec2(url: &str, call: &str) -> Answer {
    let answer = try_ec2(url, call).await;
    answer.unwrap_or_else(|| panic!("{call} was not answered"))
}

/// Gets JSON of the admin endpoint.
pub async fn json(url: &str) -> serde_json::Value {
    let answer = request(url, "GET", &[], "").await.unwrap().expect_ok();
    serde_json::from_str(&answer.body).unwrap()
}

fn encoded(value: &str) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Waits until `reached` holds; a minute is more than any sane machine needs.
pub async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    for _ in 0..1200 {
        if reached() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never {what}");
}
