//! One task a round trip on 50 connections, against a list.

use crate::documents::{CHAIN, Names, chain};
use crate::server::Server;
use crate::table::{Table, median};
use crate::work::{self, Writes};
use crate::{reference, rounds};

const WORKFLOWS: usize = 10_000;

pub fn measure(table: &mut Table) {
    let server = Server::start(&[]);
    let (mut apart, mut joined, mut speeds) = (vec![], vec![], vec![]);
    for _ in 0..rounds() {
        let list = reference::list(&server, WORKFLOWS * CHAIN, 50);
        for (writes, ratios) in [(Writes::Apart, &mut apart), (Writes::Joined, &mut joined)] {
            server.conn().text(&["DEL", "q"]);
            work::push(&server, "q", WORKFLOWS, 8, &chain(Names::Equal));
            let ours = work::work_off(&server, "q", WORKFLOWS * CHAIN, 1, 50, writes);
            ratios.push(list.wall / ours.wall);
            if writes == Writes::Joined {
                speeds.push((WORKFLOWS * CHAIN) as f64 / ours.wall);
            }
        }
    }
    table.at_least("throughput one by one, times a list's", 1.0, median(&apart));
    table.at_least("the same, completion and next claim in one write", 1.0, median(&joined));
    table.note("tasks/s of the latter", median(&speeds));
}
