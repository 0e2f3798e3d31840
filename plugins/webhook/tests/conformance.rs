//! The library as callmeter loads it, beside a server that takes everything.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::LazyLock;

static PORT: LazyLock<u16> = LazyLock::new(|| {
    listen().unwrap_or_else(|error| panic!("the test's server cannot listen: {error}"))
});

fn listen() -> io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            // A connection that ends is the client's business.
            std::thread::spawn(move || serve(socket));
        }
    });
    Ok(port)
}

fn serve(mut socket: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(socket.try_clone()?);
    while let Some(length) = read_head(&mut reader) {
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
    Ok(())
}

/// The length of the body that follows.
fn read_head(reader: &mut impl BufRead) -> Option<usize> {
    let lines = reader.lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    head.iter().find_map(|line| {
        let line = line.to_ascii_lowercase();
        line.strip_prefix("content-length:")?.trim().parse().ok()
    })
}

callmeter_plugin_testkit::conformance!("callmeter_webhook", |_| {
    let url = format!("http://127.0.0.1:{}/", *PORT);
    serde_json::json!({"url": url, "secret": "0123456789abcdef"}).to_string()
});
