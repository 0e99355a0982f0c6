//! Whoever was clicked, kept from the click on: a person is gone from view long before the operator has typed a reason. What was seen of the
//! track up to the click is pinned at once, so that a mark minutes later is a mark of whoever was clicked.
use super::{Access, Better, CardView, Clicked, Command, Shared, TrackView, board::Contents, looks::Looks};
use crate::{
    model::{CameraId, Descriptor, Rect, TrackId, Tracklet},
    vision::{self, Flaw},
};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// The card that is open, with what is kept of the person on it once the site has looked.
pub(super) struct Card {
    clicked: Clicked,
    pinned: OnceCell<Pinned>,
    /// The better look that was offered last: an offer stays while the card is open, also when the track is gone.
    offered: Mutex<Option<Better>>,
}

/// What was seen of whoever was clicked.
pub(super) struct Pinned {
    /// Of the clicked box; empty where the picture is too small to say anything.
    clicked: Vec<Descriptor>,
    /// Of the track, up to the click.
    track: Vec<Descriptor>,
    /// The stay on a recording that the box belongs to.
    stay: Option<Tracklet>,
    /// Why the clicked picture is a bad one to look for somebody by.
    flaw: Option<Flaw>,
}

impl Pinned {
    /// How many looks a suspect would be compared by.
    fn looks(&self) -> usize {
        self.clicked.len() + self.of_track().count()
    }

    fn of_track(&self) -> impl Iterator<Item = &Descriptor> {
        self.track.iter().chain(self.stay.iter().flat_map(|stay| &stay.gallery))
    }

    /// All looks, `first` at their head: a gallery never loses its first.
    fn headed_by(&self, first: Vec<Descriptor>) -> Vec<Descriptor> {
        first.into_iter().chain(self.of_track().cloned()).collect()
    }
}

impl Card {
    fn is_of(&self, camera: CameraId, track: TrackId) -> bool {
        (self.clicked.camera, self.clicked.track) == (camera, track)
    }

    /// A better look at the same track, where the clicked picture is poor: also one of after the click, when somebody comes out from behind a sign.
    fn better(&self, looks: &Looks) -> Option<Better> {
        self.pinned.get()?.flaw?;
        let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(best) = looks.best(self.clicked.camera, self.clicked.track) {
            *offered = Some(best);
        }
        offered.clone()
    }

    /// What the screen may know of it.
    pub fn view(&self, looks: &Looks) -> CardView {
        let Clicked { camera, track, frame, .. } = &self.clicked;
        CardView {
            camera: *camera,
            track: *track,
            at: frame.captured_at(),
            looks: self.pinned.get().map(Pinned::looks),
            poor: self.pinned.get().and_then(|pinned| pinned.flaw).map(|flaw| flaw.words().to_owned()),
            better: self.better(looks),
        }
    }
}

/// Which card is open counts when a command is given, not when its turn comes.
pub(super) fn turn(shared: &Arc<Shared>, board: &mut Contents, command: &Command) -> bool {
    match command {
        Command::OpenCard(clicked) => {
            board.card = None;
            if board.rights.allow(clicked.camera) {
                let card =
                    Arc::new(Card { clicked: clicked.clone(), pinned: OnceCell::new(), offered: Mutex::default() });
                board.card = Some(Arc::clone(&card));
                let kept = Arc::clone(shared);
                // Commands that were given before may take long: what is pinned is what there is now.
                shared.runtime.spawn(async move {
                    kept.pinned(&card).await;
                });
            }
            true
        }
        Command::CloseCard => {
            board.card = None;
            true
        }
        _ => false,
    }
}

impl Contents {
    /// What the screen shows of the card that is open.
    pub(super) fn card_view(&self, looks: &Looks) -> Option<CardView> {
        let card = self.card.as_ref().filter(|_| matches!(self.access, Access::LoggedIn(_)))?;
        Some(card.view(looks)).filter(|view| self.rights.allow(view.camera))
    }
}

impl Shared {
    /// What is kept of the person on a card; looked for where that has not been done yet.
    async fn pinned<'a>(&self, card: &'a Card) -> &'a Pinned {
        card.pinned.get_or_init(|| self.pin(&card.clicked)).await
    }

    async fn pin(&self, clicked: &Clicked) -> Pinned {
        let Clicked { camera, track, frame, rect } = clicked;
        // First what is there only while the track is.
        let seen = self.follower().appearance_of(*camera, *track);
        let stay = self.recorded_stay(*camera, *track, frame.captured_at()).await;
        let tracks = self.tracks_of(*camera);
        // A recording may be of another light and another lens: only the live picture is compared with what is usual.
        let is_live = tracks.iter().any(|view| view.track.id == *track);
        let usual = self.looks.usual_sharpness(*camera).filter(|_| is_live);
        // Everybody known on that picture; on one of long ago nobody.
        let all: Vec<Rect> = tracks.iter().filter_map(|view| view.track.rect_at(frame.captured_at())).collect();
        let flaw = vision::why_poor(frame, *rect, &all, usual);
        Pinned { clicked: self.describe(frame, *rect).await, track: seen, stay, flaw }
    }

    /// The tracks of the frame of a camera that was analysed last.
    fn tracks_of(&self, camera: CameraId) -> Arc<Vec<TrackView>> {
        self.cameras.get(camera).and_then(|path| path.seen.get()).map(|seen| seen.tracks).unwrap_or_default()
    }

    /// How the person in a box looks, the crop of that box first, and the stay on a recording that the box belongs to. Where the card of this very
    /// track is open, it is what was pinned when it was clicked.
    pub(super) async fn looks_of(&self, shown: &Clicked, card: Option<&Card>) -> (Vec<Descriptor>, Option<Tracklet>) {
        let found;
        let (pinned, clicked) = match card.filter(|card| card.is_of(shown.camera, shown.track)) {
            Some(card) => (self.pinned(card).await, &card.clicked),
            None => {
                found = self.pin(shown).await;
                (&found, shown)
            }
        };
        // A better picture of the same person was taken: then the clicked one is a poor one.
        let is_clicked = clicked.frame.captured_at() == shown.frame.captured_at() && clicked.rect == shown.rect;
        let first = if is_clicked { pinned.clicked.clone() } else { self.describe(&shown.frame, shown.rect).await };
        (pinned.headed_by(first), pinned.stay.clone())
    }
}

#[cfg(test)]
mod tests;
