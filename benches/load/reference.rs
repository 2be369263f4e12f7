//! What the module is measured against: the same number of messages through a stream with a consumer
//! group, and through a list. Both know nothing of dependencies, the list nothing of leases.

use super::resp::Head;
use super::server::Server;
use super::work::{Cost, measure};

/// The same number of messages through a stream: XADD, XREADGROUP, XACK, `count` a round trip.
pub fn stream(server: &Server, messages: usize, count: usize, connections: usize) -> Cost {
    let mut conn = server.conn();
    conn.text(&["DEL", "stream"]);
    conn.text(&["XGROUP", "CREATE", "stream", "g", "$", "MKSTREAM"]);
    let count_text = count.to_string();
    let added = measure(server, connections, |number, conn| {
        let (from, to) = (messages * number / connections, messages * (number + 1) / connections);
        let mut at = from;
        while at < to {
            let end = (at + count).min(to);
            for message in at..end {
                let payload = format!("{:07}", message % 10_000_000);
                conn.add(&[b"XADD", b"stream", b"*", b"p", payload.as_bytes()]);
            }
            conn.send();
            (at..end).for_each(|_| conn.skip());
            at = end;
        }
    });
    let read = measure(server, connections, |number, conn| {
        let consumer = format!("c{number}");
        let mut ids: Vec<Vec<u8>> = Vec::new();
        loop {
            conn.add(&[
                b"XREADGROUP",
                b"GROUP",
                b"g",
                consumer.as_bytes(),
                b"COUNT",
                count_text.as_bytes(),
                b"STREAMS",
                b"stream",
                b">",
            ]);
            conn.send();
            if let Head::Array(1) = conn.reply() {
                assert_eq!(conn.reply(), Head::Array(2));
                conn.skip();
                conn.firsts(&mut ids);
            }
            if ids.is_empty() {
                return;
            }
            conn.head(ids.len() + 3);
            [&b"XACK"[..], b"stream", b"g"].iter().for_each(|arg| conn.arg(arg));
            ids.iter().for_each(|id| conn.arg(id));
            conn.send();
            conn.skip();
            ids.clear();
        }
    });
    Cost { wall: added.wall + read.wall, cpu: added.cpu + read.cpu }
}

/// The same number of items through a list: RPUSH, LMOVE to a list of one's own, LREM.
pub fn list(server: &Server, items: usize, connections: usize) -> Cost {
    server.conn().text(&["DEL", "list"]);
    measure(server, connections, |number, conn| {
        let (from, to) = (items * number / connections, items * (number + 1) / connections);
        for item in from..to {
            let payload = format!("{:07}", item % 10_000_000);
            conn.add(&[b"RPUSH", b"list", payload.as_bytes()]);
        }
        conn.send();
        (from..to).for_each(|_| conn.skip());
    });
    measure(server, connections, |number, conn| {
        let mine = format!("mine{number}");
        loop {
            conn.add(&[b"LMOVE", b"list", mine.as_bytes(), b"LEFT", b"RIGHT"]);
            conn.send();
            let Head::Bulk(len) = conn.reply() else { return };
            let item = conn.bytes(len);
            conn.add(&[b"LREM", mine.as_bytes(), b"1", &item]);
            conn.send();
            conn.skip();
        }
    })
}
