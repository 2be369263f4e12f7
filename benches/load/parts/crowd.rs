//! Thousands of workers that wait, and one task pushed at a time: whether the many make the one
//! dearer. Those who wait are served in order of arrival, so it is known whose turn it is.

use crate::resp::Conn;
use crate::rounds;
use crate::server::{Server, open_files};
use crate::table::{Table, median};
use crate::work;
use std::time::Duration;

/// Workers that wait, if this process may open so many files.
const CROWD: usize = 8_000;
/// Tasks pushed in one round, one at a time.
const TURNS: usize = 8_000;
const ONE: &str = r#"{"tasks":[{"name":"a","type":"t"}]}"#;

struct Crowd {
    server: Server,
    waiting: Vec<Conn>,
    producer: Conn,
    /// The number of tasks handed out so far.
    turn: usize,
    /// What a connection adds to `used_memory`.
    connection: f64,
    /// What it adds when a worker waits on it.
    wish: f64,
}

impl Crowd {
    fn gather(workers: usize) -> Crowd {
        let server = Server::start(&[]);
        let mut producer = server.conn();
        // The space has to be there, and its first task worked off, before memory is looked at.
        producer.text(&["WF.PUSH", "q", ONE]);
        let mut tokens = vec![];
        producer.add(&[b"WF.CLAIM", b"q", b"first"]);
        producer.send();
        producer.firsts(&mut tokens);
        work::complete(&mut producer, "q", &tokens);
        producer.send();
        producer.skip();
        let empty = settled_memory(&server);
        let mut waiting: Vec<Conn> = (0..workers).map(|_| server.conn()).collect();
        waiting.iter_mut().for_each(|conn| assert_eq!(conn.text(&["PING"]), "0"));
        let connected = settled_memory(&server);
        for (number, conn) in waiting.iter_mut().enumerate() {
            wait(conn, number);
            conn.send();
            // Arrival must be in this order; the server reads all sockets that are ready in any.
            producer.text(&["PING"]);
        }
        while server.info("clients", "blocked_clients") < workers as f64 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let all = workers as f64;
        let wish = (settled_memory(&server) - connected) / all;
        Crowd { server, waiting, producer, turn: 0, connection: (connected - empty) / all, wish }
    }

    /// Microseconds of the server's processor time a task: pushed, delivered, completed, and its
    /// worker waits again.
    fn cost(&mut self) -> f64 {
        let cpu = self.server.cpu();
        let mut tokens = Vec::new();
        for _ in 0..TURNS {
            self.producer.text(&["WF.PUSH", "q", ONE]);
            let number = self.turn % self.waiting.len();
            let conn = &mut self.waiting[number];
            conn.firsts(&mut tokens);
            work::complete(conn, "q", &tokens);
            wait(conn, number);
            conn.send();
            conn.skip();
            tokens.clear();
            self.turn += 1;
        }
        (self.server.cpu() - cpu) * 1e6 / TURNS as f64
    }
}

/// `used_memory` once the server has given up the buffers of connections that went quiet.
fn settled_memory(server: &Server) -> f64 {
    let mut least = server.used_memory();
    let mut still = 0;
    // It looks at all of its clients once a second, and wants them to be quiet for two.
    for _ in 0..80 {
        std::thread::sleep(Duration::from_millis(250));
        let now = server.used_memory();
        still = if now < least * 0.99 { 0 } else { still + 1 };
        least = least.min(now);
        if still == 24 {
            break;
        }
    }
    least
}

fn wait(conn: &mut Conn, number: usize) {
    let worker = format!("w{number}");
    conn.add(&[b"WF.CLAIM", b"q", worker.as_bytes(), b"TYPES", b"1", b"t", b"BLOCK", b"0"]);
}

pub fn measure(table: &mut Table) {
    let workers = CROWD.min(open_files().saturating_sub(200));
    let (mut one, mut many) = (Crowd::gather(1), Crowd::gather(workers));
    let (mut ratios, mut costs) = (vec![], vec![]);
    for _ in 0..rounds() {
        let alone = one.cost();
        let crowded = many.cost();
        ratios.push(crowded / alone);
        costs.push(crowded);
    }
    table.note(&format!("server us a task pushed one at a time, {workers} workers waiting"), median(&costs));
    table.at_most("the same, times with one waiting", 1.5, median(&ratios));
    table.note("bytes of a connection", many.connection);
    table.note("bytes more when a worker waits on it", many.wish);
}
