//! A page that is expensive to make: it is made on a thread for such work, once for all clients
//! that ask at the same time.

use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Mutex;

/// The last rendering of a page.
#[derive(Debug, Default)]
pub(super) struct Rendered(Mutex<Option<(Instant, Bytes)>>);

impl Rendered {
    /// The page as `render` makes it now, or as it was made for another client since this call.
    ///
    /// # Errors
    /// If `render` panics or fails.
    pub(super) async fn get(
        &self,
        render: impl FnOnce() -> Result<String, String> + Send + 'static,
    ) -> Result<Bytes, String> {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((begun, page)) = &*last
            && *begun >= asked
        {
            return Ok(page.clone());
        }
        let begun = Instant::now();
        let page = tokio::task::spawn_blocking(render).await;
        let page = Bytes::from(page.map_err(|error| error.to_string())??);
        *last = Some((begun, page.clone()));
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn clients_that_ask_at_the_same_time_share_a_page_and_later_ones_get_a_new_one() {
        let (rendered, made) = (Arc::new(Rendered::default()), Arc::new(AtomicUsize::new(0)));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (start, started) = std::sync::mpsc::channel::<()>();
        let first = {
            let (rendered, made) = (Arc::clone(&rendered), Arc::clone(&made));
            tokio::spawn(async move {
                let make = move || {
                    start.send(()).unwrap();
                    wait.recv().unwrap();
                    Ok(made.fetch_add(1, Ordering::SeqCst).to_string())
                };
                rendered.get(make).await
            })
        };
        tokio::task::block_in_place(|| started.recv().unwrap());
        let ask = || {
            let (rendered, made) = (Arc::clone(&rendered), Arc::clone(&made));
            async move {
                let make = move || Ok(made.fetch_add(1, Ordering::SeqCst).to_string());
                rendered.get(make).await.unwrap()
            }
        };
        let mut crowd: Vec<_> = (0..20).map(|_| Box::pin(ask())).collect();
        // Each asks before the first page is made.
        for one in &mut crowd {
            let polled = one.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
        }
        go.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), "0");
        for one in crowd {
            assert_eq!(one.await, "1");
        }
        assert_eq!(ask().await, "2");
    }
}
