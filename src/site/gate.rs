//! The one gate: everything that leaves the site's state for whoever is at the console passes here. What one may not see does not
//! exist: it is in no list, picture, notice, reason nor count, and a command about it is refused in the words for what is not there.
//!
//! A suspect is known to whoever may look at a camera on which it was marked or seen. Where it was marked out of their sight they learn
//! neither where nor why, and see no picture of there.
use super::{
    About, Access, CameraView, ExportOf, ExportView, ReviewState, SiteState, StoreHealth, SuspectView, TrackView,
    UploadView, board::Contents,
};
use crate::model::{Action, ActionRecord, Camera, CameraId, CaseId, Job, Outcome, Rights, Suspect, SuspectId, User};
use std::{collections::BTreeSet, sync::Arc};
use uuid::Uuid;

/// Stands for a camera that the user may not see, where something on it is told of all the same.
pub(super) const HIDDEN_CAMERA: CameraId = Uuid::nil();
/// Stands for a reason that was given for what the user may not see.
const HIDDEN_REASON: &str = "Marked on a camera that you may not see";
/// Stands for a store's trouble that names a camera which the user may not see.
const HIDDEN_TROUBLE: &str = "it does not take everything; an administrator sees why";
/// Reasons offered again.
const REASONS: usize = 8;

/// What whoever is at the console may know.
pub(super) struct Gate {
    user: Option<User>,
    rights: Rights,
    /// The suspects that were marked, or seen, where the user may look.
    suspects: BTreeSet<SuspectId>,
}

impl Contents {
    /// The gate for whoever is at the console. While nobody is logged in nothing passes.
    pub(super) fn gate(&self) -> Gate {
        let user = if let Access::LoggedIn(user) = &self.access { Some(user.clone()) } else { None };
        let rights = if user.is_some() { self.rights.clone() } else { Rights::Only(BTreeSet::new()) };
        let marked = self.suspects.iter().map(|v| &v.suspect).filter(|s| rights.allow(s.camera)).map(|s| s.id);
        let suspects = marked.chain(self.seen_on(&rights)).collect();
        Gate { user, rights, suspects }
    }
}

/// A suspect as somebody with these rights may know it, who knows that there is one.
pub(super) fn suspect_for(rights: &Rights, suspect: &Suspect) -> Suspect {
    if rights.allow(suspect.camera) {
        return suspect.clone();
    }
    // How a person looks is of the person, and needed to tell who it is; where and why it was marked is not theirs to know.
    let Suspect {
        id,
        label,
        colour,
        reason: _,
        marked_by,
        marked_at,
        camera: _,
        expires_at,
        ended_at,
        crop_url: _,
        gallery: _,
        characteristics,
        changed_at,
        proposed_until,
        resumed_at,
    } = suspect;
    Suspect {
        id: *id,
        label: label.clone(),
        colour: *colour,
        reason: HIDDEN_REASON.to_owned(),
        marked_by: marked_by.clone(),
        marked_at: *marked_at,
        camera: HIDDEN_CAMERA,
        expires_at: *expires_at,
        ended_at: *ended_at,
        crop_url: String::new(),
        gallery: Vec::new(),
        characteristics: characteristics.clone(),
        changed_at: *changed_at,
        proposed_until: *proposed_until,
        resumed_at: *resumed_at,
    }
}

impl Gate {
    /// Which cameras the user may see; none while nobody is logged in.
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Whether this user is at the console.
    pub fn is_for(&self, cc: &str) -> bool {
        self.user.as_ref().is_some_and(|user| user.cc == cc)
    }

    /// Whether the user may see the camera.
    pub fn camera(&self, id: CameraId) -> bool {
        self.rights.allow(id)
    }

    /// Whether there is such a suspect for the user.
    pub fn suspect(&self, id: SuspectId) -> bool {
        self.suspects.contains(&id)
    }

    /// Whether the user may see an analysis: of cameras that are all among their rights.
    pub fn job(&self, job: &Job) -> bool {
        self.user.is_some() && job.cameras.iter().all(|c| self.camera(*c))
    }

    /// Whether the user may see what a package is to be made of.
    pub fn export(&self, of: &ExportOf) -> bool {
        match of {
            ExportOf::Suspect(id) => self.suspect(*id),
            ExportOf::Stretch { cameras, .. } => cameras.iter().all(|camera| self.camera(*camera)),
        }
    }

    /// Whether what was read under these rights is for the user: they may still see all of it.
    pub fn covers(&self, read_under: &Rights) -> bool {
        self.user.is_some() && self.rights.covers(read_under)
    }

    /// Whether the user is told.
    pub fn tells(&self, about: &About) -> bool {
        match about {
            About::Everybody => true,
            About::User(cc) => self.is_for(cc),
            About::Cameras(cameras) => self.user.is_some() && cameras.iter().all(|c| self.camera(*c)),
            About::AllCameras => self.rights == Rights::All,
            About::Suspect(id) => self.suspect(*id),
            About::Match { sighting: _, camera } => self.camera(*camera),
        }
    }

    /// Of all that there is, what the user may know. Whoever adds a field to the state decides here who may know it.
    pub fn pass(&self, state: SiteState) -> SiteState {
        let SiteState {
            now,
            name,
            access,
            cameras,
            suspects,
            sightings,
            recent_reasons,
            session,
            admin,
            review,
            casework,
            uploads,
            jobs,
            export,
            map,
            log,
            stores,
            failing,
            refused,
            notices,
            analysis,
            find,
            card,
            recording,
            records,
        } = state;
        let is_admin = self.user.as_ref().is_some_and(|user| user.is_admin);
        let words = Words::new(&self.rights, cameras.iter().map(|v| &v.camera));
        let stores = stores.into_iter().map(|health| health_for(&words, health)).collect();
        let shown = cameras.into_iter().filter(|v| self.camera(v.camera.id));
        SiteState {
            now,
            name,
            access,
            cameras: shown.map(|v| CameraView { tracks: self.tracks(v.tracks), ..v }).collect(),
            recent_reasons: self.reasons(recent_reasons, &suspects),
            suspects: suspects.into_iter().filter_map(|v| self.suspect_view(v)).collect(),
            sightings: sightings.into_iter().filter(|v| self.camera(v.sighting.camera)).collect(),
            session,
            admin, // made for this user
            review: self.review(review),
            casework, // made for this user
            uploads: uploads.into_iter().filter(|v| self.upload(v)).collect(),
            jobs: jobs.into_iter().filter(|job| self.job(job)).collect(),
            export: export.filter(|view| self.export_view(view)),
            map, // made for this user
            log: if is_admin { log } else { Default::default() },
            stores,
            failing: failing.into_iter().filter(|f| f.camera.is_none_or(|c| self.camera(c))).collect(),
            refused: if is_admin { refused } else { Arc::default() },
            notices: notices.into_iter().filter(|n| self.tells(&n.about)).collect(),
            analysis,
            find: find.filter(|view| view.hits.iter().all(|hit| self.camera(hit.camera))),
            card: card.filter(|card| self.camera(card.camera)),
            recording: recording.into_iter().filter(|id| self.camera(*id)).collect(),
            records, // whoever quits must know that it ends something, though not what
        }
    }

    fn suspect_view(&self, view: Arc<SuspectView>) -> Option<Arc<SuspectView>> {
        if !self.suspect(view.suspect.id) {
            return None;
        }
        if self.camera(view.suspect.camera) {
            return Some(view);
        }
        Some(Arc::new(SuspectView { suspect: suspect_for(&self.rights, &view.suspect), crop: None }))
    }

    /// The tracks of a camera that the user may see; with whom they are taken for where that suspect is known to them.
    fn tracks(&self, tracks: Arc<Vec<TrackView>>) -> Arc<Vec<TrackView>> {
        let known = |t: &TrackView| t.suspect.is_none_or(|m| self.suspect(m.suspect));
        if self.rights == Rights::All || tracks.iter().all(known) {
            return tracks;
        }
        let for_user =
            |t: &TrackView| if known(t) { t.clone() } else { TrackView { suspect: None, outline: None, ..t.clone() } };
        Arc::new(tracks.iter().map(for_user).collect())
    }

    /// The reasons used last; for whoever may not see everything those for suspects that were marked where they may look.
    fn reasons(&self, all: Vec<String>, suspects: &[Arc<SuspectView>]) -> Vec<String> {
        if self.rights == Rights::All {
            return all;
        }
        let mut reasons: Vec<String> = Vec::new();
        let marked =
            suspects.iter().map(|v| &v.suspect).filter(|s| self.camera(s.camera) && s.proposed_until.is_none());
        for suspect in marked {
            if reasons.len() < REASONS && !reasons.contains(&suspect.reason) {
                reasons.push(suspect.reason.clone());
            }
        }
        reasons
    }

    fn review(&self, review: ReviewState) -> ReviewState {
        // A timeline is given only under the rights with which it was read.
        let ReviewState { channels, at, rate, timeline } = review;
        let channels = channels.into_iter().filter(|channel| self.camera(channel.camera));
        ReviewState { channels: channels.collect(), at, rate, timeline: timeline.filter(|_| self.user.is_some()) }
    }

    /// What was planned is shown for as long as all of it may be seen.
    fn export_view(&self, view: &ExportView) -> bool {
        let of_suspect = |s: &Suspect| s.camera == HIDDEN_CAMERA || self.camera(s.camera);
        let planned = view.plan.as_ref().map_or(true, |plan| {
            plan.suspect.as_ref().is_none_or(of_suspect)
                && plan.stops.iter().all(|stay| self.camera(stay.camera))
                && plan.missing.iter().all(|video| self.camera(video.camera))
        });
        self.user.is_some() && self.export(&view.of) && planned
    }

    /// An upload that the list has for this user: a draft may have no camera yet.
    fn upload(&self, upload: &UploadView) -> bool {
        self.user.is_some() && upload.camera.is_none_or(|camera| self.camera(camera))
    }
}

/// How a store does, without the words that name what is hidden.
fn health_for(words: &Words, health: StoreHealth) -> StoreHealth {
    let error = health.error.map(|text| if words.name_hidden(&text) { HIDDEN_TROUBLE.to_owned() } else { text });
    StoreHealth { error, ..health }
}

/// Tells which words name cameras that somebody may not see.
struct Words {
    /// Identity and name.
    hidden: Vec<(String, String)>,
    shown: Vec<(String, String)>,
    /// Names of cameras that may be seen, in which that of a hidden one is found.
    longer: Vec<String>,
}

impl Words {
    fn new<'a>(rights: &Rights, cameras: impl Iterator<Item = &'a Camera>) -> Self {
        let named = cameras.map(|c| (rights.allow(c.id), (c.id.to_string(), c.name.clone())));
        let (shown, hidden): (Vec<_>, Vec<_>) = named.partition(|(allowed, _)| *allowed);
        let plain = |all: Vec<(bool, (String, String))>| all.into_iter().map(|(_, c)| c).collect::<Vec<_>>();
        let (shown, hidden) = (plain(shown), plain(hidden));
        let holds_hidden = |name: &String| hidden.iter().any(|(_, short)| name != short && name.contains(short));
        let longer = shown.iter().map(|(_, name)| name.clone()).filter(holds_hidden).collect();
        Self { hidden, shown, longer }
    }

    /// Whether the text names a camera that may not be seen.
    fn name_hidden(&self, text: &str) -> bool {
        if self.hidden.is_empty() {
            return false;
        }
        let mut text = text.to_owned();
        for name in &self.longer {
            text = text.replace(name.as_str(), "-");
        }
        self.hidden.iter().any(|(id, name)| text.contains(id.as_str()) || has_word(&text, name))
    }

    /// Whether this is the identity or the name of a camera that may be seen.
    fn is_shown(&self, camera: &str) -> bool {
        self.shown.iter().any(|(id, name)| id == camera || name == camera)
    }
}

/// Whether the word is in the text, not only as part of another.
fn has_word(text: &str, word: &str) -> bool {
    let bounded = |(at, found): (usize, &str)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|t| t.chars().next());
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    };
    !word.is_empty() && text.match_indices(word).any(bounded)
}

/// Which entries of the action log may be handed out by somebody: those that tell of nothing that they may not see.
pub(super) struct Extract<'a> {
    /// Whose number it is.
    pub by: &'a str,
    /// Which cameras they may see.
    pub rights: &'a Rights,
    /// All there are.
    pub cameras: &'a [Camera],
    /// The cases that exist for them; `None` for whoever knows all.
    pub cases: Option<BTreeSet<CaseId>>,
    /// The suspect as they may know it.
    pub suspect: &'a Suspect,
}

impl Extract<'_> {
    /// Takes out what is not for them.
    pub fn pass(&self, entries: &mut Vec<ActionRecord>) {
        let words = Words::new(self.rights, self.cameras.iter());
        entries
            .retain(|entry| self.of_known_case(entry) && (*self.rights == Rights::All || self.is_seen(entry, &words)));
    }

    /// Of a case that does not exist for them nothing is told, but what they did themselves.
    fn of_known_case(&self, entry: &ActionRecord) -> bool {
        let Some(cases) = self.cases.as_ref().filter(|_| entry.user_cc != self.by) else { return true };
        let own = if entry.action == Action::ChangeCase { entry.target.as_deref() } else { None };
        let named = own.or_else(|| entry.details.get("case_id")?.as_str());
        named.is_none_or(|id| id.parse().is_ok_and(|id: CaseId| cases.contains(&id)))
    }

    fn is_seen(&self, entry: &ActionRecord, words: &Words) -> bool {
        let of_cameras = ["camera_id", "camera", "camera_ids", "cameras"];
        let cameras: Vec<_> = of_cameras.iter().filter_map(|key| entry.details.get(*key)).flat_map(texts).collect();
        if !cameras.iter().all(|camera| words.is_shown(camera)) {
            return false; // also of cameras that are gone
        }
        let why = match &entry.outcome {
            Outcome::Succeeded => None,
            Outcome::Refused(why) | Outcome::Failed(why) => Some(why.as_str()),
        };
        let mut said = texts(&entry.details).into_iter().chain(entry.target.as_deref()).chain(why);
        if said.any(|text| words.name_hidden(text)) {
            return false;
        }
        if self.suspect.camera == HIDDEN_CAMERA && entry.details.get("reason").is_some() && entry.user_cc != self.by {
            return false; // why it was marked where they may not look
        }
        // What others read or were given may be a sum over cameras that it does not name.
        let is_of_person = matches!(
            entry.action,
            Action::SelectSuspect | Action::EditSuspect | Action::EndSuspect | Action::DecideMatch
        );
        is_of_person || !cameras.is_empty() || entry.user_cc == self.by
    }
}

/// Every text in a value.
fn texts(value: &serde_json::Value) -> Vec<&str> {
    match value {
        serde_json::Value::String(text) => vec![text],
        serde_json::Value::Array(all) => all.iter().flat_map(texts).collect(),
        serde_json::Value::Object(all) => all.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::cameras::tests::camera;

    #[test]
    fn words_name_a_hidden_camera_only_as_a_whole() {
        let of = |name: &str| Camera { id: Uuid::now_v7(), name: name.to_owned(), ..camera() };
        let (gate, hidden_gate, hall) = (of("Gate 2"), of("Gate"), of("Hall"));
        let shown = [gate.id, hall.id];
        let words = Words::new(&Rights::Only(shown.into()), [&gate, &hidden_gate, &hall].into_iter());
        for text in ["Gate is away", "the clock of Gate jumped", "Gate", "Gate 2 and Gate", &hidden_gate.id.to_string()]
        {
            assert!(words.name_hidden(text), "{text}");
        }
        for text in ["Gate 2 is away", "Gateway", "Hall", "the store does not answer", ""] {
            assert!(!words.name_hidden(text), "{text}");
        }
        let all = Words::new(&Rights::All, [&gate, &hidden_gate, &hall].into_iter());
        assert!(!all.name_hidden("Gate is away"));
    }

    #[test]
    fn what_was_read_under_more_rights_is_not_shown_under_less() {
        let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
        let only = |cameras: &[CameraId]| Rights::Only(cameras.iter().copied().collect());
        assert!(
            Rights::All.covers(&only(&[a])) && only(&[a, b]).covers(&only(&[a])) && Rights::All.covers(&Rights::All)
        );
        assert!(!only(&[a]).covers(&Rights::All) && !only(&[a]).covers(&only(&[a, b])));
    }
}
