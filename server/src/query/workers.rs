//! The threads on which statements are planned and run. They are not those that answer requests: a
//! statement that computes for long without a pause holds back nobody who asks for something else.

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// Bytes of stack of a thread, of which only what is used is there. Planning recurses with the
/// depth that the bounds of a statement allow; an unoptimised build takes some 30 KiB a level.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// A thread for each core.
#[derive(Debug)]
pub(super) struct Workers(Option<Runtime>);

impl Workers {
    /// Starts them.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start() -> io::Result<Arc<Self>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("statement")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()?;
        Ok(Arc::new(Self(Some(runtime))))
    }

    /// Begins some work; `None` when they are stopping.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<JoinHandle<T>> {
        self.0.as_ref().map(|runtime| runtime.spawn(work))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // What still computes cannot be waited for here.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
