//! The work that is measured: chains of ten tasks through the module, and the same number of
//! messages through a stream with a consumer group and through a list.

use super::resp::{Conn, Head};
use super::server::Server;
use std::time::Instant;

/// What a run cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Seconds on the wall.
    pub wall: f64,
    /// Seconds of the server's processor time.
    pub cpu: f64,
}

/// Runs `body(number, connection)` on so many connections at once and says what it cost.
pub fn measure(server: &Server, connections: usize, body: impl Fn(usize, &mut Conn) + Sync) -> Cost {
    let mut conns: Vec<Conn> = (0..connections).map(|_| server.conn()).collect();
    let cpu = server.cpu();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for (number, conn) in conns.iter_mut().enumerate() {
            let body = &body;
            scope.spawn(move || body(number, conn));
        }
    });
    Cost { wall: start.elapsed().as_secs_f64(), cpu: server.cpu() - cpu }
}

/// Tasks of a chain.
pub const CHAIN: usize = 10;

/// How the tasks of a workflow are named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Every workflow alike.
    Equal,
    /// Every workflow has its own.
    Own,
}

/// The document of a chain of ten tasks with payloads of 7 bytes, each different.
pub fn chain(number: usize, names: Names, out: &mut String) {
    use std::fmt::Write;
    out.clear();
    out.push_str("{\"tasks\":[");
    let prefix = if names == Names::Own { format!("w{number}-") } else { String::new() };
    for task in 0..CHAIN {
        let payload = (number * CHAIN + task) % 10_000_000;
        let comma = if task > 0 { "," } else { "" };
        let _ =
            write!(out, "{comma}{{\"name\":\"{prefix}t{task}\",\"type\":\"t\",\"payload\":\"{payload:07}\"");
        if task > 0 {
            let _ = write!(out, ",\"parents\":[\"{prefix}t{}\"]", task - 1);
        }
        out.push('}');
    }
    out.push_str("]}");
}

/// Pushes chains over some connections, `batch` documents a round trip.
pub fn push(
    server: &Server,
    key: &str,
    workflows: usize,
    batch: usize,
    connections: usize,
    names: Names,
) -> Cost {
    measure(server, connections, |number, conn| {
        let mut document = String::new();
        let (from, to) = (workflows * number / connections, workflows * (number + 1) / connections);
        let mut at = from;
        while at < to {
            let end = (at + batch).min(to);
            for workflow in at..end {
                chain(workflow, names, &mut document);
                conn.add(&[b"WF.PUSH", key.as_bytes(), document.as_bytes()]);
            }
            conn.send();
            (at..end).for_each(|_| conn.skip());
            at = end;
        }
    })
}

/// Claims and completes everything, `count` tasks a round trip, a completion and the next claim in
/// one write when `joined`.
pub fn work_off(server: &Server, key: &str, count: usize, connections: usize, joined: bool) -> Cost {
    let count_text = count.to_string();
    measure(server, connections, |number, conn| {
        let worker = format!("w{number}");
        let mut tokens: Vec<Vec<u8>> = Vec::new();
        let claim: [&[u8]; 5] =
            [b"WF.CLAIM", key.as_bytes(), worker.as_bytes(), b"COUNT", count_text.as_bytes()];
        let mut empty = 0;
        loop {
            let completing = tokens.len();
            if completing > 0 {
                conn.head(completing + 2);
                conn.arg(b"WF.COMPLETE");
                conn.arg(key.as_bytes());
                tokens.iter().for_each(|token| conn.arg(token));
                if !joined {
                    conn.send();
                    conn.skip();
                }
                tokens.clear();
            }
            conn.add(&claim);
            conn.send();
            if joined && completing > 0 {
                conn.skip();
            }
            conn.firsts(&mut tokens);
            // Others may still complete parents; stop when there is nothing for a while.
            empty = if tokens.is_empty() { empty + 1 } else { 0 };
            if empty > 50 {
                return;
            }
        }
    })
}

/// The same number of messages through a stream: XADD, XREADGROUP, XACK, `count` a round trip.
pub fn stream(server: &Server, messages: usize, count: usize, connections: usize) -> Cost {
    let mut conn = server.conn();
    conn.text(&["DEL", "stream"]);
    conn.text(&["XGROUP", "CREATE", "stream", "g", "$", "MKSTREAM"]);
    let count_text = count.to_string();
    let added = measure(server, connections, |number, conn| {
        let (from, to) = (messages * number / connections, messages * (number + 1) / connections);
        let mut at = from;
        while at < to {
            let end = (at + count).min(to);
            for message in at..end {
                let payload = format!("{:07}", message % 10_000_000);
                conn.add(&[b"XADD", b"stream", b"*", b"p", payload.as_bytes()]);
            }
            conn.send();
            (at..end).for_each(|_| conn.skip());
            at = end;
        }
    });
    let read = measure(server, connections, |number, conn| {
        let consumer = format!("c{number}");
        let mut ids: Vec<Vec<u8>> = Vec::new();
        loop {
            conn.add(&[
                b"XREADGROUP",
                b"GROUP",
                b"g",
                consumer.as_bytes(),
                b"COUNT",
                count_text.as_bytes(),
                b"STREAMS",
                b"stream",
                b">",
            ]);
            conn.send();
            if let Head::Array(1) = conn.reply() {
                assert_eq!(conn.reply(), Head::Array(2));
                conn.skip();
                conn.firsts(&mut ids);
            }
            if ids.is_empty() {
                return;
            }
            conn.head(ids.len() + 3);
            [&b"XACK"[..], b"stream", b"g"].iter().for_each(|arg| conn.arg(arg));
            ids.iter().for_each(|id| conn.arg(id));
            conn.send();
            conn.skip();
            ids.clear();
        }
    });
    Cost { wall: added.wall + read.wall, cpu: added.cpu + read.cpu }
}

/// The same number of items through a list: RPUSH, LMOVE to a list of one's own, LREM.
pub fn list(server: &Server, items: usize, connections: usize) -> Cost {
    server.conn().text(&["DEL", "list"]);
    measure(server, connections, |number, conn| {
        let (from, to) = (items * number / connections, items * (number + 1) / connections);
        for item in from..to {
            let payload = format!("{:07}", item % 10_000_000);
            conn.add(&[b"RPUSH", b"list", payload.as_bytes()]);
        }
        conn.send();
        (from..to).for_each(|_| conn.skip());
    });
    measure(server, connections, |number, conn| {
        let mine = format!("mine{number}");
        loop {
            conn.add(&[b"LMOVE", b"list", mine.as_bytes(), b"LEFT", b"RIGHT"]);
            conn.send();
            let Head::Bulk(len) = conn.reply() else { return };
            let item = conn.bytes(len);
            conn.add(&[b"LREM", mine.as_bytes(), b"1", &item]);
            conn.send();
            conn.skip();
        }
    })
}
