//! A workflow in the languages of Graphviz and Mermaid.
//!
//! Nodes are called by their places, so names stand in labels only, and there they must be nothing but
//! text. What each language makes of a label was read from its rules:
//!
//! - Graphviz ends a quoted text at `"`, takes `\n`, `\N` and the like as its own, and resolves HTML
//!   entities: so quotes and backslashes get a backslash, and `&` is written as an entity.
//! - Mermaid has entities of its own, `#35;`, which it resolves last, after Markdown, HTML and its
//!   comments and directives. Whatever is neither letter nor digit is written as one, but for space,
//!   `-`, `_` and `.` between two of these, where they mean nothing. Words of its grammar, such as
//!   `end`, mean nothing in quotes. Only the signs that it puts in place of entities while it works (`ﬂ°` and `¶ß`)
//!   it takes for its own whoever wrote them; what comes of them is a character, never markup.

use super::words::printable;
use crate::engine::edge::On;
use crate::engine::space::Space;
use crate::engine::state::TaskState;
use crate::engine::units::{Slot, TaskRef};
use std::fmt::Write;

/// The language of a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Graphviz.
    Dot,
    /// Mermaid.
    Mermaid,
}

/// The colour of a state. All are light, for black letters.
fn colour(state: TaskState) -> &'static str {
    match state {
        TaskState::Waiting => "#e9ecef",
        TaskState::Delayed => "#d0bfff",
        TaskState::Ready => "#ffe69c",
        TaskState::Running => "#9ec5fe",
        TaskState::Completed => "#a3cfbb",
        TaskState::Failed => "#f1aeb5",
        TaskState::Skipped => "#ffffff",
        TaskState::Cancelled => "#adb5bd",
    }
}

/// Whether nothing came of a task in this state, which a dashed line says.
fn dashed(state: TaskState) -> bool {
    matches!(state, TaskState::Skipped | TaskState::Cancelled)
}

/// The workflow, a line a task and a line an edge.
pub fn draw(space: &Space, slot: Slot, language: Language) -> String {
    match language {
        Language::Dot => dot(space, slot),
        Language::Mermaid => mermaid(space, slot),
    }
}

// Writing into a String cannot fail.

fn dot(space: &Space, slot: Slot) -> String {
    let mut id = Vec::new();
    space.id_of(slot).write(&mut id);
    let mut out = format!("digraph \"{}\" {{\n  rankdir=LR;\n", dot_text(&id));
    out.push_str("  node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\"];\n");
    for task in space.tasks_of(slot) {
        let (name, state) = (dot_text(name_of(space, task)), space.state_of(task));
        let style = match (space.is_signal(task), dashed(state)) {
            (false, false) => "",
            (false, true) => ", style=\"rounded,filled,dashed\"",
            (true, false) => ", shape=hexagon, style=filled",
            (true, true) => ", shape=hexagon, style=\"filled,dashed\"",
        };
        let (place, colour, state) = (task.index.0, colour(state), state.name());
        let _ = writeln!(
            out,
            "  t{place} [label=\"{name}\", fillcolor=\"{colour}\"{style}, tooltip=\"{state}\"];"
        );
    }
    edges(space, slot, |parent, child, on| {
        let _ = match on {
            On::Success => writeln!(out, "  t{parent} -> t{child};"),
            _ => writeln!(out, "  t{parent} -> t{child} [style=dashed, label=\"{}\"];", on.name()),
        };
    });
    out.push_str("}\n");
    out
}

fn mermaid(space: &Space, slot: Slot) -> String {
    let mut out = "flowchart LR\n".to_owned();
    let mut seen = [false; TaskState::ALL.len()];
    for task in space.tasks_of(slot) {
        let (name, state) = (mermaid_text(name_of(space, task)), space.state_of(task));
        seen[state as usize] = true;
        let (open, close) = if space.is_signal(task) { ("{{", "}}") } else { ("[", "]") };
        let _ = writeln!(out, "  t{}{open}\"{name}\"{close}:::{}", task.index.0, state.name());
    }
    edges(space, slot, |parent, child, on| {
        let _ = match on {
            On::Success => writeln!(out, "  t{parent} --> t{child}"),
            _ => writeln!(out, "  t{parent} -. {} .-> t{child}", on.name()),
        };
    });
    for state in TaskState::ALL.into_iter().filter(|&state| seen[state as usize]) {
        let line = if dashed(state) { ",stroke-dasharray:4 4" } else { "" };
        let (name, fill) = (state.name(), colour(state));
        let _ = writeln!(out, "  classDef {name} fill:{fill},stroke:#495057,color:#000{line}");
    }
    out
}

/// All edges, by child.
fn edges(space: &Space, slot: Slot, mut edge: impl FnMut(u32, u32, On)) {
    let shape = &space.workflow(slot).1.shape;
    for child in shape.indexes() {
        shape.parents(child).for_each(|parent| edge(parent.0, child.0, shape.condition(parent, child)));
    }
}

fn name_of(space: &Space, task: TaskRef) -> &[u8] {
    space.workflow(task.slot).1.shape.name(task.index)
}

/// A text between the quotes of Graphviz.
fn dot_text(bytes: &[u8]) -> String {
    printable(bytes).replace('\\', "\\\\").replace('"', "\\\"").replace('&', "&amp;")
}

/// A text between the quotes of Mermaid.
fn mermaid_text(bytes: &[u8]) -> String {
    let letters: Vec<char> = printable(bytes).chars().collect();
    let is_word = |place: usize| letters.get(place).is_some_and(|letter| letter.is_alphanumeric());
    let mut out = String::with_capacity(letters.len());
    for (place, &letter) in letters.iter().enumerate() {
        let inside = place > 0 && is_word(place - 1) && is_word(place + 1);
        if letter.is_alphanumeric() || inside && matches!(letter, ' ' | '-' | '_' | '.') {
            out.push(letter);
        } else {
            let _ = write!(out, "#{};", u32::from(letter));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_nothing_but_text() {
        for (name, in_dot, in_mermaid) in [
            ("extract-orders_v1.2 ä", "extract-orders_v1.2 ä", "extract-orders_v1.2 ä"),
            (r#"say "hi" \N"#, r#"say \"hi\" \\\\N"#, "say#32;#34;hi#34;#32;#92;#92;N"),
            ("a<b>&amp;", "a<b>&amp;amp;", "a#60;b#62;#38;amp#59;"),
            ("a\nb", r"a\\nb", "a#92;nb"),
            ("#35;", "#35;", "#35;35#59;"),
            ("`x` **y** 1. z", "`x` **y** 1. z", "#96;x#96;#32;#42;#42;y#42;#42;#32;1#46;#32;z"),
            ("%%{init}%%", "%%{init}%%", "#37;#37;#123;init#125;#37;#37;"),
            ("end", "end", "end"),
        ] {
            assert_eq!(dot_text(name.as_bytes()), in_dot);
            assert_eq!(mermaid_text(name.as_bytes()), in_mermaid);
        }
        assert_eq!(dot_text(b"\xff\0"), r"\\xff\\0");
        assert_eq!(mermaid_text(b"\xff\0"), "#92;xff#92;0");
    }
}
