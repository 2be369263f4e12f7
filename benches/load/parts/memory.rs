//! Bytes a task: pending, with names of its own, completed, and after everything is gone. Beside
//! each stands what `MEMORY USAGE` says, which a user would look at.

use super::{TASKS, WORKFLOWS};
use crate::documents::{CHAIN, Names, chain};
use crate::server::Server;
use crate::table::Table;
use crate::work::{self, Writes};

pub fn measure(table: &mut Table) {
    for (names, what, goal) in [
        (Names::Equal, "bytes a task, pending, equal shapes", 18.0),
        (Names::Own, "bytes a task, pending, names of its own", 64.0),
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
        table.at_most("MB left after everything was removed", 1.0, left);
    }
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
