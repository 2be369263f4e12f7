//! The load generator behind `make bench`: what the module costs, beside what a plain stream and a
//! plain list cost on the same server in the same minute.
//!
//! `BENCH_ROUNDS` rounds (default 3) of each speed measurement, interleaved with their reference;
//! medians are printed. Arguments choose parts by name; `full` stands for all of them. `BENCH_CSV`
//! names a file for the same figures, and the points of the plots, as CSV. Only servers that it
//! started on this machine are loaded.
//!
//! | file | idea |
//! |---|---|
//! | `parts` | what is measured, one file a question |
//! | `documents` | the workflows that are pushed |
//! | `work` | pushing and working off, over many connections |
//! | `reference` | the same through a stream and a list |
//! | `server`, `resp` | a throwaway server, a connection to it |
//! | `table` | goal, measured, verdict |

mod documents;
mod parts;
mod reference;
mod resp;
mod server;
mod table;
mod work;

use parts::{PARTS, When};
use table::Table;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let full = wanted.iter().any(|arg| arg == "full");
    let unknown = wanted.iter().find(|arg| *arg != "full" && PARTS.iter().all(|part| part.name != **arg));
    if let Some(name) = unknown {
        let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        eprintln!("there is no part {name}; there are: {} and full", names.join(" "));
        std::process::exit(2);
    }
    let mut table = Table::default();
    for part in PARTS {
        let asked = full || wanted.iter().any(|arg| arg == part.name);
        if asked || (wanted.is_empty() && part.when == When::Always) {
            (part.measure)(&mut table);
        }
    }
    println!("{}\n", server::machine());
    print!("{}", table.markdown());
    if let Ok(path) = std::env::var("BENCH_CSV") {
        let head = format!("# {}\n", server::machine());
        let folder = std::path::Path::new(&path).parent();
        folder.map(std::fs::create_dir_all).transpose().expect("a folder for the file");
        std::fs::write(&path, head + &table.csv()).expect("the file can be written");
    }
}

/// Rounds of a measurement of speed.
fn rounds() -> usize {
    std::env::var("BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}
