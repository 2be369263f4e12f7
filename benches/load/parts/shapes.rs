//! Workflows that are not chains: what one of their tasks costs in batches, beside a message of a
//! stream.

use crate::documents::{self, Document, Names};
use crate::server::Server;
use crate::table::{Table, median};
use crate::work::{self, Writes};
use crate::{reference, rounds};

/// About so many tasks of each kind.
const TASKS: usize = 200_000;

struct Kind {
    name: &'static str,
    document: Document,
    workflows: usize,
    tasks: usize,
}

fn kinds() -> Vec<Kind> {
    let tens = |name, document| Kind { name, document, workflows: TASKS / 10, tasks: TASKS };
    let recorded = documents::recorded();
    let in_one_round: usize = recorded.iter().map(|(_, tasks)| tasks).sum();
    let repeats = TASKS / in_one_round;
    let random = TASKS / 22;
    vec![
        tens("chains of ten", documents::chain(Names::Equal)),
        tens("chains of ten, names of their own", documents::chain(Names::Own)),
        tens("fans 1 to 8 to 1", documents::fan(Names::Equal, 8)),
        tens("three diamonds in a row", documents::diamonds()),
        Kind {
            name: "random DAGs, each of another shape",
            document: documents::random(),
            workflows: random,
            tasks: (0..random).map(documents::random_tasks).sum(),
        },
        Kind {
            name: "recorded workflows",
            workflows: recorded.len() * repeats,
            tasks: in_one_round * repeats,
            document: Box::new(move |number, out| {
                out.clear();
                out.push_str(&recorded[number % recorded.len()].0);
            }),
        },
    ]
}

pub fn measure(table: &mut Table) {
    let server = Server::start(&[]);
    let kinds = kinds();
    let mut ratios = vec![vec![]; kinds.len()];
    for _ in 0..rounds() {
        let message = reference::stream(&server, TASKS, 100, 8).cpu / TASKS as f64;
        for (kind, ratios) in kinds.iter().zip(&mut ratios) {
            server.conn().text(&["DEL", "q"]);
            let mut cost = work::push(&server, "q", kind.workflows, 8, &kind.document);
            cost += work::work_off(&server, "q", kind.tasks, 100, 8, Writes::Apart);
            ratios.push(cost.cpu / kind.tasks as f64 / message);
        }
    }
    for (kind, ratios) in kinds.iter().zip(&ratios) {
        table.note(
            &format!("server CPU of a task, {}, times a message of a stream", kind.name),
            median(ratios),
        );
    }
}
