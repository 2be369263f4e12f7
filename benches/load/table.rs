//! The table that is printed: goal, measured, verdict.

/// Lines of the table.
#[derive(Default)]
pub struct Table {
    lines: Vec<(String, String, String, &'static str)>,
}

impl Table {
    /// A figure that must not exceed its goal.
    pub fn at_most(&mut self, what: &str, goal: f64, measured: f64) {
        self.add(what, format!("<= {goal}"), measured, if measured <= goal { "met" } else { "missed" });
    }

    /// A figure that must reach its goal.
    pub fn at_least(&mut self, what: &str, goal: f64, measured: f64) {
        self.add(what, format!(">= {goal}"), measured, if measured >= goal { "met" } else { "missed" });
    }

    /// A figure without a goal.
    pub fn note(&mut self, what: &str, measured: f64) {
        self.add(what, String::new(), measured, "");
    }

    fn add(&mut self, what: &str, goal: String, measured: f64, verdict: &'static str) {
        let digits = if measured >= 100.0 { 0 } else { 2 };
        let measured = format!("{measured:.digits$}");
        eprintln!("{what}: {measured}");
        self.lines.push((what.to_owned(), goal, measured, verdict));
    }

    /// Prints everything.
    pub fn print(&self) {
        println!("| what | goal | measured | |\n|---|---|---|---|");
        for (what, goal, measured, verdict) in &self.lines {
            println!("| {what} | {goal} | {measured} | {verdict} |");
        }
    }
}

/// The middle of some figures.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
