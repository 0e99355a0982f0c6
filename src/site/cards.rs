//! Whoever was clicked, kept from the click on: a person is gone from view long before the operator has typed a reason. What was seen of the
//! track up to the click is pinned at once, so that a mark minutes later is a mark of whoever was clicked.
use super::{Access, CardView, Clicked, Command, Shared, board::Contents};
use crate::model::{CameraId, Descriptor, TrackId, Tracklet};
use crate::{model::Rect, video::Frame};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The card that is open, with what is kept of the person on it once the site has looked.
pub(super) struct Card {
    clicked: Clicked,
    pinned: OnceCell<Pinned>,
}

/// What was seen of whoever was clicked.
#[derive(Default)]
pub(super) struct Pinned {
    /// Of the clicked box; empty where the picture is too small to say anything.
    clicked: Vec<Descriptor>,
    /// Of the track, up to the click.
    track: Vec<Descriptor>,
    /// The stay on a recording that the box belongs to.
    pub stay: Option<Tracklet>,
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

    /// What the screen may know of it.
    pub fn view(&self) -> CardView {
        let Clicked { camera, track, frame, .. } = &self.clicked;
        CardView {
            camera: *camera,
            track: *track,
            at: frame.captured_at(),
            looks: self.pinned.get().map(Pinned::looks),
            poor: None,
            better: None,
        }
    }
}

/// Which card is open counts when a command is given, not when its turn comes.
pub(super) fn turn(shared: &Arc<Shared>, board: &mut Contents, command: &Command) -> bool {
    match command {
        Command::OpenCard(clicked) => {
            board.card = None;
            if board.rights.allow(clicked.camera) {
                let card = Arc::new(Card { clicked: clicked.clone(), pinned: OnceCell::new() });
                board.card = Some(Arc::clone(&card));
                let shared = Arc::clone(shared);
                // Commands that were given before may take long: what is pinned is what there is now.
                shared.clone().runtime.spawn(async move { drop(shared.pinned(&card).await) });
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
    pub(super) fn card_view(&self) -> Option<CardView> {
        let card = self.card.as_ref().filter(|_| matches!(self.access, Access::LoggedIn(_)))?;
        Some(card.view()).filter(|view| self.rights.allow(view.camera))
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
        Pinned { clicked: self.describe(frame, *rect).await, track: seen, stay }
    }

    /// How the person in a box looks, the crop of that box first, and the stay on a recording that the box belongs to. Where the card of this very
    /// track is open, it is what was pinned when it was clicked.
    pub(super) async fn looks_of(&self, shown: &Clicked, card: Option<&Card>) -> (Vec<Descriptor>, Option<Tracklet>) {
        let found;
        let (pinned, at) = match card.filter(|card| card.is_of(shown.camera, shown.track)) {
            Some(card) => (self.pinned(card).await, Some(&card.clicked)),
            None => {
                found = self.pin(shown).await;
                (&found, Some(shown))
            }
        };
        let is_clicked = |c: &Clicked| same_picture((&c.frame, c.rect), (&shown.frame, shown.rect));
        // A better picture of the same person was taken: then the clicked one is a poor one.
        let first =
            if at.is_some_and(is_clicked) { pinned.clicked.clone() } else { self.describe(&shown.frame, shown.rect).await };
        (pinned.headed_by(first), pinned.stay.clone())
    }
}

fn same_picture(a: (&Frame, Rect), b: (&Frame, Rect)) -> bool {
    a.0.captured_at() == b.0.captured_at() && a.1 == b.1
}
