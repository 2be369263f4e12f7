//! How long the server serves nobody else: somebody pings it all the time while the largest things are
//! done that may be done. A server has one thread, so a command that takes long is a stall for all.
//!
//! The longest ping of each thing is taken, of some rounds the least: what the machine does besides
//! only adds.

use super::WORKFLOWS;
use crate::documents::{Names, bipartite, chain, fan, loose};
use crate::resp::Conn;
use crate::server::Server;
use crate::table::Table;
use crate::{rounds, work};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The largest workflow that the module takes in as it comes.
const LARGEST: usize = 200_000;
/// The largest number of tasks of one command.
const COUNT: usize = 10_000;
/// Leases that end at once.
const LEASES: usize = 100_000;
/// Nobody waits longer, in milliseconds.
const GOAL: f64 = 30.0;

pub fn measure(table: &mut Table) {
    let all: Vec<Vec<(&str, f64)>> = (0..rounds()).map(|_| round()).collect();
    for (place, (what, _)) in all[0].iter().enumerate() {
        let least = all.iter().map(|round| round[place].1).fold(f64::INFINITY, f64::min);
        table.at_most(&format!("ms stalled, {what}"), GOAL, least);
    }
}

fn round() -> Vec<(&'static str, f64)> {
    let server = Server::start(&[]);
    let pings = Pings::default();
    let mut found = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| pings.run(&mut server.conn()));
        // A failed assertion must not leave the pings running for ever.
        let _stop = Stop(&pings);
        let mut bench = Bench { conn: server.conn(), pings: &pings, found: &mut found };
        work::push(&server, "q", WORKFLOWS, 2, &chain(Names::Equal));
        bench.wide();
        bench.joins();
        bench.many_ready();
        bench.leases();
        bench.freeing();
    });
    found
}

/// Somebody who pings, and how long the longest took.
#[derive(Default)]
struct Pings {
    count: AtomicU64,
    longest: AtomicU64,
    stop: AtomicBool,
}

impl Pings {
    fn run(&self, conn: &mut Conn) {
        while !self.stop.load(Relaxed) {
            let start = Instant::now();
            conn.text(&["PING"]);
            self.longest.fetch_max(start.elapsed().as_micros() as u64, Relaxed);
            self.count.fetch_add(1, Relaxed);
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// Waits until some that began after now have come back.
    fn settle(&self) {
        let seen = self.count.load(Relaxed);
        while self.count.load(Relaxed) < seen + 3 && !self.stop.load(Relaxed) {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

struct Stop<'p>(&'p Pings);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Relaxed);
    }
}

struct Bench<'b> {
    conn: Conn,
    pings: &'b Pings,
    found: &'b mut Vec<(&'static str, f64)>,
}

impl Bench<'_> {
    /// Does something and notes the longest ping meanwhile.
    fn stall<R>(&mut self, what: &'static str, body: impl FnOnce(&mut Conn) -> R) -> R {
        self.pings.settle();
        self.pings.longest.store(0, Relaxed);
        let result = body(&mut self.conn);
        self.pings.settle();
        let longest = self.pings.longest.load(Relaxed) as f64 / 1e3;
        eprintln!("{what}: {longest:.1} ms stalled");
        self.found.push((what, longest));
        result
    }

    /// The stall of one command.
    fn command(&mut self, what: &'static str, args: &[&str]) {
        self.stall(what, |conn| run(conn, args));
    }

    /// One workflow as wide as may be, from its push to its end.
    fn wide(&mut self) {
        let mut text = String::new();
        fan(Names::Own, LARGEST - 2)(1, &mut text);
        self.command("WF.PUSH of 200,000 tasks", &["WF.PUSH", "q", &text, "ID", "wide", "PRIORITY", "0"]);
        self.command("the same shape again", &["WF.PUSH", "q", &text, "ID", "again", "PAUSED"]);
        self.command("WF.DEFINE of it", &["WF.DEFINE", "q", "wide", &text]);
        self.command("WF.START of it", &["WF.START", "q", "wide", "ID", "started", "PAUSED"]);
        run(&mut self.conn, &["WF.DELETE", "q", "started"]);
        run(&mut self.conn, &["WF.UNDEFINE", "q", "wide"]);
        self.command("WF.GET of it", &["WF.GET", "q", "wide"]);
        self.command("WF.GET TASKS of it, 10,000 a page", &["WF.GET", "q", "wide", "TASKS"]);
        self.command("WF.WHY of it", &["WF.WHY", "q", "wide"]);
        self.command("WF.WHY of its join", &["WF.WHY", "q", "wide", "w1-t199999"]);
        let mut drawn = String::new();
        fan(Names::Own, COUNT - 2)(4, &mut drawn);
        run(&mut self.conn, &["WF.PUSH", "q", &drawn, "ID", "drawn", "PAUSED"]);
        self.command("WF.GRAPH of 10,000 tasks", &["WF.GRAPH", "q", "drawn"]);
        run(&mut self.conn, &["WF.DELETE", "q", "drawn"]);
        self.command("WF.LIST", &["WF.LIST", "q", "COUNT", "1000"]);
        self.command("WF.STATS", &["WF.STATS", "q"]);
        let root = claim(&mut self.conn, 1, "600000");
        self.stall("WF.COMPLETE that frees 199,998 children", |conn| acknowledge(conn, "WF.COMPLETE", &root));
        self.command("WF.PAUSE of it", &["WF.PAUSE", "q", "ID", "wide"]);
        self.command("WF.RELEASE of it", &["WF.RELEASE", "q", "ID", "wide"]);
        let tokens = self.stall("WF.CLAIM of 10,000", |conn| claim(conn, COUNT, "600000"));
        self.stall("WF.EXTEND of 10,000", |conn| {
            conn.head(3 + tokens.len());
            ["WF.EXTEND", "q", "600000"].iter().for_each(|word| conn.arg(word.as_bytes()));
            tokens.iter().for_each(|token| conn.arg(token));
            conn.send();
            conn.skip();
        });
        self.stall("WF.COMPLETE of 10,000", |conn| acknowledge(conn, "WF.COMPLETE", &tokens));
        let one = claim(&mut self.conn, 1, "600000");
        self.stall("WF.FAIL that cancels 189,998", |conn| {
            conn.add(&[b"WF.FAIL", b"q", &one[0], b"NORETRY"]);
            conn.send();
            conn.skip();
        });
        self.command("WF.RETRY of it", &["WF.RETRY", "q", "wide"]);
        self.command("WF.CANCEL of it", &["WF.CANCEL", "q", "wide"]);
        self.command("WF.DELETE of it", &["WF.DELETE", "q", "wide"]);
        self.command("WF.DELETE of one never begun", &["WF.DELETE", "q", "again"]);
        self.conn.text(&["WF.PUSH", "q", &text, "ID", "last", "PRIORITY", "0", "RETAIN", "0"]);
        let root = claim(&mut self.conn, 1, "600000");
        acknowledge(&mut self.conn, "WF.COMPLETE", &root);
        let mut left = LARGEST - 1;
        while left > COUNT {
            let tokens = claim(&mut self.conn, COUNT, "600000");
            left -= tokens.len();
            acknowledge(&mut self.conn, "WF.COMPLETE", &tokens);
        }
        while left > 1 {
            let tokens = claim(&mut self.conn, left - 1, "600000");
            left -= tokens.len();
            acknowledge(&mut self.conn, "WF.COMPLETE", &tokens);
        }
        let last = claim(&mut self.conn, 1, "600000");
        self.stall("WF.COMPLETE of its last task", |conn| acknowledge(conn, "WF.COMPLETE", &last));
        self.stall("removal of it when it was kept long enough", |conn| {
            while conn.text(&["WF.GET", "q", "last"]).starts_with("id") {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
    }

    /// As many edges as may be.
    fn joins(&mut self) {
        let mut text = String::new();
        bipartite(Names::Own, 1_000)(2, &mut text);
        self.command("WF.PUSH of 1,000,000 edges", &["WF.PUSH", "q", &text, "ID", "joins", "PRIORITY", "0"]);
        let tokens = claim(&mut self.conn, 1_000, "600000");
        self.stall("WF.COMPLETE of 1,000 parents of 1,000", |conn| acknowledge(conn, "WF.COMPLETE", &tokens));
        self.stall("WF.CLAIM WITHRESULTS of 1,000 with 1,000 parents", |conn| {
            run(conn, &["WF.CLAIM", "q", "w", "COUNT", "1000", "WITHRESULTS"]);
        });
        self.command("WF.DELETE of it all", &["WF.DELETE", "q", "joins"]);
    }

    fn many_ready(&mut self) {
        let mut text = String::new();
        loose(LARGEST)(3, &mut text);
        self.command("WF.PUSH of 200,000 tasks, all ready", &["WF.PUSH", "q", &text, "PRIORITY", "1"]);
        for _ in 0..4 {
            self.conn.text(&["WF.PUSH", "q", &text, "PRIORITY", "1"]);
        }
        self.command("WF.PAUSE ALL, 1,000,000 ready", &["WF.PAUSE", "q", "ALL"]);
        self.command("WF.RELEASE ALL", &["WF.RELEASE", "q", "ALL"]);
        self.command("WF.PAUSE TYPE", &["WF.PAUSE", "q", "TYPE", "t"]);
        self.command("WF.RELEASE TYPE", &["WF.RELEASE", "q", "TYPE", "t"]);
    }

    fn leases(&mut self) {
        (0..LEASES / COUNT).for_each(|_| drop(claim(&mut self.conn, COUNT, "1500")));
        self.stall("100,000 leases run out", |conn| {
            let all = format!("workflow_leases_expired:{LEASES}");
            while !conn.text(&["INFO", "workflow"]).contains(&all) {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        (0..LEASES / COUNT).for_each(|_| drop(claim(&mut self.conn, COUNT, "600000")));
        self.command("WF.RECOVER of 10,000 of 100,000", &["WF.RECOVER", "q", "w"]);
    }

    /// The key goes, 2 million tasks, each way.
    fn freeing(&mut self) {
        self.command("COPY (the server's own, at once)", &["COPY", "q", "unlinked"]);
        for key in ["deleted", "expired"] {
            self.conn.text(&["COPY", "q", key]);
        }
        self.command("UNLINK", &["UNLINK", "unlinked"]);
        self.command("DEL (the server's own, at once)", &["DEL", "deleted"]);
        self.stall("expiry of the key (the server's own, at once)", |conn| {
            conn.text(&["PEXPIRE", "expired", "20"]);
            while conn.text(&["DBSIZE"]) != "1" {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        self.command("FLUSHALL ASYNC", &["FLUSHALL", "ASYNC"]);
    }
}

fn run(conn: &mut Conn, args: &[&str]) {
    let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
    conn.add(&args);
    conn.send();
    conn.skip();
}

fn claim(conn: &mut Conn, count: usize, lease: &str) -> Vec<Vec<u8>> {
    let count = count.to_string();
    let mut tokens = Vec::new();
    // The chains are left alone.
    conn.add(&[
        b"WF.CLAIM",
        b"q",
        b"w",
        b"COUNT",
        count.as_bytes(),
        b"LEASE",
        lease.as_bytes(),
        b"MAXPRIORITY",
        b"1",
    ]);
    conn.send();
    conn.firsts(&mut tokens);
    assert!(!tokens.is_empty(), "there was something to claim");
    tokens
}

fn acknowledge(conn: &mut Conn, command: &str, tokens: &[Vec<u8>]) {
    conn.head(2 + tokens.len());
    [command, "q"].iter().for_each(|word| conn.arg(word.as_bytes()));
    tokens.iter().for_each(|token| conn.arg(token));
    conn.send();
    conn.skip();
}
