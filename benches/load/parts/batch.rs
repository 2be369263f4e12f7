//! Push, claim, complete, 100 tasks a round trip on 8 connections, against a stream.

use super::{TASKS, WORKFLOWS};
use crate::documents::{CHAIN, Names, chain};
use crate::server::Server;
use crate::table::{Table, median};
use crate::work::{self, Cost, Writes};
use crate::{reference, rounds};

pub fn measure(table: &mut Table) {
    let server = Server::start(&[]);
    let (mut ratios, mut walls, mut pushes, mut works, mut streams) =
        (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..rounds() {
        let (push, work) = once(&server);
        let stream = reference::stream(&server, WORKFLOWS * CHAIN, 100, 8);
        ratios.push((push.cpu + work.cpu) / stream.cpu);
        walls.push(push.wall + work.wall);
        pushes.push(push.cpu * 1e6 / TASKS);
        works.push(work.cpu * 1e6 / TASKS);
        streams.push(stream.cpu * 1e6 / TASKS);
    }
    table.note("server us a task to push, batches of 100", median(&pushes));
    table.note("server us a task to claim and complete, batches of 100", median(&works));
    table.note("server us a message, stream, batches of 100", median(&streams));
    table.at_most("server CPU of batches, times a stream's", 0.4, median(&ratios));
    table.at_most("seconds for 1M tasks over 100k workflows, batches", 3.0, median(&walls));
}

/// A million tasks, pushed and worked off: what the two cost.
pub fn once(server: &Server) -> (Cost, Cost) {
    server.conn().text(&["DEL", "q"]);
    let pushed = work::push(server, "q", WORKFLOWS, 8, &chain(Names::Equal));
    let done = work::work_off(server, "q", WORKFLOWS * CHAIN, 100, 8, Writes::Apart);
    (pushed, done)
}
