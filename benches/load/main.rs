//! The load generator behind `make bench`: what the module costs, beside what a plain stream and a
//! plain list cost on the same server in the same minute.
//!
//! `BENCH_ROUNDS` rounds (default 3) of each speed measurement, interleaved with their reference;
//! medians are printed. Arguments choose parts by name. Only servers it started on this machine
//! are loaded.

mod resp;
mod server;
mod table;
mod work;

use server::Server;
use table::{Table, median};
use work::{CHAIN, Cost, Names};

const WORKFLOWS: usize = 100_000;

/// Measures something and adds it to the table.
type Measure = fn(&mut Table);

/// What can be measured, by name; `large` only when asked for.
const PARTS: [(&str, Measure); 6] = [
    ("memory", memory),
    ("batch", batch),
    ("single", single),
    ("files", files),
    ("persisted", persisted),
    ("large", large),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let mut table = Table::default();
    for (name, measure) in PARTS {
        if wanted.iter().any(|arg| arg == name) || (wanted.is_empty() && name != "large") {
            measure(&mut table);
        }
    }
    table.print();
}

fn rounds() -> usize {
    std::env::var("BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

fn tasks() -> f64 {
    (WORKFLOWS * CHAIN) as f64
}

/// Bytes a task: pending, with names of its own, completed, and after everything is gone.
fn memory(table: &mut Table) {
    for (names, what, goal) in [
        (Names::Equal, "bytes a task, pending, equal shapes", 18.0),
        (Names::Own, "bytes a task, pending, names of its own", 64.0),
    ] {
        let server = Server::start(&[]);
        let before = server.used_memory();
        work::push(&server, "q", WORKFLOWS, 10, 8, names);
        table.at_most(what, goal, (server.used_memory() - before) / tasks());
        if names == Names::Equal {
            work::work_off(&server, "q", 100, 8, false);
            let kept = (server.used_memory() - before) / tasks();
            table.at_most("bytes a task, completed and kept with times", 32.0, kept);
        }
        let mut conn = server.conn();
        for first in (1..=WORKFLOWS).step_by(1000) {
            conn.head(1002);
            conn.arg(b"WF.DELETE");
            conn.arg(b"q");
            (first..first + 1000).for_each(|id| conn.arg(id.to_string().as_bytes()));
            conn.send();
            conn.skip();
        }
        let left = (server.used_memory() - before) / 1e6;
        table.at_most("MB left after everything was removed", 1.0, left);
    }
}

/// Push, claim, complete, 100 tasks a round trip on 8 connections, against a stream.
fn batch(table: &mut Table) {
    let server = Server::start(&[]);
    let (mut ratios, mut walls, mut cpus, mut stream_cpus) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds() {
        let ours = batch_once(&server);
        let stream = work::stream(&server, WORKFLOWS * CHAIN, 100, 8);
        ratios.push(ours.cpu / stream.cpu);
        walls.push(ours.wall);
        cpus.push(ours.cpu * 1e6 / tasks());
        stream_cpus.push(stream.cpu * 1e6 / tasks());
    }
    table.note("server us a task, batches of 100", median(&cpus));
    table.note("server us a message, stream, batches of 100", median(&stream_cpus));
    table.at_most("server CPU of batches, times a stream's", 0.4, median(&ratios));
    table.at_most("seconds for 1M tasks over 100k workflows, batches", 3.0, median(&walls));
}

fn batch_once(server: &Server) -> Cost {
    server.conn().text(&["DEL", "q"]);
    let pushed = work::push(server, "q", WORKFLOWS, 10, 8, Names::Equal);
    let done = work::work_off(server, "q", 100, 8, false);
    Cost { wall: pushed.wall + done.wall, cpu: pushed.cpu + done.cpu }
}

/// One task a round trip on 50 connections, against a list.
fn single(table: &mut Table) {
    const SOME: usize = 10_000;
    let server = Server::start(&[]);
    let (mut apart, mut joined) = (vec![], vec![]);
    for _ in 0..rounds() {
        let list = work::list(&server, SOME * CHAIN, 50);
        for (is_joined, ratios) in [(false, &mut apart), (true, &mut joined)] {
            server.conn().text(&["DEL", "q"]);
            work::push(&server, "q", SOME, 10, 8, Names::Equal);
            let ours = work::work_off(&server, "q", 1, 50, is_joined);
            ratios.push(list.wall / ours.wall);
        }
    }
    table.at_least("throughput one by one, times a list's", 1.0, median(&apart));
    table.at_least("the same, completion and next claim in one write", 1.0, median(&joined));
}

/// Size, save and load of an RDB file with 1M tasks, against a stream of 1M entries.
fn files(table: &mut Table) {
    let timed = |server: &Server, what: &[&str]| {
        let start = std::time::Instant::now();
        server.conn().text(what);
        start.elapsed().as_secs_f64()
    };
    let ours = Server::start(&["--rdbcompression", "yes"]);
    work::push(&ours, "q", WORKFLOWS, 10, 8, Names::Equal);
    let stream = Server::start(&["--rdbcompression", "yes"]);
    let mut conn = stream.conn();
    for message in 0..WORKFLOWS * CHAIN {
        conn.add(&[b"XADD", b"s", b"*", b"p", format!("{:07}", message % 10_000_000).as_bytes()]);
        if message % 1000 == 999 {
            conn.send();
            (0..1000).for_each(|_| conn.skip());
        }
    }
    let (mut saves, mut loads) = (vec![], vec![]);
    for _ in 0..rounds() {
        let save = timed(&ours, &["SAVE"]);
        let stream_save = timed(&stream, &["SAVE"]);
        saves.push(save / stream_save);
        let load = timed(&ours, &["DEBUG", "RELOAD", "NOSAVE"]);
        loads.push(load / timed(&stream, &["DEBUG", "RELOAD", "NOSAVE"]));
    }
    table.at_most("RDB bytes a task", 12.0, ours.file_size("dump.rdb") / tasks());
    table.at_most("seconds to save, times a stream's", 1.0, median(&saves));
    table.at_most("seconds to load, times a stream's", 1.0, median(&loads));
}

/// Server CPU with AOF everysec and one replica against without.
fn persisted(table: &mut Table) {
    let mut ratios = vec![];
    for _ in 0..rounds() {
        let plain = batch_once(&Server::start(&[]));
        let primary = Server::start(&["--appendonly", "yes", "--appendfsync", "everysec"]);
        let replica = Server::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
        while !replica.conn().text(&["INFO", "replication"]).contains("master_link_status:up") {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        ratios.push(batch_once(&primary).cpu / plain.cpu);
    }
    table.at_most("server CPU with AOF and a replica, times without", 1.5, median(&ratios));
}

/// 10M tasks: resident memory, and the cost of a task beside 100k.
fn large(table: &mut Table) {
    let cost_of = |server: &Server| {
        let mut conn = server.conn();
        let cpu = server.cpu();
        let mut tokens = vec![];
        for _ in 0..500 {
            conn.add(&[b"WF.CLAIM", b"q", b"w", b"COUNT", b"100"]);
            conn.send();
            conn.firsts(&mut tokens);
            conn.head(tokens.len() + 2);
            conn.arg(b"WF.COMPLETE");
            conn.arg(b"q");
            tokens.drain(..).for_each(|token| conn.arg(&token));
            conn.send();
            conn.skip();
        }
        (server.cpu() - cpu) / 50_000.0
    };
    let small = Server::start(&[]);
    work::push(&small, "q", WORKFLOWS / 10, 10, 8, Names::Equal);
    let few = cost_of(&small);
    let server = Server::start(&[]);
    work::push(&server, "q", WORKFLOWS * 10, 10, 8, Names::Equal);
    table.at_most(
        "MB resident with 10M tasks pending",
        256.0,
        server.info("memory", "used_memory_rss") / 1048576.0,
    );
    table.at_most("cost of a task with 10M pending, times with 100k", 1.3, cost_of(&server) / few);
}
