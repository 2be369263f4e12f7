//! Bytes a task: pending, with names of its own, completed, and after everything is gone. Beside
//! each stands what `MEMORY USAGE` says, which a user would look at.

use super::{TASKS, WORKFLOWS};
use crate::documents::{CHAIN, Names, chain};
use crate::server::Server;
use crate::table::Table;
use crate::work::{self, Writes};

pub fn measure(table: &mut Table) {
    for (names, what, goal, whose) in [
        (Names::Equal, "bytes a task, pending, equal shapes", 18.0, "workflows of equal shapes"),
        (Names::Own, "bytes a task, pending, names of its own", 64.0, "workflows with names of their own"),
    ] {
        let server = Server::start(&[]);
        let before = server.used_memory();
        let weigh = |table: &mut Table, what: &str, goal| {
            table.at_most(what, goal, (server.used_memory() - before) / TASKS);
            let usage = server.conn().text(&["MEMORY", "USAGE", "q"]);
            table.note(&format!("{what}, by MEMORY USAGE"), usage.parse().unwrap_or(0.0) / TASKS);
        };
        work::push(&server, "q", WORKFLOWS, 8, &chain(names));
        weigh(table, what, goal);
        if names == Names::Equal {
            work::work_off(&server, "q", WORKFLOWS * CHAIN, 100, 8, Writes::Apart);
            weigh(table, "bytes a task, completed and kept with times", 32.0);
        }
        delete_all(&server);
        let left = (server.used_memory() - before) / 1e6;
        table.at_most(&format!("MB left after removing {whose}"), 1.0, left);
    }
    small_spaces(table);
}

/// What a space costs that holds next to nothing: a thousand of them, each with one chain.
fn small_spaces(table: &mut Table) {
    const SPACES: usize = 1_000;
    let server = Server::start(&[]);
    let mut conn = server.conn();
    let mut document = String::new();
    chain(Names::Equal)(0, &mut document);
    conn.text(&["WF.PUSH", "first", &document]);
    let before = server.used_memory();
    for number in 0..SPACES {
        conn.text(&["WF.PUSH", &format!("q{number}"), &document]);
    }
    table.note("bytes of a space with one chain", (server.used_memory() - before) / SPACES as f64);
}

fn delete_all(server: &Server) {
    let mut conn = server.conn();
    for first in (1..=WORKFLOWS).step_by(1000) {
        conn.head(1002);
        conn.arg(b"WF.DELETE");
        conn.arg(b"q");
        (first..first + 1000).for_each(|id| conn.arg(id.to_string().as_bytes()));
        conn.send();
        conn.skip();
    }
}
