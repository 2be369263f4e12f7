//! A Redis Cluster of three primaries and nine spaces: the same work on the spaces of one of them, of
//! two, of all three.
//!
//! Each primary has one client, and both are pinned to one core, so that a pair is a machine of its
//! own as far as this machine has cores: primaries share nothing, and throughput adds up until the
//! cores are used up. On two cores that is at two primaries; of the third it can only be seen that
//! it does not make the work dearer. (Without pinning, a single pair spends most of its time waking
//! the other core, and two pairs have four times its throughput.)

use crate::documents::{CHAIN, Names, chain};
use crate::resp::Conn;
use crate::rounds;
use crate::server::{Server, pin_this_thread};
use crate::table::{Table, median};
use crate::work;
use std::time::{Duration, Instant};

const SLOTS: usize = 16_384;
const PRIMARIES: usize = 3;
const SPACES: usize = 9;
/// Chains a space.
const WORKFLOWS: usize = 10_000;

struct Cluster {
    primaries: Vec<Server>,
    /// The name of each space, and which primary has it.
    spaces: Vec<(String, usize)>,
}

impl Cluster {
    fn start() -> Cluster {
        let primaries: Vec<Server> = (0..PRIMARIES).map(|_| Server::start_in_cluster()).collect();
        let bounds: Vec<usize> = (0..=PRIMARIES).map(|place| SLOTS * place / PRIMARIES).collect();
        for (place, node) in primaries.iter().enumerate() {
            let (from, to) = (bounds[place].to_string(), (bounds[place + 1] - 1).to_string());
            node.conn().text(&["CLUSTER", "ADDSLOTSRANGE", &from, &to]);
            let (port, bus) = (primaries[0].port.to_string(), primaries[0].bus_port.to_string());
            if place > 0 {
                node.conn().text(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
            }
        }
        let ready = |node: &Server| node.conn().text(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
        let start = Instant::now();
        while !primaries.iter().all(ready) {
            assert!(start.elapsed() < Duration::from_secs(60), "the cluster does not form");
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut conn = primaries[0].conn();
        let mut homed = (0..).map(|number| {
            let name = format!("jobs{number}");
            let slot: usize = conn.text(&["CLUSTER", "KEYSLOT", &name]).parse().expect("a slot");
            let home = bounds.partition_point(|&bound| bound <= slot) - 1;
            (name, home)
        });
        let mut spaces = vec![];
        for place in 0..SPACES {
            spaces.extend(homed.by_ref().find(|(_, home)| *home == place % PRIMARIES));
        }
        drop(homed);
        Cluster { primaries, spaces }
    }

    /// Does `work` on the spaces of the first so many primaries, one client for each primary: spaces a
    /// second.
    fn run(&self, primaries: usize, work: fn(&mut Conn, &str)) -> f64 {
        let mut conns: Vec<Conn> = self.primaries[..primaries].iter().map(Server::conn).collect();
        self.primaries.iter().enumerate().for_each(|(place, node)| node.pin(place));
        let start = Instant::now();
        std::thread::scope(|scope| {
            for (place, conn) in conns.iter_mut().enumerate() {
                let spaces = self.spaces.iter().filter(move |(_, home)| *home == place);
                scope.spawn(move || {
                    pin_this_thread(place);
                    spaces.for_each(|(name, _)| work(conn, name));
                });
            }
        });
        (primaries * SPACES / PRIMARIES) as f64 / start.elapsed().as_secs_f64()
    }
}

/// Pushes, works off and removes one space.
fn work_through(conn: &mut Conn, space: &str) {
    let document = chain(Names::Equal);
    let (mut text, mut tokens) = (String::new(), Vec::new());
    for first in (0..WORKFLOWS).step_by(10) {
        for number in first..first + 10 {
            document(number, &mut text);
            conn.add(&[b"WF.PUSH", space.as_bytes(), text.as_bytes()]);
        }
        conn.send();
        (0..10).for_each(|_| conn.skip());
    }
    loop {
        conn.add(&[b"WF.CLAIM", space.as_bytes(), b"w", b"COUNT", b"100"]);
        conn.send();
        conn.firsts(&mut tokens);
        if tokens.is_empty() {
            break;
        }
        work::complete(conn, space, &tokens);
        conn.send();
        conn.skip();
        tokens.clear();
    }
    conn.text(&["DEL", space]);
}

/// The floor of what a client and a server exchange: as many SETs as there are tasks.
fn set_through(conn: &mut Conn, key: &str) {
    for _ in 0..WORKFLOWS * CHAIN / 100 {
        (0..100).for_each(|_| conn.add(&[b"SET", key.as_bytes(), b"1234567"]));
        conn.send();
        (0..100).for_each(|_| conn.skip());
    }
    conn.text(&["DEL", key]);
}

pub fn measure(table: &mut Table) {
    let cluster = Cluster::start();
    let mut speeds = vec![vec![]; PRIMARIES];
    let (mut ours, mut plain) = (vec![], vec![]);
    for _ in 0..rounds() {
        let several = [1, 2, 3].map(|primaries| cluster.run(primaries, work_through));
        for (speeds, speed) in speeds.iter_mut().zip(several) {
            speeds.push(speed * (WORKFLOWS * CHAIN) as f64);
        }
        ours.push(several[1] / several[0]);
        plain.push(cluster.run(2, set_through) / cluster.run(1, set_through));
    }
    for (place, speeds) in speeds.iter().enumerate() {
        table.note(&format!("tasks/s, primaries of a cluster at work: {}", place + 1), median(speeds));
    }
    table.note("SETs of 2 primaries, times those of 1: what the cores allow", median(&plain));
    table.note("tasks of 2 primaries, times those of 1", median(&ours));
    let ratios: Vec<f64> = ours.iter().zip(&plain).map(|(ours, plain)| ours / plain).collect();
    table.at_least("growth by a second primary, times what the cores allow", 0.9, median(&ratios));
}
