//! Records that their stores refused for what they are, and how they are offered again.
use super::{
    About, NoticeLevel, Shared, SiteError,
    records::{Actor, Records},
};
use crate::{
    model::{Action, Outcome, User},
    sync::{Record, RefusedRecord},
};
use serde_json::json;
use std::sync::{Arc, PoisonError};

/// At most so many are listed.
const LISTED: u32 = 200;

impl Records {
    /// Offers refused records to their stores again; returns how many. Recorded.
    ///
    /// # Errors
    /// The journal's trouble.
    pub async fn offer_again(&self, who: Actor<'_>, ids: &[i64]) -> Result<u64, SiteError> {
        let offered = self.journal.offer_again(ids).await;
        let outcome = offered.as_ref().map_or_else(|e| Outcome::Failed(e.to_string()), |_| Outcome::Succeeded);
        let mut entry = self.entry(who, Action::RetryRecords, outcome);
        entry.details = json!({ "records": offered.as_ref().ok() });
        self.journal.append(&[Record::Action(entry)]).await?;
        Ok(offered?.len() as u64)
    }
}

impl Shared {
    /// Once a second: what was refused so far.
    pub(super) async fn read_refused(&self) {
        let known = self.refused();
        if known.is_empty() && self.records.delivery.health().iter().all(|h| h.set_aside == 0) {
            return;
        }
        match self.records.journal.refusals(LISTED).await {
            Ok(refused) if refused == *known => {}
            Ok(refused) => *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(refused),
            Err(error) => tracing::warn!("what was refused cannot be listed: {error}"),
        }
    }

    pub(super) fn refused(&self) -> Arc<Vec<RefusedRecord>> {
        Arc::clone(&self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Offers them to their stores again and says so.
    pub(super) async fn offer_again(&self, user: &User, ids: &[i64]) {
        if !user.is_admin {
            let why = "only administrators offer records again";
            let outcome = Outcome::Refused(why.to_owned());
            let entry = self.records.entry((&user.cc, &user.name), Action::RetryRecords, outcome);
            self.commit(&[Record::Action(entry)], "A refusal was not recorded").await;
            return self.error(format!("That was not done: {why}"));
        }
        match self.records.offer_again((&user.cc, &user.name), ids).await {
            Ok(count) => {
                let records = if count == 1 { "record is" } else { "records are" };
                let text =
                    format!("{count} {records} offered again; what is refused once more comes back into the list");
                let about = About::User(user.cc.clone());
                self.board.lock().notice(self.records.clock.now(), NoticeLevel::Info, text, about);
            }
            Err(error) => self.error(format!("Nothing was offered again: {error}")),
        }
        self.read_refused().await;
    }
}
