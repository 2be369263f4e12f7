//! One task a round trip on 50 connections, against a list.

use crate::documents::{CHAIN, Names, chain};
use crate::server::Server;
use crate::table::{Table, median};
use crate::work::{self, Cost, Writes};
use crate::{reference, rounds};

const WORKFLOWS: usize = 10_000;

pub fn measure(table: &mut Table) {
    const TASKS: usize = WORKFLOWS * CHAIN;
    let server = Server::start(&[]);
    let (mut lists, mut apart, mut joined) = (vec![], vec![], vec![]);
    for _ in 0..rounds() {
        lists.push(reference::list(&server, TASKS, 50));
        for (writes, costs) in [(Writes::Apart, &mut apart), (Writes::Joined, &mut joined)] {
            server.conn().text(&["DEL", "q"]);
            work::push(&server, "q", WORKFLOWS, 8, &chain(Names::Equal));
            costs.push(work::work_off(&server, "q", TASKS, 1, 50, writes));
        }
    }
    let times_a_lists = |ours: &[Cost]| {
        median(&lists.iter().zip(ours).map(|(list, ours)| list.wall / ours.wall).collect::<Vec<_>>())
    };
    table.at_least("throughput one by one, times a list's", 1.0, times_a_lists(&apart));
    table.at_least("the same with completion and next claim in one write", 1.0, times_a_lists(&joined));
    for (what, costs) in [
        ("a list, one by one", &lists),
        ("one by one", &apart),
        ("one by one, completion and next claim in one write", &joined),
    ] {
        let speeds: Vec<f64> = costs.iter().map(|cost| TASKS as f64 / cost.wall).collect();
        let times: Vec<f64> = costs.iter().map(|cost| cost.cpu * 1e6 / TASKS as f64).collect();
        table.note(&format!("tasks/s, {what}"), median(&speeds));
        table.note(&format!("server us a task, {what}"), median(&times));
    }
}
