//! Thousands of workers that wait, and one task pushed at a time: whether the many make the one
//! dearer. Those who wait are served in order of arrival, so it is known whose turn it is.
//!
//! Server and workers are pinned to one core: one of them works at a time, and waking another core
//! for each message costs more than what is measured, now more, now less.

use crate::resp::Conn;
use crate::rounds;
use crate::server::{Server, open_files, pin_this_thread};
use crate::table::{Table, median};
use crate::work;
use std::time::Duration;

/// Workers that wait, if this process may open so many files.
const CROWD: usize = 8_000;
/// Tasks pushed before the other crowd has its turn, one at a time.
const TURNS: usize = 2_000;
/// Turns of each crowd in a round.
const ALTERNATIONS: usize = 4;
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
    /// The same, of resident memory.
    resident: f64,
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
        let empty = server.used_memory();
        let mut waiting: Vec<Conn> = (0..workers).map(|_| server.conn()).collect();
        waiting.iter_mut().for_each(|conn| assert_eq!(conn.text(&["PING"]), "0"));
        let connected = settled_memory(&server);
        let resident = server.resident();
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
        let resident = (server.resident() - resident) / all;
        Crowd { server, waiting, producer, turn: 0, connection: (connected - empty) / all, wish, resident }
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
    // It looks at all of its clients once a second, and wants them to be quiet for two.
    std::thread::sleep(Duration::from_secs(6));
    server.used_memory()
}

fn wait(conn: &mut Conn, number: usize) {
    let worker = format!("w{number}");
    conn.add(&[b"WF.CLAIM", b"q", worker.as_bytes(), b"TYPES", b"1", b"t", b"BLOCK", b"0"]);
}

pub fn measure(table: &mut Table) {
    // Threads that are started later would inherit the core of this one.
    std::thread::scope(|scope| scope.spawn(|| on_one_core(table)).join().expect("nothing went wrong"));
}

fn on_one_core(table: &mut Table) {
    let workers = CROWD.min(open_files().saturating_sub(200));
    let (mut one, mut many) = (Crowd::gather(1), Crowd::gather(workers));
    pin_this_thread(0);
    one.server.pin(0);
    many.server.pin(0);
    let (mut ratios, mut costs) = (vec![], vec![]);
    for _ in 0..rounds() * ALTERNATIONS {
        let alone = one.cost();
        let crowded = many.cost();
        ratios.push(crowded / alone);
        costs.push(crowded);
    }
    table.note(&format!("server us a task pushed one at a time, {workers} workers waiting"), median(&costs));
    table.at_most(
        &format!("cost of such a task with {workers} waiting, times with one"),
        1.5,
        median(&ratios),
    );
    table.note("bytes of a connection", many.connection);
    table.note("bytes more when a worker waits on it", many.wish);
    table.note("resident bytes more when a worker waits on it", many.resident);
}
