//! A connection that speaks as much RESP2 as a load generator needs: commands are collected and
//! sent in one write, replies are skipped or picked apart without building trees.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take: saving and loading millions of tasks takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// One connection.
pub struct Conn {
    stream: TcpStream,
    out: Vec<u8>,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
}

/// The head of a reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Head {
    /// A simple string or an integer; its value when it is one.
    Int(i64),
    /// A bulk string of so many bytes, which follow.
    Bulk(usize),
    /// An array of so many replies, which follow.
    Array(usize),
    /// A null.
    Null,
}

impl Conn {
    /// Connects to a server on this machine.
    pub fn open(port: u16) -> Conn {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_nodelay(true).expect("a socket option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        Conn { stream, out: Vec::new(), buffer: vec![0; 1 << 16], at: 0, end: 0 }
    }

    /// Collects a command.
    pub fn add(&mut self, args: &[&[u8]]) {
        self.head(args.len());
        args.iter().for_each(|arg| self.arg(arg));
    }

    /// Collects the head of a command of so many arguments.
    pub fn head(&mut self, args: usize) {
        let _ = write!(self.out, "*{args}\r\n");
    }

    /// Collects an argument.
    pub fn arg(&mut self, arg: &[u8]) {
        let _ = write!(self.out, "${}\r\n", arg.len());
        self.out.extend_from_slice(arg);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Sends what was collected.
    pub fn send(&mut self) {
        self.stream.write_all(&self.out).expect("the server reads");
        self.out.clear();
    }

    /// Sends one command and gives its reply as text, whatever its form.
    pub fn text(&mut self, args: &[&str]) -> String {
        self.add(&args.iter().map(|arg| arg.as_bytes()).collect::<Vec<_>>());
        self.send();
        match self.reply() {
            Head::Int(number) => number.to_string(),
            Head::Bulk(len) => String::from_utf8_lossy(&self.bytes(len)).into_owned(),
            Head::Null => String::new(),
            Head::Array(len) => {
                let parts: Vec<String> = (0..len).map(|_| self.element()).collect();
                parts.join(" ")
            }
        }
    }

    fn element(&mut self) -> String {
        match self.reply() {
            Head::Int(number) => number.to_string(),
            Head::Bulk(len) => String::from_utf8_lossy(&self.bytes(len)).into_owned(),
            Head::Null => String::new(),
            Head::Array(len) => (0..len).map(|_| self.element()).collect::<Vec<_>>().join(" "),
        }
    }

    /// The head of the next reply; an error reply ends the run.
    pub fn reply(&mut self) -> Head {
        let line = self.line();
        let number = || str::from_utf8(&line[1..]).ok().and_then(|text| text.parse::<i64>().ok());
        match line[0] {
            b'+' => Head::Int(0),
            b':' => Head::Int(number().expect("an integer")),
            b'$' => number().map_or(Head::Null, |n| usize::try_from(n).map_or(Head::Null, Head::Bulk)),
            b'*' => number().map_or(Head::Null, |n| usize::try_from(n).map_or(Head::Null, Head::Array)),
            _ => panic!("the server answered {}", String::from_utf8_lossy(&line)),
        }
    }

    /// The bytes of a bulk string whose head was read.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        while self.end - self.at < len + 2 {
            self.fill();
        }
        let bytes = self.buffer[self.at..self.at + len].to_vec();
        self.at += len + 2;
        bytes
    }

    /// Reads a reply that must be a bulk string.
    pub fn reply_bytes(&mut self) -> Vec<u8> {
        match self.reply() {
            Head::Bulk(len) => self.bytes(len),
            other => panic!("the server answered {other:?}"),
        }
    }

    /// Reads a reply and forgets it.
    pub fn skip(&mut self) {
        match self.reply() {
            Head::Array(len) => (0..len).for_each(|_| self.skip()),
            Head::Bulk(len) => {
                while self.end - self.at < len + 2 {
                    self.fill();
                }
                self.at += len + 2;
            }
            Head::Int(_) | Head::Null => {}
        }
    }

    /// Reads an array of arrays and keeps the first element of each: tokens, or ids of entries.
    pub fn firsts(&mut self, into: &mut Vec<Vec<u8>>) {
        let Head::Array(len) = self.reply() else { return };
        for _ in 0..len {
            let Head::Array(parts) = self.reply() else { continue };
            let Head::Bulk(first) = self.reply() else { continue };
            into.push(self.bytes(first));
            (1..parts).for_each(|_| self.skip());
        }
    }

    fn line(&mut self) -> Vec<u8> {
        let mut from = self.at;
        loop {
            if let Some(end) = self.buffer[from..self.end].iter().position(|&byte| byte == b'\n') {
                let line = self.buffer[self.at..from + end - 1].to_vec();
                self.at = from + end + 1;
                return line;
            }
            let seen = self.end - self.at;
            self.fill();
            from = self.at + seen;
        }
    }

    fn fill(&mut self) {
        if self.at > 0 {
            self.buffer.copy_within(self.at..self.end, 0);
            self.end -= self.at;
            self.at = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.end..]).expect("the server answers");
        assert!(read > 0, "the server closed the connection");
        self.end += read;
    }
}
