//! How long a child takes to reach a worker that waits for it, from the completion of its parent,
//! while others keep the server busy; beside a PING at the same time.
//!
//! One thread is both workers: it sends the completion and reads the child from the connection that
//! waits, so that both times hold one wake-up of this program and no more.

use crate::documents::{CHAIN, Names, chain};
use crate::resp::Conn;
use crate::rounds;
use crate::server::Server;
use crate::table::{Table, median, percentile};
use crate::work;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

const SAMPLES: usize = 5_000;
/// Connections that keep the server busy.
const BUSY: usize = 8;
const PAIR: &str = r#"{"tasks":[{"name":"a","type":"a"},{"name":"b","type":"b","parents":["a"]}]}"#;

/// Microseconds, each as often as it was measured.
#[derive(Default)]
struct Times {
    handover: Vec<f64>,
    ping: Vec<f64>,
}

pub fn measure(table: &mut Table) {
    let server = Server::start(&[]);
    let (mut ratios, mut all) = (vec![], Times::default());
    for _ in 0..rounds() {
        let times = under_load(&server);
        ratios.push(percentile(&times.handover, 99.0) / percentile(&times.ping, 99.0));
        all.handover.extend(times.handover);
        all.ping.extend(times.ping);
    }
    for percent in [50.0, 75.0, 90.0, 95.0, 99.0] {
        table.point("us to hand over a child", percent, percentile(&all.handover, percent));
        table.point("us of a PING", percent, percentile(&all.ping, percent));
    }
    table.note("us of a PING under load, p99", percentile(&all.ping, 99.0));
    table.note("us from completion to the waiting worker, p50", percentile(&all.handover, 50.0));
    table.note("us from completion to the waiting worker, p99", percentile(&all.handover, 99.0));
    table.at_most("time from completion to the waiting worker, p99, times a PING's", 3.0, median(&ratios));
}

fn under_load(server: &Server) -> Times {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..BUSY {
            let over = &over;
            let mut conn = server.conn();
            scope.spawn(move || keep_busy(&mut conn, number, over));
        }
        let times = sample(server);
        over.store(true, Relaxed);
        times
    })
}

/// Pushes a chain and works it off one task at a time, over and over.
fn keep_busy(conn: &mut Conn, number: usize, over: &AtomicBool) {
    let document = chain(Names::Equal);
    let key = format!("busy{number}");
    let (mut text, mut tokens) = (String::new(), Vec::new());
    while !over.load(Relaxed) {
        document(number, &mut text);
        conn.add(&[b"WF.PUSH", key.as_bytes(), text.as_bytes()]);
        conn.send();
        let id = conn.reply_bytes();
        for _ in 0..CHAIN {
            conn.add(&[b"WF.CLAIM", key.as_bytes(), b"w"]);
            conn.send();
            conn.firsts(&mut tokens);
            work::complete(conn, &key, &tokens);
            conn.send();
            conn.skip();
            tokens.clear();
        }
        conn.add(&[b"WF.DELETE", key.as_bytes(), &id]);
        conn.send();
        conn.skip();
    }
}

fn sample(server: &Server) -> Times {
    let (mut giver, mut taker) = (server.conn(), server.conn());
    let (mut times, mut tokens) = (Times::default(), Vec::new());
    giver.text(&["DEL", "pairs"]);
    for _ in 0..SAMPLES {
        taker.add(&[b"WF.CLAIM", b"pairs", b"taker", b"TYPES", b"1", b"b", b"BLOCK", b"0"]);
        taker.send();
        // By the time these two are answered, the claim before them waits.
        giver.text(&["WF.PUSH", "pairs", PAIR]);
        giver.add(&[b"WF.CLAIM", b"pairs", b"giver", b"TYPES", b"1", b"a"]);
        giver.send();
        giver.firsts(&mut tokens);

        work::complete(&mut giver, "pairs", &tokens);
        tokens.clear();
        let start = Instant::now();
        giver.send();
        taker.firsts(&mut tokens);
        times.handover.push(start.elapsed().as_secs_f64() * 1e6);
        giver.skip();
        work::complete(&mut taker, "pairs", &tokens);
        tokens.clear();
        taker.send();
        taker.skip();

        giver.add(&[b"PING"]);
        let start = Instant::now();
        giver.send();
        giver.skip();
        times.ping.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times
}
