//! How cost grows with work: the points of the plots, from 10,000 tasks to 10 million.

use crate::documents::{CHAIN, Names, chain};
use crate::server::Server;
use crate::table::Table;
use crate::work::{self, Cost, Writes};

const SIZES: [usize; 7] = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000];

/// Few tasks are over too soon to be timed: they are pushed and worked off until it adds up to this.
const ENOUGH: usize = 1_000_000;

pub fn measure(table: &mut Table) {
    for tasks in SIZES {
        let server = Server::start(&[]);
        let before = server.used_memory();
        let (mut push, mut work, mut bytes) = (Cost::default(), Cost::default(), 0.0);
        let times = (ENOUGH / tasks).max(1);
        for _ in 0..times {
            server.conn().text(&["DEL", "q"]);
            push += work::push(&server, "q", tasks / CHAIN, 8, &chain(Names::Equal));
            bytes = server.used_memory() - before;
            work += work::work_off(&server, "q", tasks, 100, 8, Writes::Apart);
        }
        let (at, all) = (tasks as f64, (tasks * times) as f64);
        table.point("bytes a pending task", at, bytes / at);
        table.point("tasks/s pushed", at, all / push.wall);
        table.point("tasks/s claimed and completed", at, all / work.wall);
        table.point("tasks/s from push to completion", at, all / (push.wall + work.wall));
        table.point("server us to push a task", at, push.cpu * 1e6 / all);
        table.point("server us to claim and complete a task", at, work.cpu * 1e6 / all);
    }
}
