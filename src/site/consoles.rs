//! Takes over what other consoles on the same stores change: suspects marked, taught or ended there are followed so here, too, and their
//! sightings and decisions are on this board. Nothing that was heard is recorded again; only what follows from it here is, such as
//! the end of a stay on this console's cameras, or what a match confirmed elsewhere teaches about a track seen here.
use super::{About, NoticeLevel, Shared, analysis};
use crate::{
    follow::Event,
    model::{Sighting, Suspect, Timestamp},
    store::suspects::Change,
    supervise::Pulse,
    sync::Others,
};
use std::{sync::Arc, time::Duration};

/// A stay of which no console has seen anything for so long, seconds, has ended with the console that saw it.
pub(super) const ABANDONED_SECONDS: f64 = 30.0;
/// A possible match last seen so long ago, seconds, is in the inbox, but no alert.
const NEWS_SECONDS: f64 = 60.0;
/// When to look again for a picture that its console has not stored yet, seconds.
const PICTURE_AFTER: [u64; 5] = [0, 1, 2, 4, 8];

impl Shared {
    /// Listens to the other consoles for as long as the site runs.
    pub async fn follow_others(self: &Arc<Self>, others: &mut Others, pulse: &Pulse) {
        loop {
            let changes = others.next().await;
            pulse.beat();
            let pictures = self.take_over(changes).await;
            if !pictures.is_empty() {
                let shared = Arc::clone(self);
                self.runtime.spawn(async move { shared.fetch_pictures(pictures).await });
            }
        }
    }

    /// Takes over what is news here; returns whose pictures are to be fetched.
    async fn take_over(&self, changes: Vec<Change>) -> Vec<Change> {
        let _order = self.order.lock().await;
        let now = self.records.clock.now();
        let (mut events, mut pictures) = (Vec::new(), Vec::new());
        for change in changes {
            match change {
                Change::Suspect(heard) => events.extend(self.take_over_suspect(&heard, now, &mut pictures)),
                Change::Sighting(heard) => events.extend(self.take_over_sighting(heard, now, &mut pictures)),
            }
        }
        if self.commit(&self.records_of(&events, None), analysis::UNRECORDED).await {
            self.show(&events, None);
        }
        pictures
    }

    fn take_over_suspect(&self, heard: &Suspect, now: Timestamp, pictures: &mut Vec<Change>) -> Vec<Event> {
        let mut board = self.board.lock();
        let known = board.suspect(heard.id).map(|v| v.suspect.clone());
        let (mut suspect, is_new) = known.map_or_else(|| (heard.clone(), true), |known| (known, false));
        let (was_ended, news) = (suspect.ended_at.is_some() && !is_new, suspect.merge(heard));
        if !news && !is_new {
            return Vec::new();
        }
        board.put_suspect(suspect.clone(), None);
        let label = &suspect.label;
        if is_new && suspect.is_followed(now) {
            let text = format!("{label} was marked on another console and is followed here, too");
            board.notice(now, NoticeLevel::Info, text, About::Cameras(vec![suspect.camera]));
        } else if !is_new && !was_ended && suspect.ended_at.is_some() {
            let text = format!("{label} is not followed any more: ended on another console");
            board.notice(now, NoticeLevel::Info, text, About::Suspect(suspect.id));
        } else if was_ended && suspect.ended_at.is_none() {
            let text = format!("{label} is followed again: its end was taken back on another console");
            board.notice(now, NoticeLevel::Info, text, About::Suspect(suspect.id));
        }
        drop(board);
        if is_new {
            pictures.push(Change::Suspect(suspect.clone()));
        }
        let ends = self.follower().take_over(&suspect, now);
        self.duty.of_this_console(ends)
    }

    fn take_over_sighting(&self, heard: Sighting, now: Timestamp, pictures: &mut Vec<Change>) -> Vec<Event> {
        let camera = self.camera_name(heard.camera);
        let mut board = self.board.lock();
        let known = board.sighting(heard.id).map(|v| v.sighting.clone());
        let Some(known) = known else {
            if heard.decision.is_pending() {
                pictures.push(Change::Sighting(heard.clone()));
                let is_probable = heard.probability >= self.config.follow.alert;
                if is_probable && now.seconds_since(heard.last_seen_at) < NEWS_SECONDS {
                    let text = analysis::alert(&heard, board.suspect(heard.suspect), &camera);
                    let about = About::Match { sighting: heard.id, camera: heard.camera };
                    board.notice(now, NoticeLevel::Alert, text, about);
                }
            }
            self.keep_video_around(&heard);
            board.put_sighting(heard, None);
            return Vec::new();
        };
        let mut sighting = known.clone();
        if !sighting.merge(&heard) {
            return Vec::new();
        }
        self.keep_video_around(&heard);
        board.put_sighting(sighting.clone(), None);
        let alert = self.config.follow.alert;
        if sighting.decision.is_pending()
            && (known.probability < alert && sighting.probability >= alert)
            && now.seconds_since(sighting.last_seen_at) < NEWS_SECONDS
        {
            let text = analysis::alert(&sighting, board.suspect(sighting.suspect), &camera);
            let about = About::Match { sighting: sighting.id, camera: sighting.camera };
            board.notice(now, NoticeLevel::Alert, text, about);
        }
        drop(board);
        if sighting.decision == known.decision || sighting.decision.decided_at().is_none() {
            return Vec::new();
        }
        if sighting.decision.is_pending() {
            pictures.push(Change::Sighting(sighting.clone())); // waits again, and is looked at again
        }
        // The console that tells of the stay learns from the decision, and says so where that changes more than was heard.
        let decision = sighting.decision.clone();
        let before = Sighting { decision: known.decision, ..sighting.clone() };
        let mut events = self.duty.of_this_console(self.follower().decide(&before, decision));
        self.learn_travel();
        events.retain(|event| !matches!(event, Event::Changed(same) if *same == sighting));
        events
    }

    /// Of a stay that another console tells of, the video may be recorded here.
    fn keep_video_around(&self, heard: &Sighting) {
        if heard.left_at.is_none() {
            self.recording.event(heard.camera, heard.last_seen_at);
        }
    }

    /// Stays that nobody sees any more, because the console that saw them has gone: they end with the last look.
    pub fn abandoned(&self, now: Timestamp) -> Vec<Event> {
        if !self.records.stores.cameras.is_shared() {
            return Vec::new(); // all stays are seen here
        }
        if self.trust.doubt().is_some() || !self.steady.recent().is_empty() {
            return Vec::new(); // by a clock that was set every stay looks old
        }
        let follower = self.follower();
        let open = self.board.lock().open_sightings();
        open.into_iter()
            .filter(|s| now.seconds_since(s.last_seen_at) > ABANDONED_SECONDS && !follower.sees(s.id))
            .map(|s| Event::Changed(Sighting { left_at: Some(s.last_seen_at), ..s }))
            .collect()
    }

    /// The console that took a picture may still be storing it.
    async fn fetch_pictures(&self, mut wanted: Vec<Change>) {
        for seconds in PICTURE_AFTER {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let mut missing = Vec::new();
            for change in wanted {
                let url = match &change {
                    Change::Suspect(s) => &s.crop_url,
                    Change::Sighting(s) => &s.crop_url,
                };
                let Some(picture) = self.picture(url).await else {
                    missing.push(change);
                    continue;
                };
                let mut board = self.board.lock();
                match &change {
                    Change::Suspect(s) => board.picture_of_suspect(s.id, picture),
                    Change::Sighting(s) => board.picture_of_sighting(s.id, picture),
                }
            }
            wanted = missing;
            if wanted.is_empty() {
                return;
            }
        }
    }
}
