//! A throwaway server with the module, and what INFO says of it.

use super::resp::Conn;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The server; ends with the value.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub port: u16,
    directory: PathBuf,
}

impl Server {
    /// Starts a server with more configuration, as words of the command line.
    pub fn start(extra: &[&str]) -> Server {
        let binary =
            std::env::var("REDIS_SERVER").unwrap_or_else(|_| ".servers/redis-7.0/redis-server".into());
        let module = std::env::var("REDIS_WORKFLOW_MODULE")
            .unwrap_or_else(|_| "target/release/libredisworkflow.so".into());
        let module = std::fs::canonicalize(&module).expect("the module is built: make build");
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a free port")
            .port();
        let directory = std::env::temp_dir().join(format!("redis-workflow-bench-{port}"));
        std::fs::create_dir_all(&directory).expect("a directory for the server");
        let child = Command::new(binary)
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
        let server = Server { child, port, directory };
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
