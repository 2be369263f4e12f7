//! `WF.GRAPH`: a workflow as a drawing, in the language of Graphviz or of Mermaid.

use super::args::Args;
use super::call::{Call, CommandError};
use super::drawing::{Language, draw};
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::engine::ids::Id;

#[linkme::distributed_slice(COMMANDS)]
static GRAPH: Spec = Spec {
    name: "WF.GRAPH",
    place: 93,
    summary: "Draws a workflow: the DAG with the tasks' states as colours",
    complexity: "O(N + E) for N tasks and E edges",
    since: "0.1.0",
    arity: -3,
    access: Access::Read,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[
        Arg::text("id", "the workflow"),
        Arg::one_of(
            "language",
            &[
                Arg::flag("DOT", "for Graphviz; the default"),
                Arg::flag("MERMAID", "for Mermaid, as Markdown viewers draw it"),
            ],
            "the language of the drawing",
        )
        .optional(),
    ],
    page: Page {
        about: "One line a task and one line an edge, tasks in push order. A task is called `t` and its place from 0, and shows its name; characters that are special to the language are written as it wants them, bytes that are not printable text as escapes such as `\\n` and `\\xff`, so that any name is drawn as text and as nothing else.\n\nWaiting is grey, delayed violet, ready yellow, running blue, completed green, failed red, skipped white and cancelled dark grey, skipped and cancelled with a dashed line. A task that waits for a signal is a hexagon. Mermaid draws 500 edges and 50,000 characters unless it is configured to draw more.",
        replies: &[
            ("null", "there is no such workflow"),
            ("text", "the drawing, with a line feed at the end of each line"),
        ],
        errors: &[
            ("ERR", "the language is not known"),
            (
                "LIMIT",
                "the workflow has more than `workflow.max-count` tasks or ten times as many edges, which nobody could look at; WF.GET shows its tasks in pages",
            ),
        ],
        replicated: "Nothing.",
        example: "$ redis-cli --raw WF.GRAPH jobs 1\ndigraph \"1\" {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\"];\n  t0 [label=\"extract\", fillcolor=\"#a3cfbb\", tooltip=\"completed\"];\n  t1 [label=\"load\", fillcolor=\"#9ec5fe\", tooltip=\"running\"];\n  t0 -> t1;\n}",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = Args(call.args);
    let id = args.required()?;
    let language = match (args.keyword("DOT"), args.keyword("MERMAID")) {
        (true, true) => return Err(CommandError::Excludes("DOT", "MERMAID")),
        (_, false) => Language::Dot,
        (false, true) => Language::Mermaid,
    };
    args.end()?;
    let most = call.settings.max_count;
    let mut reply = std::mem::take(&mut call.out.reply);
    let shown =
        call.space().and_then(|space| match space.and_then(|space| Some((space, space.find(Id::of(id))?))) {
            None => {
                reply.null();
                Ok(())
            }
            Some((space, slot)) => {
                let shape = &space.workflow(slot).1.shape;
                is_drawable("tasks", shape.len(), most)?;
                is_drawable("edges", shape.edges(), most * EDGES_A_TASK)?;
                reply.bulk(draw(space, slot, language).as_bytes());
                Ok(())
            }
        });
    call.out.reply = reply;
    shown
}

/// Edges that are drawn, for each task that may be drawn.
const EDGES_A_TASK: u64 = 10;

fn is_drawable(what: &'static str, count: usize, most: u64) -> Result<(), CommandError> {
    let count = count as u64;
    if count > most { Err(CommandError::NotDrawn(what, count, most)) } else { Ok(()) }
}
