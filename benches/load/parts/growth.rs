//! How cost grows with work: the points of the plots, from 10,000 tasks to 10 million.

use super::large::cost_of_some;
use crate::documents::{CHAIN, Names, chain};
use crate::server::Server;
use crate::table::Table;
use crate::work::{self, Writes};

const SIZES: [usize; 7] = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000];

pub fn measure(table: &mut Table) {
    for tasks in SIZES {
        let at = tasks as f64;
        let server = Server::start(&[]);
        let before = server.used_memory();
        // Few tasks are over too soon to be timed: they are pushed and worked off until it adds up.
        let times = (1_000_000 / tasks).max(1);
        let (mut push, mut work) = (work::Cost::default(), work::Cost::default());
        for _ in 0..times {
            server.conn().text(&["DEL", "q"]);
            push += work::push(&server, "q", tasks / CHAIN, 8, &chain(Names::Equal));
            if times == 1 {
                table.point("bytes a pending task", at, (server.used_memory() - before) / at);
                table.point("server us to claim and complete a task", at, cost_of_some(&server) * 1e6);
            }
            let left = if times == 1 { tasks - 25_000 } else { tasks };
            work += work::work_off(&server, "q", left, 100, 8, Writes::Apart);
        }
        if times > 1 {
            server.conn().text(&["DEL", "q"]);
            work::push(&server, "q", tasks / CHAIN, 8, &chain(Names::Equal));
            table.point("bytes a pending task", at, (server.used_memory() - before) / at);
        }
        let all = at * times as f64;
        table.point("tasks/s pushed", at, all / push.wall);
        table.point("tasks/s claimed and completed", at, all / work.wall);
        table.point("tasks/s from push to completion", at, all / (push.wall + work.wall));
        table.point("server us to push a task", at, push.cpu * 1e6 / all);
    }
}
