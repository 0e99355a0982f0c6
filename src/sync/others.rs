//! What other consoles on the same stores change, heard within a second.
use crate::{
    model::Timestamp,
    store::{
        StoreError, Stores,
        suspects::{Change, Listener},
    },
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Notify, time::sleep};
use uuid::Uuid;

/// Between two questions to the cameras database.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Between two questions while the suspect state tells everything: one of the others may not reach it.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// Before a suspect state that cannot be reached is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// Hears the other consoles: through a shared suspect state, and where there is none, or while it cannot be reached, by asking a
/// shared cameras database once a second for what was written (every five seconds otherwise, since one of the others may not reach
/// the suspect state). This console's own changes are heard, too: whoever takes over what is
/// [newer](crate::model::Suspect::merge) than what it has takes nothing over from itself.
pub struct Others {
    stores: Stores,
    listener: Option<Listener>,
    /// Wakes the delivery to the suspect state.
    hurry: Arc<Notify>,
    /// The mark heard last.
    mark: Option<Uuid>,
    /// Whether something may have been missed.
    behind: bool,
    asked: Option<Instant>,
    /// Until when the cameras database has told what was written.
    told_until: Option<Timestamp>,
}

impl Others {
    pub(super) fn new(stores: Stores, hurry: Arc<Notify>) -> Self {
        let listener = stores.suspects.is_shared().then(|| stores.suspects.listen());
        Self { stores, listener, hurry, mark: None, behind: true, asked: None, told_until: None }
    }

    /// Begins with what is written from now on; to be called before the state is read that the changes are to be added to.
    ///
    /// # Errors
    /// The trouble of the cameras database.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        self.told_until = Some(self.stores.cameras.changed_since(None).await?.2);
        Ok(())
    }

    /// The next changes of anybody; waits until there are some. Where nobody else can be, it waits for ever.
    pub async fn next(&mut self) -> Vec<Change> {
        loop {
            let mut changes = self.heard().await;
            self.behind |= self.asked.is_none_or(|asked| asked.elapsed() > CHECK_EVERY);
            if self.behind && self.stores.cameras.is_shared() {
                changes.extend(self.asked().await);
            }
            if self.stores.cameras.is_shared() && !changes.is_empty() {
                return changes; // a database of this console alone has all of them already
            }
        }
    }

    /// What the suspect state tells. While it cannot be reached, and where there is none, this console is behind.
    async fn heard(&mut self) -> Vec<Change> {
        let Some(listener) = &mut self.listener else {
            if !self.stores.cameras.is_shared() {
                return std::future::pending().await;
            }
            sleep(self.asked.map_or(Duration::ZERO, |asked| ASK_EVERY.saturating_sub(asked.elapsed()))).await;
            self.behind = true;
            return Vec::new();
        };
        match listener.next().await {
            Ok(heard) => {
                if heard.mark.is_none() || heard.mark != self.mark {
                    // Emptied: the delivery fills it again, and what was on its way through it is asked for elsewhere.
                    self.mark = heard.mark;
                    self.behind = true;
                    self.hurry.notify_one();
                }
                heard.changes
            }
            Err(error) => {
                if !self.behind {
                    tracing::warn!("other consoles are not heard at once: {error}");
                    self.hurry.notify_one(); // so that the health says so
                }
                self.mark = None;
                self.behind = true;
                sleep(PAUSE).await;
                Vec::new()
            }
        }
    }

    /// What the cameras database was told since the last time, at most once a second. What it cannot tell now it tells later.
    async fn asked(&mut self) -> Vec<Change> {
        if self.asked.is_some_and(|asked| asked.elapsed() < ASK_EVERY) {
            return Vec::new();
        }
        self.asked = Some(Instant::now());
        let Ok((suspects, sightings, until)) = self.stores.cameras.changed_since(self.told_until).await else {
            return Vec::new(); // its own health tells
        };
        self.told_until = Some(until);
        // While the suspect state answers with a mark, everything comes through it.
        self.behind = self.mark.is_none();
        suspects.into_iter().map(Change::Suspect).chain(sightings.into_iter().map(Change::Sighting)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Clock as _, Suspect, SystemClock},
        servers,
        store::{Address, Addresses, DataFolder, cameras::tests as examples},
    };

    /// A console that cannot reach the suspect state is heard by those who can.
    #[tokio::test]
    async fn what_only_the_database_was_told_is_heard_too() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(dir.path()).unwrap();
        let addresses = Addresses {
            cameras: Some(Address::parse(&servers::postgres().database()).unwrap()),
            suspects: Some(Address::parse(&servers::redis().namespace()).unwrap()),
            ..Addresses::default()
        };
        let stores = Stores::open(&folder, &addresses).await.unwrap();
        stores.suspects.refill(&[], &[]).await.unwrap();
        let camera = examples::camera();
        stores.cameras.upsert_camera(&camera).await.unwrap();
        let mut others = Others::new(stores.clone(), Arc::default());
        others.begin().await.unwrap();
        let suspect = |label: &str| {
            let now = SystemClock.now();
            Suspect { expires_at: now.plus(CHECK_EVERY * 60), changed_at: now, ..examples::suspect(camera.id, label) }
        };
        let (first, second) = (suspect("Suspect 1"), suspect("Suspect 2"));
        let mut heard = Vec::new();
        // nothing yet: it listens from here on
        assert!(tokio::time::timeout(PAUSE, others.next()).await.is_err());
        stores.suspects.put_suspect(&first).await.unwrap();
        while !heard.contains(&Change::Suspect(first.clone())) {
            heard.extend(others.next().await);
        }
        stores.cameras.put_suspect(&second).await.unwrap();
        while !heard.contains(&Change::Suspect(second.clone())) {
            heard.extend(others.next().await);
        }
    }
}
