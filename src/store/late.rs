//! A backend on a server that may not answer yet: the store is there all the same, says so to whoever asks, and takes the server
//! up when it comes.
use super::{Address, StoreError};
use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

/// From a failed attempt to the next one; whoever asks meanwhile hears how the last one failed.
const PAUSE: Duration = Duration::from_secs(2);

type Attempt<B> = Pin<Box<dyn Future<Output = Result<B, StoreError>> + Send>>;

/// A backend that is there, or will be. Cloning shares it.
pub(crate) struct Late<B>(Arc<Inner<B>>);

struct Inner<B> {
    backend: OnceLock<B>,
    connect: Box<dyn Fn() -> Attempt<B> + Send + Sync>,
    /// Held by whoever connects.
    connecting: tokio::sync::Mutex<()>,
    /// How the last attempt failed, and when.
    failed: Mutex<Option<(Instant, String, String)>>,
}

impl<B> Clone for Late<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: fmt::Debug> fmt::Debug for Late<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.backend.get() {
            Some(backend) => backend.fmt(f),
            None => f.write_str("Late(not there yet)"),
        }
    }
}

impl<B: Send + Sync + 'static> Late<B> {
    /// A backend that is there.
    pub(crate) fn ready(backend: B) -> Self {
        let never = || -> Attempt<B> {
            let (place, detail) = (String::new(), "it is there already".to_owned());
            Box::pin(std::future::ready(Err(StoreError::Unavailable { place, detail })))
        };
        Self::new(OnceLock::from(backend), never)
    }

    fn new(backend: OnceLock<B>, connect: impl Fn() -> Attempt<B> + Send + Sync + 'static) -> Self {
        let (connecting, failed) = (tokio::sync::Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { backend, connect: Box::new(connect), connecting, failed }))
    }

    /// Connects to the store at `address`. A server that does not answer now is connected to later; everything else that is
    /// wrong, and an embedded store that cannot be used, is an error at once.
    pub(crate) async fn connect<F>(
        address: &Address,
        connect: impl Fn(Address) -> F + Send + Sync + 'static,
    ) -> Result<Self, StoreError>
    where
        F: Future<Output = Result<B, StoreError>> + Send + 'static,
    {
        let address = address.clone();
        let is_server = address.path().is_none();
        let late = Self::new(OnceLock::new(), move || Box::pin(connect(address.clone())));
        match late.get().await {
            Err(StoreError::Unavailable { .. }) if is_server => Ok(late),
            Err(error) => Err(error),
            Ok(_) => Ok(late),
        }
    }

    /// The backend.
    ///
    /// # Errors
    /// Why it is not there yet.
    pub(crate) async fn get(&self) -> Result<&B, StoreError> {
        if let Some(backend) = self.0.backend.get() {
            return Ok(backend);
        }
        let Ok(_connecting) = self.0.connecting.try_lock() else { return Err(self.not_yet()) };
        if let Some(backend) = self.0.backend.get() {
            return Ok(backend);
        }
        if self.failed().as_ref().is_some_and(|(at, ..)| at.elapsed() < PAUSE) {
            return Err(self.not_yet());
        }
        match (self.0.connect)().await {
            Ok(backend) => Ok(self.0.backend.get_or_init(|| backend)),
            Err(error) => {
                let (place, detail) = match &error {
                    StoreError::Unavailable { place, detail } => (place.clone(), detail.clone()),
                    other => ("the store".to_owned(), other.to_string()),
                };
                *self.failed() = Some((Instant::now(), place, detail));
                Err(error)
            }
        }
    }

    /// The backend, where it is there.
    pub(crate) fn there(&self) -> Option<&B> {
        self.0.backend.get()
    }

    /// Why it is not there yet; `None` when it is.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.0.backend.get().is_none().then(|| self.not_yet().to_string())
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, Option<(Instant, String, String)>> {
        self.0.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_yet(&self) -> StoreError {
        let (place, detail) = self.failed().as_ref().map_or_else(
            || ("the store".to_owned(), "it has not answered yet".to_owned()),
            |(_, place, detail)| (place.clone(), detail.clone()),
        );
        StoreError::Unavailable { place, detail }
    }
}
