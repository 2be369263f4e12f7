//! Wide workflows: whether an edge costs the same in a large one as in a small one. Every workflow
//! has names of its own, so none is recognised; one connection, so that nobody asks in vain.

use crate::documents::{Document, Names, bipartite, fan};
use crate::rounds;
use crate::server::Server;
use crate::table::{Table, median};
use crate::work::{self, Writes};

/// About so many edges are measured of each size.
const EDGES: usize = 200_000;

/// What may make an edge dearer in a workflow a hundred times the size: caches, and a logarithm of
/// the queue. An edge that cost as much as there are edges would show as 16 or more.
const LINEAR: f64 = 1.5;

struct Size {
    width: usize,
    edges: usize,
    tasks: usize,
    document: Document,
}

pub fn measure(table: &mut Table) {
    let fans = [100, 1_000, 10_000].map(|width| Size {
        width,
        edges: width * 2,
        tasks: width + 2,
        document: fan(Names::Own, width),
    });
    compare(table, "1 to n to 1", &fans);
    let joins = [25, 50, 100].map(|side| Size {
        width: side,
        edges: side * side,
        tasks: side * 2,
        document: bipartite(Names::Own, side),
    });
    compare(table, "n by n, all with all", &joins);
}

fn compare(table: &mut Table, what: &str, sizes: &[Size; 3]) {
    let server = Server::start(&[]);
    let mut costs = vec![vec![]; sizes.len()];
    for _ in 0..rounds() {
        for (size, costs) in sizes.iter().zip(&mut costs) {
            let workflows = EDGES / size.edges;
            server.conn().text(&["DEL", "q"]);
            let mut cost = work::push(&server, "q", workflows, 1, &size.document);
            cost += work::work_off(&server, "q", workflows * size.tasks, 100, 1, Writes::Apart);
            costs.push(cost.cpu * 1e6 / (workflows * size.edges) as f64);
        }
    }
    for (size, costs) in sizes.iter().zip(&costs) {
        table.note(&format!("server us an edge, {what}, n = {}", size.width), median(costs));
    }
    let ratios: Vec<f64> = costs[2].iter().zip(&costs[0]).map(|(large, small)| large / small).collect();
    let (small, large) = (sizes[0].width, sizes[2].width);
    table.at_most(&format!("an edge, {what}, n = {large}, times n = {small}"), LINEAR, median(&ratios));
}
