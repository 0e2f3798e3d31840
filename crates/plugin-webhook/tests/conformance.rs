//! The library as callmeter loads it, beside a server that takes everything.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::LazyLock;

static PORT: LazyLock<u16> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(socket.try_clone().unwrap());
                while let Some(length) = read_head(&mut reader) {
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
                    socket.write_all(answer).unwrap();
                }
            });
        }
    });
    port
});

/// The length of the body that follows.
fn read_head(reader: &mut impl std::io::BufRead) -> Option<usize> {
    let lines = reader.lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let length = head.iter().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length:")?
            .trim()
            .parse()
            .ok()
    });
    length
}

callmeter_plugin_testkit::conformance!("callmeter_webhook", |_| {
    let url = format!("http://127.0.0.1:{}/", *PORT);
    serde_json::json!({"url": url, "secret": "0123456789abcdef"}).to_string()
});
