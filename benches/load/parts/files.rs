//! Size, save and load of an RDB file with 1M tasks, against a stream of 1M entries.

use super::{TASKS, WORKFLOWS};
use crate::documents::{CHAIN, Names, chain};
use crate::server::Server;
use crate::table::{Table, median};
use crate::{rounds, work};
use std::time::Instant;

pub fn measure(table: &mut Table) {
    let ours = Server::start(&["--rdbcompression", "yes"]);
    work::push(&ours, "q", WORKFLOWS, 8, &chain(Names::Equal));
    let stream = Server::start(&["--rdbcompression", "yes"]);
    fill(&stream);
    let (mut save_ratios, mut load_ratios, mut saves, mut loads) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds() {
        let save = timed(&ours, &["SAVE"]);
        save_ratios.push(save / timed(&stream, &["SAVE"]));
        let load = timed(&ours, &["DEBUG", "RELOAD", "NOSAVE"]);
        load_ratios.push(load / timed(&stream, &["DEBUG", "RELOAD", "NOSAVE"]));
        saves.push(save);
        loads.push(load);
    }
    table.at_most("RDB bytes a task", 12.0, ours.file_size("dump.rdb") / TASKS);
    table.note("seconds to save 1M tasks", median(&saves));
    table.at_most("seconds to save, times a stream's", 1.0, median(&save_ratios));
    table.note("seconds to load 1M tasks", median(&loads));
    table.at_most("seconds to load, times a stream's", 1.0, median(&load_ratios));
}

fn fill(server: &Server) {
    let mut conn = server.conn();
    for message in 0..WORKFLOWS * CHAIN {
        conn.add(&[b"XADD", b"s", b"*", b"p", format!("{:07}", message % 10_000_000).as_bytes()]);
        if message % 1000 == 999 {
            conn.send();
            (0..1000).for_each(|_| conn.skip());
        }
    }
}

fn timed(server: &Server, what: &[&str]) -> f64 {
    let start = Instant::now();
    server.conn().text(what);
    start.elapsed().as_secs_f64()
}
