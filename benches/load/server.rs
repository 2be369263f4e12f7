//! A throwaway server with the module, and what INFO says of it.

use super::resp::Conn;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The server; ends with the value.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub port: u16,
    /// Where it listens to other nodes of its cluster, if it is part of one.
    pub bus_port: u16,
    directory: PathBuf,
}

impl Server {
    /// Starts a server with more configuration, as words of the command line.
    pub fn start(extra: &[&str]) -> Server {
        Server::start_at(free_port(), 0, extra)
    }

    /// Starts a server that is a node of a cluster.
    pub fn start_in_cluster() -> Server {
        let bus_port = free_port();
        let bus = bus_port.to_string();
        Server::start_at(free_port(), bus_port, &["--cluster-enabled", "yes", "--cluster-port", &bus])
    }

    fn start_at(port: u16, bus_port: u16, extra: &[&str]) -> Server {
        let module = std::env::var("REDIS_WORKFLOW_MODULE")
            .unwrap_or_else(|_| "target/release/libredisworkflow.so".into());
        let module = std::fs::canonicalize(&module).expect("the module is built: make build");
        let directory = std::env::temp_dir().join(format!("redis-workflow-bench-{port}"));
        std::fs::create_dir_all(&directory).expect("a directory for the server");
        let child = Command::new(binary())
            .args(["--port", &port.to_string(), "--save", "", "--bind", "127.0.0.1"])
            .args(["--enable-debug-command", "yes", "--maxclients", "20000"])
            .arg("--dir")
            .arg(&directory)
            .arg("--loadmodule")
            .arg(module)
            .args(extra)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("a server to start");
        let server = Server { child, port, bus_port, directory };
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the server did not start");
    }

    /// A connection.
    pub fn conn(&self) -> Conn {
        Conn::open(self.port)
    }

    /// A number from INFO.
    pub fn info(&self, section: &str, field: &str) -> f64 {
        let text = self.conn().text(&["INFO", section]);
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("INFO has {field}"))
    }

    /// Seconds of processor time the server has used.
    pub fn cpu(&self) -> f64 {
        self.info("cpu", "used_cpu_user") + self.info("cpu", "used_cpu_sys")
    }

    /// Bytes the server has allocated.
    pub fn used_memory(&self) -> f64 {
        self.info("memory", "used_memory")
    }

    /// Bytes that are resident.
    pub fn resident(&self) -> f64 {
        self.info("memory", "used_memory_rss")
    }

    /// Bytes that were resident at the highest, since its start.
    pub fn peak_resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        number_after(&status, "VmHWM:").unwrap_or(f64::NAN) * 1024.0
    }

    /// Lets it run on one core only, counted round.
    pub fn pin(&self, core: usize) {
        pin(&self.child.id().to_string(), core);
    }

    /// Bytes of a file in its directory.
    pub fn file_size(&self, name: &str) -> f64 {
        std::fs::metadata(self.directory.join(name)).map_or(0.0, |data| data.len() as f64)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn binary() -> String {
    std::env::var("REDIS_SERVER").unwrap_or_else(|_| ".servers/redis-7.0/redis-server".into())
}

fn free_port() -> u16 {
    let probe = std::net::TcpListener::bind("127.0.0.1:0");
    probe.and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// Lets this thread run on one core only, counted round.
pub fn pin_this_thread(core: usize) {
    let link = std::fs::read_link("/proc/thread-self").expect("Linux");
    pin(&link.file_name().expect("the number of the thread").to_string_lossy(), core);
}

fn pin(thread: &str, core: usize) {
    let core = (core % cores()).to_string();
    let done = Command::new("taskset").args(["-pc", &core, thread]).stdout(Stdio::null()).status();
    assert!(done.is_ok_and(|status| status.success()), "taskset of the package util-linux");
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How many files this process may have open.
pub fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    number_after(&limits, "Max open files").map_or(1024, |files| files as usize)
}

/// One line about what the figures were measured on.
pub fn machine() -> String {
    let said = Command::new(binary()).arg("--version").output().map(|output| output.stdout);
    let said = String::from_utf8(said.unwrap_or_default()).unwrap_or_default();
    let word = |start: &str| said.split_whitespace().find_map(|word| word.strip_prefix(start)).unwrap_or("?");
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(": ").nth(1)).unwrap_or("processor");
    let cores = cores();
    format!(
        "Server {}, {}; {cores} cores of {model}, shared with the load generator",
        word("v="),
        word("malloc=")
    )
}

fn number_after(text: &str, start: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(start))?;
    line.split_whitespace().next()?.parse().ok()
}
