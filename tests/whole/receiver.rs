//! A webhook receiver that keeps its posts.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;

/// The response to a post.
pub(crate) type Reply = (StatusCode, String);

/// One post.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// Headers by lower-case name.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body.
    pub(crate) body: String,
}

/// A receiver that ends with the test.
pub(crate) struct Receiver {
    address: SocketAddr,
    posts: Arc<Mutex<Vec<Post>>>,
}

#[derive(Clone)]
struct Shared {
    posts: Arc<Mutex<Vec<Post>>>,
    answer: Arc<dyn Fn(&Post) -> Reply + Send + Sync>,
}

impl Receiver {
    /// Listens on a free port and answers each post as `answer` says.
    pub(crate) async fn start(answer: impl Fn(&Post) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let posts = Arc::default();
        let shared = Shared {
            posts: Arc::clone(&posts),
            answer: Arc::new(answer),
        };
        let app = Router::new().route("/hook", post(take)).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, posts }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The posts so far.
    pub(crate) fn posts(&self) -> MutexGuard<'_, Vec<Post>> {
        self.posts.lock().unwrap()
    }
}

async fn take(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Reply {
    let headers = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let post = Post {
        headers: headers.collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let reply = (shared.answer)(&post);
    shared.posts.lock().unwrap().push(post);
    reply
}
