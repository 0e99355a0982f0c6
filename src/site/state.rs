//! What the screen may know and what it may ask for. Plain values: a test builds them by hand.
pub use super::jobs::JobCommand;
use super::log::{LogCommand, LogView};
use super::map::{MapCommand, MapState};
use super::review::{ReviewCommand, ReviewState};
pub use super::upload::UploadCommand;
use super::{AdminCommand, AdminState, BookmarkCommand, CaseCommand, CaseworkState, ExportCommand, ExportView};
pub use crate::model::{Job, MatchView};
use crate::{
    model::{
        Camera, CameraId, Characteristics, ClockOffset, Decision, Detection, Looked, Outline, Picture, Rect, Sighting,
        SightingId, Suspect, SuspectId, Timestamp, Track, TrackId, TrackletId, User,
    },
    sync::RefusedRecord,
    video::Frame,
};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// How a camera's stream is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CameraStatus {
    /// First connection under way.
    Connecting,
    /// Frames arrive.
    Live,
    /// No frame for longer than the stall limit, or the connection broke; being retried.
    Stale {
        /// Time of the last frame; `None` when there never was one.
        since: Option<Timestamp>,
        /// What went wrong, in words for the operator; never with credentials.
        reason: String,
        /// When the next attempt starts.
        retry_at: Timestamp,
    },
    /// Switched off.
    Inactive,
}

/// Which console keeps the records of a camera: detections, stays, video, proof of looking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keeper {
    /// There is only this one.
    #[default]
    Alone,
    /// This one, of several.
    Here,
    /// The one of this name.
    Other(String),
    /// None yet.
    Nobody,
}

/// What a camera's path has done since the site started, and its rates over the last seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CameraCounters {
    /// Decoded frames received.
    pub received: u64,
    /// Frames analysed.
    pub analysed: u64,
    /// Frames offered to the analysis that a newer one overtook before their turn (or that wait for it now). Frames above the
    /// configured rate of analysis are not offered.
    pub dropped: u64,
    /// Decoded frames per second, over the last two seconds.
    pub fps: f32,
    /// Analysed frames per second, over the last two seconds.
    pub analysed_fps: f32,
    /// Capture to boxes of the last analysed frame, milliseconds.
    pub latency_ms: f32,
}

/// A track with the suspect it is taken for.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackView {
    /// The track.
    pub track: Track,
    /// The suspect, when there is a match that nobody rejected.
    pub suspect: Option<MatchView>,
    /// The outline in the track's box, for a suspect; moves with the box. `None` where there is none that is fresh enough.
    pub outline: Option<Outline>,
}

/// A weapon that the detector reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeaponView {
    /// What and where, in pixels of the frame it was found on.
    pub detection: Detection,
    /// That frame's time.
    pub at: Timestamp,
}

/// One camera on the wall.
#[derive(Clone, Debug)]
pub struct CameraView {
    /// The camera.
    pub camera: Camera,
    /// How it is doing.
    pub status: CameraStatus,
    /// The newest frame; gone when the stream is stale for good.
    pub frame: Option<Frame>,
    /// The tracks of the newest analysed frame; predict each to the time of the frame on screen with [`Track::rect_at`].
    pub tracks: Arc<Vec<TrackView>>,
    /// The weapons found on the newest analysed frame.
    pub weapons: Arc<Vec<WeaponView>>,
    /// Numbers.
    pub counters: CameraCounters,
    /// How far the camera's own clock is from the console's; `None` where it does not tell.
    pub clock_offset: Option<ClockOffset>,
    /// Which console keeps its records.
    pub keeper: Keeper,
    /// Proof of looking: the minutes of the last hour that have ended, of all consoles, oldest first.
    pub looked: Arc<Vec<Looked>>,
}

/// A suspect with its picture.
#[derive(Clone, Debug)]
pub struct SuspectView {
    /// The suspect.
    pub suspect: Suspect,
    /// The crop that was clicked; `None` until loaded.
    pub crop: Option<Picture>,
}

/// A sighting with its picture.
#[derive(Clone, Debug)]
pub struct SightingView {
    /// The sighting.
    pub sighting: Sighting,
    /// Its best crop; `None` until loaded.
    pub crop: Option<Picture>,
}

impl SightingView {
    /// What an operator who decides about it now has seen.
    pub fn seen(&self) -> SeenMatch {
        SeenMatch { decision: self.sighting.decision.clone(), probability: self.sighting.probability }
    }

    /// The decision of an operator who sees this.
    pub fn judged(&self, judgement: Judgement) -> Command {
        Command::Decide { sighting: self.sighting.id, judgement, seen: self.seen() }
    }
}

/// How one store is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreHealth {
    /// `users`, `cameras`, `action log`, `objects`, `journal`; `clock` where this console's clock is not relied on.
    pub store: String,
    /// Records accepted and not yet delivered.
    pub backlog: u64,
    /// The last failure, in words; `None` when the last delivery went well.
    pub error: Option<String>,
    /// Since when the store takes nothing; `None` while it does.
    pub failing_since: Option<Timestamp>,
    /// Records that the store refused for what they are.
    pub set_aside: u64,
}

impl StoreHealth {
    /// Whether the store takes records, though it may have refused some.
    pub fn works(&self) -> bool {
        self.error.is_none() || (self.set_aside > 0 && self.failing_since.is_none())
    }
}

/// A thread or a task of this console that does not work as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailingWorker {
    /// What it does: `Analysis of Gate`.
    pub name: String,
    /// What is the matter, without a capital letter and a full stop.
    pub words: String,
    /// The camera, where it works for only one.
    pub camera: Option<CameraId>,
}

/// A video that comes, or came, as a file.
#[derive(Clone, Debug)]
pub struct UploadView {
    /// Identity on this console.
    pub id: Uuid,
    /// Name of the file.
    pub name: String,
    /// Whose video it is, once that is said.
    pub camera: Option<CameraId>,
    /// Wall clock of its first picture, once that is known.
    pub starts_at: Option<Timestamp>,
    /// Where that comes from.
    pub start_from: Option<StartFrom>,
    /// Bytes.
    pub size: u64,
    /// How long it really is; this and the next four are `None` until the file was looked at.
    pub duration: Option<Duration>,
    /// Width and height, pixels.
    pub resolution: Option<(u32, u32)>,
    /// `mp4 · h264`.
    pub format: Option<String>,
    /// Why there may be less in it than there was once.
    pub damage: Option<String>,
    /// Its first picture, small.
    pub thumbnail: Option<Picture>,
    /// The row of `uploads`, once it is uploaded.
    pub upload: Option<Uuid>,
    /// How far it is.
    pub stage: UploadStage,
}

/// Where the start of an uploaded video comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartFrom {
    /// The name of the file.
    Name,
    /// What the file itself says.
    File,
    /// A person.
    Operator,
}

/// How far an upload is.
#[derive(Clone, Debug, PartialEq)]
pub enum UploadStage {
    /// The file is being looked at.
    Looking,
    /// It waits for its camera and its start.
    Ready,
    /// It waits for its turn.
    Waiting,
    /// Being read and hashed; bytes so far.
    Reading(u64),
    /// Being stored; bytes so far.
    Storing(u64),
    /// Interrupted by the operator.
    Paused,
    /// A store does not take it; tried again by itself.
    Retrying {
        /// What is in the way, in words.
        why: String,
        /// When the next attempt starts.
        at: Timestamp,
    },
    /// Uploaded.
    Done,
    /// The rules said no: not a video, uploaded before, ….
    Refused(String),
    /// It went wrong for good.
    Failed(String),
}

impl UploadStage {
    /// Whether nothing more happens by itself or can be asked for.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Done | Self::Refused(_) | Self::Failed(_))
    }
}

/// A message for the operator, shown once as a toast.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Grows by one with every notice.
    pub serial: u64,
    /// When.
    pub at: Timestamp,
    /// How much it matters.
    pub level: NoticeLevel,
    /// One sentence.
    pub text: String,
    /// The sighting it is about, when it is a possible match.
    pub sighting: Option<SightingId>,
    /// What it is about, and so who is told.
    pub about: About,
    /// What it tells of can be taken back by this; offered for ten seconds.
    pub undo: Option<Undo>,
}

/// What a notice is about: only who may know that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// The console itself: nothing that somebody may not know.
    Everybody,
    /// What the user with this number asked for.
    User(String),
    /// These cameras, all of which one must be allowed to see.
    Cameras(Vec<CameraId>),
    /// Every camera there is, added up.
    AllCameras,
    /// A suspect.
    Suspect(SuspectId),
    /// A possible match.
    Match {
        /// The match.
        sighting: SightingId,
        /// Where.
        camera: CameraId,
    },
}

/// A decision that can be taken back. It names what it was, so that nothing later is undone by it.
#[derive(Clone, Debug, PartialEq)]
pub enum Undo {
    /// What was said of a possible match; it waits again.
    Match {
        /// The match.
        sighting: SightingId,
        /// What was said.
        decision: Decision,
    },
    /// The end of a follow; it goes on.
    End {
        /// Whose.
        suspect: SuspectId,
        /// When it was ended.
        ended_at: Timestamp,
    },
    /// That a proposed suspect was confirmed or dropped; it waits again, where there is time left.
    Proposal {
        /// The suspect.
        suspect: SuspectId,
        /// Until when it waits for a decision.
        until: Timestamp,
    },
}

/// What an operator says of a possible match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It shows the suspect.
    Confirm,
    /// It shows somebody else.
    Reject,
    /// What was said before is taken back; it waits again.
    Undecide,
}

/// A possible match as the operator saw it when deciding. The site refuses a decision about a match that is no longer this.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenMatch {
    /// What had been decided.
    pub decision: Decision,
    /// Its probability.
    pub probability: f32,
}

/// A person that was clicked, on the very frame that was on screen.
#[derive(Clone, Debug)]
pub struct Clicked {
    /// The camera.
    pub camera: CameraId,
    /// The track.
    pub track: TrackId,
    /// The frame.
    pub frame: Frame,
    /// The box on that frame, pixels.
    pub rect: Rect,
}

/// What the site keeps of the person whose card is open.
#[derive(Clone, Debug)]
pub struct CardView {
    /// The camera.
    pub camera: CameraId,
    /// The track.
    pub track: TrackId,
    /// The instant that was clicked.
    pub at: Timestamp,
    /// How many good looks at this person a suspect would be compared by; `None` until that is known.
    pub looks: Option<usize>,
    /// Why the clicked picture itself is no good look (too small, covered, cut off), in words; `None` where it is one, or not known yet.
    pub poor: Option<String>,
    /// A better instant of the same track, where the clicked picture is poor and there is one.
    pub better: Option<Better>,
}

/// A better look at the person whose card is open.
#[derive(Clone, Debug)]
pub struct Better {
    /// When.
    pub at: Timestamp,
    /// The frame.
    pub frame: Frame,
    /// The box on that frame, pixels.
    pub rect: Rect,
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeLevel {
    /// Good to know.
    Info,
    /// A suspect may have been seen.
    Alert,
    /// Something went wrong.
    Error,
}

/// Who is at the console.
#[derive(Clone, Debug, PartialEq)]
pub enum Access {
    /// No user exists yet: the first start.
    FirstStart,
    /// Somebody must log in; `error` says why the last attempt was refused, `locked_until` when the next is accepted.
    LoggedOut {
        /// Why the last attempt did not work, in words.
        error: Option<String>,
        /// No attempt is accepted before.
        locked_until: Option<Timestamp>,
    },
    /// A command of [`Command::Login`] or [`Command::CreateAdministrator`] is being worked on.
    Working,
    /// Logged in.
    LoggedIn(User),
}

/// When the session of whoever is logged in ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimes {
    /// When the console was used last, as far as [`Command::StillHere`] told.
    pub used_at: Timestamp,
    /// When the session ends, unless the console is used.
    pub ends_at: Timestamp,
    /// When it ends in any case.
    pub ends_at_latest: Timestamp,
}

/// Everything the screen shows, at one instant. Cheap to make for every repaint.
#[derive(Clone, Debug)]
pub struct SiteState {
    /// The instant.
    pub now: Timestamp,
    /// The site's name.
    pub name: String,
    /// Who is at the console.
    pub access: Access,
    /// All cameras, in the order of the wall.
    pub cameras: Vec<CameraView>,
    /// All suspects, newest first.
    pub suspects: Vec<Arc<SuspectView>>,
    /// All sightings, newest first.
    pub sightings: Vec<Arc<SightingView>>,
    /// The reasons used last, newest first, without repeats, at most eight.
    pub recent_reasons: Vec<String>,
    /// When the session ends; `None` while nobody is logged in.
    pub session: Option<SessionTimes>,
    /// Users and rights, for administrators; how the last command about them ended.
    pub admin: Arc<AdminState>,
    /// What is watched of the recordings, and the timeline.
    pub review: ReviewState,
    /// Bookmarks and cases.
    pub casework: Arc<CaseworkState>,
    /// Videos that come as files, newest first.
    pub uploads: Vec<UploadView>,
    /// Analyses of recorded video, newest first.
    pub jobs: Vec<Arc<Job>>,
    /// The export that whoever is at the console asked for.
    pub export: Option<ExportView>,
    /// The map's tiles, and a suspect's whole movement.
    pub map: MapState,
    /// The action log, as far as the user has read it.
    pub log: LogView,
    /// How each store is doing.
    pub stores: Vec<StoreHealth>,
    /// What does not work as it should on this console.
    pub failing: Vec<FailingWorker>,
    /// The records that stores refused for what they are, for administrators, oldest first; the journal keeps them.
    pub refused: Arc<Vec<RefusedRecord>>,
    /// Notices not yet forgotten, oldest first.
    pub notices: Vec<Notice>,
    /// Detector, device and appearance model in use, in words: `NanoDet-g on CPU · appearance: colour stripes`.
    pub analysis: String,
    /// The search among everybody seen that [`Command::Find`] started.
    pub find: Option<Arc<FindView>>,
    /// What is kept of the person whose card is open.
    pub card: Option<CardView>,
    /// The cameras whose video this console is recording now, of those the user may see.
    pub recording: Vec<CameraId>,
    /// Whether closing this console would end any recording, also of cameras that the user may not see.
    pub records: bool,
}

/// Who is searched for.
#[derive(Clone, Debug)]
pub enum FindWho {
    /// A suspect, by its gallery.
    Suspect(SuspectId),
    /// The person in a box, by what was seen of that track.
    Person {
        /// The camera.
        camera: CameraId,
        /// The track.
        track: TrackId,
        /// The frame that was clicked.
        frame: Frame,
        /// The box on that frame, pixels.
        rect: Rect,
    },
}

/// A search among everybody seen: each step is an entry of the action log.
#[derive(Clone, Debug)]
pub enum FindCommand {
    /// Ranks whoever was seen by how probably it is this person.
    Start {
        /// Whom to search for.
        who: FindWho,
        /// On these cameras; `None` for all that the user may see.
        cameras: Option<Vec<CameraId>>,
        /// Still in view at this instant or later.
        from: Timestamp,
        /// In view before this instant.
        until: Timestamp,
    },
    /// Says whether a hit is the person. The ranking improves by it; for a suspect it is a sighting, confirmed or rejected.
    Judge {
        /// The hit.
        tracklet: TrackletId,
        /// The same person, or somebody else.
        same: bool,
    },
    /// Closes the search.
    Close,
}

/// The search as it stands.
#[derive(Clone, Debug)]
pub struct FindView {
    /// Whom, in words.
    pub who: String,
    /// The suspect, if it is one.
    pub suspect: Option<SuspectId>,
    /// A picture of whom.
    pub picture: Option<Picture>,
    /// The cameras searched.
    pub cameras: Vec<CameraId>,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Appearances compared.
    pub compared: usize,
    /// The most probable, best first.
    pub hits: Vec<HitView>,
}

/// One stay of somebody who may be the person.
#[derive(Clone, Debug)]
pub struct HitView {
    /// Which stay.
    pub tracklet: TrackletId,
    /// Where.
    pub camera: CameraId,
    /// From when.
    pub starts_at: Timestamp,
    /// To when.
    pub ends_at: Timestamp,
    /// How probably it is the person.
    pub probability: f32,
    /// Its picture.
    pub crop: Option<Picture>,
    /// The person on that picture, to be marked like one who was clicked; `None` while there is no picture, or no record of the stay.
    pub person: Option<Clicked>,
    /// What the operator said of it.
    pub judged: Option<bool>,
}

/// What the screen asks the site to do. The answer is a later [`SiteState`].
#[derive(Clone, Debug)]
pub enum Command {
    /// Creates the first user, an administrator, and logs them in. Refused once any user exists.
    CreateAdministrator {
        /// Citizen-card or badge number.
        cc: String,
        /// Full name.
        name: String,
        /// E-mail.
        email: String,
        /// At least 15 characters, see the store of users.
        password: String,
    },
    /// Logs in.
    Login {
        /// Citizen-card or badge number.
        cc: String,
        /// Password.
        password: String,
    },
    /// Somebody uses the console: a key, a click, a move of the mouse. Keeps the session; worth saying every few seconds.
    StillHere,
    /// Logs out.
    Logout,
    /// Marks the person under `rect` on `frame` as a suspect.
    SelectSuspect {
        /// The camera.
        camera: CameraId,
        /// The track that was clicked.
        track: TrackId,
        /// The very frame that was clicked.
        frame: Frame,
        /// The box on that frame, pixels.
        rect: Rect,
        /// Why.
        reason: String,
        /// For how long the suspect is followed.
        expires_in: Duration,
    },
    /// Confirms or rejects a possible match, or takes that back. The last decision counts, all are logged.
    Decide {
        /// The match.
        sighting: SightingId,
        /// What the operator says.
        judgement: Judgement,
        /// What the operator saw.
        seen: SeenMatch,
    },
    /// Takes a decision back.
    Undo(Undo),
    /// The card of a person was opened: what was seen of the track up to the click is kept until [`CloseCard`](Self::CloseCard), or
    /// until another card opens.
    OpenCard(Clicked),
    /// The card was closed.
    CloseCard,
    /// Stops following a suspect; the record stays.
    EndSuspect(SuspectId),
    /// Says how a suspect looks: corrected colours, what is carried, notes. Replaces what was said before.
    EditSuspect {
        /// Who.
        suspect: SuspectId,
        /// How this person looks.
        characteristics: Characteristics,
    },
    /// Manages users and cameras, for administrators; or one's own password.
    Administer(AdminCommand),
    /// Confirms or drops a suspect that the console proposed.
    DecideProposal {
        /// The suspect.
        suspect: SuspectId,
        /// Confirm, or drop.
        confirm: bool,
        /// Until when it waited, as it was shown: a proposal that is no longer this one is refused.
        until: Timestamp,
    },
    /// Searches everybody seen.
    Find(FindCommand),
    /// Reads, verifies or exports the action log (administrators only; itself logged).
    Log(LogCommand),
    /// About videos that come as files.
    Upload(UploadCommand),
    /// About analyses of recorded video.
    Job(JobCommand),
    /// About recordings that are watched, and their timeline.
    Review(ReviewCommand),
    /// Hands out evidence.
    Export(ExportCommand),
    /// Puts or removes a bookmark.
    Bookmark(BookmarkCommand),
    /// Reads what the map shows.
    Map(MapCommand),
    /// Does something to a case.
    Case(CaseCommand),
    /// Offers records again that their stores had refused (administrators only).
    OfferAgain(Vec<i64>),
}
