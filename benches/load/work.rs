//! The work that is measured: workflows are pushed, and their tasks claimed and completed, over some
//! connections at once.

use super::documents::{CHAIN, Document};
use super::resp::Conn;
use super::server::Server;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What a run cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Seconds on the wall.
    pub wall: f64,
    /// Seconds of the server's processor time.
    pub cpu: f64,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
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

/// Documents that go out together: about 100 tasks.
const BATCH: usize = 100 / CHAIN;

/// Pushes workflows over some connections, ten documents a round trip.
pub fn push(server: &Server, key: &str, workflows: usize, connections: usize, document: &Document) -> Cost {
    measure(server, connections, |number, conn| {
        let mut text = String::new();
        let (mut at, to) = (workflows * number / connections, workflows * (number + 1) / connections);
        while at < to {
            let end = (at + BATCH).min(to);
            for workflow in at..end {
                document(workflow, &mut text);
                conn.add(&[b"WF.PUSH", key.as_bytes(), text.as_bytes()]);
            }
            conn.send();
            (at..end).for_each(|_| conn.skip());
            at = end;
        }
    })
}

/// How a worker says that it is done and asks for more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// One command a write, each answered before the next.
    Apart,
    /// The completion and the next claim in one write.
    Joined,
}

/// Claims and completes tasks until `tasks` are completed, `count` a round trip.
pub fn work_off(
    server: &Server,
    key: &str,
    tasks: usize,
    count: usize,
    connections: usize,
    writes: Writes,
) -> Cost {
    let done = AtomicUsize::new(0);
    let count_text = count.to_string();
    measure(server, connections, |number, conn| {
        let worker = format!("w{number}");
        let mut tokens: Vec<Vec<u8>> = Vec::new();
        let claim: [&[u8]; 5] =
            [b"WF.CLAIM", key.as_bytes(), worker.as_bytes(), b"COUNT", count_text.as_bytes()];
        loop {
            let completing = tokens.len();
            if completing > 0 {
                complete(conn, key, &tokens);
                if writes == Writes::Apart {
                    conn.send();
                    conn.skip();
                }
                tokens.clear();
            }
            conn.add(&claim);
            conn.send();
            if writes == Writes::Joined && completing > 0 {
                conn.skip();
            }
            done.fetch_add(completing, Relaxed);
            conn.firsts(&mut tokens);
            if tokens.is_empty() {
                if done.load(Relaxed) >= tasks {
                    return;
                }
                // Others are about to complete the parents. A worker would wait with BLOCK.
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    })
}

/// Collects the completion of some tokens.
pub fn complete(conn: &mut Conn, key: &str, tokens: &[Vec<u8>]) {
    conn.head(tokens.len() + 2);
    conn.arg(b"WF.COMPLETE");
    conn.arg(key.as_bytes());
    tokens.iter().for_each(|token| conn.arg(token));
}
