//! What was measured: a table with goal, figure and verdict for people, and the same with the points
//! of the plots as CSV for programs.

use std::fmt::Write;

/// Everything that was measured, in order.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    /// Set for a point of a plot: its place on the other axis.
    at: Option<f64>,
    goal: String,
    measured: f64,
    verdict: &'static str,
}

impl Table {
    /// A figure that must not exceed its goal.
    pub fn at_most(&mut self, what: &str, goal: f64, measured: f64) {
        self.line(what, format!("<= {goal}"), measured, if measured <= goal { "met" } else { "missed" });
    }

    /// A figure that must reach its goal.
    pub fn at_least(&mut self, what: &str, goal: f64, measured: f64) {
        self.line(what, format!(">= {goal}"), measured, if measured >= goal { "met" } else { "missed" });
    }

    /// A figure without a goal.
    pub fn note(&mut self, what: &str, measured: f64) {
        self.line(what, String::new(), measured, "");
    }

    /// A point of a plot; not in the printed table.
    pub fn point(&mut self, what: &str, at: f64, measured: f64) {
        eprintln!("{what} at {at}: {}", short(measured));
        let row = Row { what: what.into(), at: Some(at), goal: String::new(), measured, verdict: "" };
        self.rows.push(row);
    }

    fn line(&mut self, what: &str, goal: String, measured: f64, verdict: &'static str) {
        eprintln!("{what}: {}", short(measured));
        self.rows.push(Row { what: what.into(), at: None, goal, measured, verdict });
    }

    /// The lines as a table in Markdown.
    pub fn markdown(&self) -> String {
        let mut out = String::from("| what | goal | measured | |\n|---|---|---|---|\n");
        for Row { what, goal, measured, verdict, .. } in self.rows.iter().filter(|row| row.at.is_none()) {
            let _ = writeln!(out, "| {what} | {goal} | {} | {verdict} |", short(*measured));
        }
        out
    }

    /// Everything as CSV; no text in it has a quotation mark.
    pub fn csv(&self) -> String {
        let mut out = String::from("what,at,measured,goal,verdict\n");
        for Row { what, at, goal, measured, verdict } in &self.rows {
            let at = at.map_or_else(String::new, |at| at.to_string());
            let _ = writeln!(out, "\"{what}\",{at},{measured:.6},{goal},{verdict}");
        }
        out
    }
}

fn short(figure: f64) -> String {
    let digits = if figure >= 100.0 { 0 } else { 2 };
    format!("{figure:.digits$}")
}

/// The middle of some figures.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The figure that so many in a hundred do not exceed.
pub fn percentile(figures: &[f64], percent: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1]
}
