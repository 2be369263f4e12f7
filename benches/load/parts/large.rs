//! 10M tasks: resident memory at its highest while they are pushed, and the cost of a task beside
//! 100k.

use super::WORKFLOWS;
use crate::documents::{Names, chain};
use crate::server::Server;
use crate::table::{Table, median};
use crate::{rounds, work};

pub fn measure(table: &mut Table) {
    let fill = |server: &Server, workflows: usize| {
        server.conn().text(&["DEL", "q"]);
        work::push(server, "q", workflows, 8, &chain(Names::Equal));
    };
    let (small, large) = (Server::start(&[]), Server::start(&[]));
    fill(&large, WORKFLOWS * 10);
    table.at_most(
        "MB resident while 10M tasks were pushed, at most",
        256.0,
        large.peak_resident() / 1048576.0,
    );
    table.at_most("MB resident with 10M tasks pending", 256.0, large.resident() / 1048576.0);
    let mut ratios = vec![];
    for _ in 0..rounds() {
        fill(&small, WORKFLOWS / 10);
        let few = cost_of_some(&small);
        let many = cost_of_some(&large);
        ratios.push(many / few);
    }
    table.at_most("cost of a task with 10M pending, times with 100k", 1.3, median(&ratios));
}

/// Seconds of the server's processor time to claim and complete a task, over 25,000 of them.
fn cost_of_some(server: &Server) -> f64 {
    const TURNS: usize = 250;
    let mut conn = server.conn();
    let cpu = server.cpu();
    let mut tokens = vec![];
    for _ in 0..TURNS {
        conn.add(&[b"WF.CLAIM", b"q", b"w", b"COUNT", b"100"]);
        conn.send();
        conn.firsts(&mut tokens);
        work::complete(&mut conn, "q", &tokens);
        conn.send();
        conn.skip();
        tokens.clear();
    }
    (server.cpu() - cpu) / (TURNS * 100) as f64
}
