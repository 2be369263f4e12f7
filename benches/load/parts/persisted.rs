//! Server CPU with AOF everysec and one replica against without, and what goes over the wire.

use super::{TASKS, batch};
use crate::rounds;
use crate::server::Server;
use crate::table::{Table, median};

pub fn measure(table: &mut Table) {
    let (mut ratios, mut wires) = (vec![], vec![]);
    for _ in 0..rounds() {
        let plain = cpu(&Server::start(&[]));
        let primary = Server::start(&["--appendonly", "yes", "--appendfsync", "everysec"]);
        let replica = Server::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
        while !replica.conn().text(&["INFO", "replication"]).contains("master_link_status:up") {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let sent = primary.info("replication", "master_repl_offset");
        ratios.push(cpu(&primary) / plain);
        wires.push((primary.info("replication", "master_repl_offset") - sent) / TASKS);
    }
    table.at_most("server CPU with AOF and a replica, times without", 1.5, median(&ratios));
    table.note("bytes a task to the AOF and to each replica, whole life", median(&wires));
}

fn cpu(server: &Server) -> f64 {
    let (push, work) = batch::once(server);
    push.cpu + work.cpu
}
