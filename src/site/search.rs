//! Searching everybody seen: a fresh suspect at once in the past hours, and anybody an operator asks for over chosen cameras and
//! hours. A hit is a possible match with a probability; a person decides, and what is decided improves what follows.
use super::{
    About, Clicked, Judgement, NoticeLevel, Shared,
    cards::Card,
    gate::Gate,
    state::{FindCommand, FindView, FindWho, HitView},
};
use crate::{
    follow::{Gallery, Hit, Index, Stay, match_probability},
    model::{
        Action, CameraId, Decision, Descriptor, Outcome, Picture, Rights, Sighting, Suspect, SuspectId, Timestamp,
        Tracklet, TrackletId, User,
    },
    store::{StoreError, TrackletFilter},
    supervise::Pulse,
    sync::Record,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};

/// Tracklets read from the store at once.
const PAGE: u32 = 1000;
/// Stays looked at more closely after the pass over all.
const CANDIDATES: usize = 200;
/// Sightings that one search in the past may leave to decide on.
const MOST_SIGHTINGS: usize = 30;
/// Hits shown to whoever searches.
const MOST_HITS: usize = 40;
/// Suspects waiting for their search; more at once are not searched for, and the operator is told.
const WAITING: usize = 64;
/// Whoever had just left when a suspect was marked is in the records so much later, and is searched for then.
const LAST_STAYS_AFTER: Duration = Duration::from_secs(6);
/// Looks kept of somebody searched for.
const LOOKS: usize = 24;
/// What another console saw is stored at most so much later, or found after the next start.
const LATE: Duration = Duration::from_secs(600);
/// How far back the index in memory reaches at least, seconds.
const IN_MEMORY: f64 = 24.0 * 3600.0;

/// What can be searched, and the search on screen.
pub(super) struct Search {
    index: Mutex<Index>,
    /// Committed and not in the index yet: whoever records never waits for whoever searches.
    fresh: Mutex<Vec<Tracklet>>,
    loaded: tokio::sync::OnceCell<Timestamp>,
    /// When what other consoles saw was read last.
    others_read: Mutex<Option<Timestamp>>,
    /// Suspects to be searched in the past.
    waiting: mpsc::Sender<SuspectId>,
    /// Held by the task that searches for those who were marked.
    receiver: tokio::sync::Mutex<mpsc::Receiver<SuspectId>>,
    find: Mutex<Option<Find>>,
}

/// The search on screen.
struct Find {
    /// Who searches: nobody else sees it.
    user: String,
    /// What the user could see then.
    rights: Rights,
    suspect: Option<SuspectId>,
    who: Gallery,
    strangers: Vec<Gallery>,
    judged: BTreeMap<TrackletId, bool>,
    hits: Vec<(Hit, f32)>,
    pictures: BTreeMap<TrackletId, (Picture, Option<Clicked>)>,
    range: Range,
    view: Arc<FindView>,
}

/// Whoever is searched for.
struct Wanted {
    suspect: Option<SuspectId>,
    label: String,
    picture: Option<Picture>,
    looks: Vec<Descriptor>,
}

/// Where and when to look.
#[derive(Clone)]
struct Range {
    cameras: Vec<CameraId>,
    from: Timestamp,
    until: Timestamp,
}

impl Range {
    fn holds(&self, stay: &Stay) -> bool {
        stay.ends_at >= self.from && stay.starts_at < self.until && self.cameras.contains(&stay.camera)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Search {
    /// Nothing read yet.
    pub fn new() -> Self {
        let (waiting, receiver) = mpsc::channel(WAITING);
        Self {
            index: Mutex::default(),
            fresh: Mutex::default(),
            loaded: tokio::sync::OnceCell::new(),
            others_read: Mutex::default(),
            waiting,
            receiver: tokio::sync::Mutex::new(receiver),
            find: Mutex::default(),
        }
    }

    /// Takes what was committed; never waits for a search.
    pub fn committed(&self, records: &[Record]) {
        let tracklets = records.iter().filter_map(|r| if let Record::Tracklet(t) = r { Some(t) } else { None });
        lock(&self.fresh).extend(tracklets.filter(|t| !t.gallery.is_empty()).cloned());
    }

    /// Asks for a search in the past.
    pub fn ask(&self, suspect: SuspectId) -> bool {
        self.waiting.try_send(suspect).is_ok()
    }

    /// The search on screen of whoever is logged in, unless they may see less by now: it is of all that they could see then.
    pub fn view(&self, gate: &Gate) -> Option<Arc<FindView>> {
        let own = |find: &&Find| gate.is_for(&find.user) && gate.covers(&find.rights);
        lock(&self.find).as_ref().filter(own).map(|find| Arc::clone(&find.view))
    }

    /// Whether the stay is a hit of the search on that screen.
    pub fn shows(&self, gate: &Gate, stay: TrackletId) -> bool {
        self.view(gate).is_some_and(|view| view.hits.iter().any(|hit| hit.tracklet == stay && gate.camera(hit.camera)))
    }

    /// The index with what came since the last search.
    fn index(&self) -> MutexGuard<'_, Index> {
        let mut index = lock(&self.index);
        for tracklet in std::mem::take(&mut *lock(&self.fresh)) {
            index.put(&tracklet);
        }
        index
    }
}

impl Shared {
    /// Searches the past for suspects as they are marked; ends with the site.
    pub(super) async fn search_for_fresh_suspects(&self, pulse: &Pulse) {
        let mut receiver = self.search.receiver.lock().await;
        pulse.beat();
        if let Err(error) = self.loaded_index().await {
            self.trouble(About::Everybody, format!("What was seen before cannot be searched: {error}"));
        }
        let mut again: VecDeque<(Instant, SuspectId, Timestamp)> = VecDeque::new();
        loop {
            let next = again.front().map(|(at, ..)| *at);
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let (suspect, until) = tokio::select! {
                asked = receiver.recv() => {
                    let Some(suspect) = asked else { return };
                    let now = self.records.clock.now();
                    again.push_back((Instant::now() + LAST_STAYS_AFTER, suspect, now));
                    (suspect, now)
                }
                () = due => {
                    let Some((_, suspect, until)) = again.pop_front() else { continue };
                    (suspect, until)
                }
            };
            pulse.beat();
            if let Err(error) = self.search_back(suspect, until).await {
                self.trouble(About::Everybody, format!("The past could not be searched for the new suspect: {error}"));
            }
        }
    }

    /// Once a minute: what is too old to be searched from memory is forgotten.
    pub(super) fn tidy_search(&self) {
        let Some(from) = self.search.loaded.get() else { return };
        let kept = self.records.clock.now().minus(self.in_memory());
        self.search.index().forget_before(kept.max(*from));
    }

    fn in_memory(&self) -> Duration {
        let hours = self.config.follow.search_back_hours * 3600.0;
        Duration::try_from_secs_f64(hours.max(IN_MEMORY)).unwrap_or(Duration::from_secs(86_400))
    }

    /// Reads what earlier runs saw, once; answers from when on the index is whole.
    async fn loaded_index(&self) -> Result<Timestamp, StoreError> {
        let read = || async {
            let from = self.records.clock.now().minus(self.in_memory());
            let filter = TrackletFilter { from: Some(from), ..TrackletFilter::default() };
            let now = self.records.clock.now();
            self.read_tracklets(filter, |t| lock(&self.search.index).put(t)).await?;
            *lock(&self.search.others_read) = Some(now);
            Ok(from)
        };
        self.search.loaded.get_or_try_init(read).await.copied()
    }

    /// Reads what other consoles have seen lately into the index. While the database does not answer, nobody here knows of it.
    async fn read_others(&self) {
        if self.duty.is_alone() {
            return;
        }
        let now = self.records.clock.now();
        let from = (*lock(&self.search.others_read)).unwrap_or(now.minus(self.in_memory())).minus(LATE);
        let filter = TrackletFilter { from: Some(from), ..TrackletFilter::default() };
        if self.read_tracklets(filter, |t| lock(&self.search.index).put(t)).await.is_ok() {
            *lock(&self.search.others_read) = Some(now);
        }
    }

    async fn read_tracklets(
        &self,
        mut filter: TrackletFilter,
        mut each: impl FnMut(&Tracklet),
    ) -> Result<(), StoreError> {
        (filter.vectors, filter.limit) = (true, PAGE);
        loop {
            let page = self.records.stores.cameras.tracklets(&filter).await?;
            page.iter().for_each(&mut each);
            match page.last() {
                Some(last) if page.len() == PAGE as usize => filter.before = Some((last.starts_at, last.id)),
                _ => return Ok(()),
            }
        }
    }

    /// The stays in `range` that look most like `who`; how many looks were compared.
    async fn people_like(&self, who: &[Descriptor], range: &Range, k: usize) -> Result<(Vec<Hit>, usize), StoreError> {
        if range.from >= self.loaded_index().await?.plus(Duration::from_secs(1)) {
            self.read_others().await;
            return Ok(tokio::task::block_in_place(|| {
                let index = self.search.index();
                (index.search(who, k, |stay| range.holds(stay)), index.count(|stay| range.holds(stay)))
            }));
        }
        let mut index = Index::default();
        let filter = TrackletFilter {
            cameras: Some(range.cameras.clone()),
            from: Some(range.from),
            until: Some(range.until),
            ..TrackletFilter::default()
        };
        self.records.delivery.flush().await; // the newest may still be on their way
        self.read_tracklets(filter, |t| index.put(t)).await?;
        Ok(tokio::task::block_in_place(|| {
            (index.search(who, k, |stay| range.holds(stay)), index.count(|stay| range.holds(stay)))
        }))
    }

    /// A fresh suspect is searched in the past: what is probable enough becomes a sighting to decide on.
    async fn search_back(&self, id: SuspectId, until: Timestamp) -> Result<(), StoreError> {
        let Some(suspect) = self.board.lock().suspect(id).map(|v| v.suspect.clone()) else { return Ok(()) };
        let hours = self.config.follow.search_back_hours;
        if hours <= 0.0 || !self.config.follow.live_follow || suspect.gallery.is_empty() {
            return Ok(());
        }
        let back = Duration::try_from_secs_f64(hours * 3600.0).unwrap_or_default();
        let cameras = self.cameras.paths().iter().map(|p| p.camera.id).collect();
        // Marked on a recording, the suspect may have been seen after that instant, too.
        let range = Range { cameras, from: suspect.marked_at.minus(back), until };
        let (hits, _) = self.people_like(&suspect.gallery, &range, CANDIDATES).await?;
        let _order = self.order.lock().await;
        let sightings = self.past_sightings(&suspect, hits);
        let mut records: Vec<Record> = sightings.iter().map(|(s, _)| Record::Sighting(s.clone())).collect();
        if records.is_empty() || !self.commit(&records, "What was seen before was not recorded").await {
            return Ok(());
        }
        records.clear();
        let mut pictures = Vec::new();
        for (sighting, looks) in &sightings {
            pictures.push(self.picture(&sighting.crop_url).await);
            self.follower().remember(sighting.id, looks);
        }
        let mut board = self.board.lock();
        // How often it was seen is told of the cameras that whoever is there may see, to whom may see all of those.
        let shown = sightings.iter().map(|(s, _)| s.camera).filter(|camera| board.rights.allow(*camera));
        let (seen, about) = (shown.clone().count(), About::Cameras(shown.collect()));
        for ((sighting, _), picture) in sightings.into_iter().zip(pictures) {
            board.put_sighting(sighting, picture);
        }
        if seen > 0 {
            let times = if seen == 1 { "once".to_owned() } else { format!("{seen} times") };
            let text = format!(
                "{}: possibly seen {times} in the last {hours:.0} h. Confirm or reject in the inbox",
                suspect.label
            );
            board.notice(self.records.clock.now(), NoticeLevel::Info, text, about);
        }
        Ok(())
    }

    /// The hits that are probable enough and could be one person: at any instant in one place, the more probable first.
    fn past_sightings(&self, suspect: &Suspect, hits: Vec<Hit>) -> Vec<(Sighting, Gallery)> {
        let follower = self.follower();
        let mut rated: Vec<(f32, Hit)> = hits
            .into_iter()
            .filter_map(|hit| Some((follower.probability_of(suspect.id, &Gallery::new(hit.looks.clone()))?, hit)))
            .filter(|(p, _)| *p >= self.config.follow.list)
            .collect();
        rated.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.stay.id.cmp(&b.1.stay.id)));
        let known =
            self.board.lock().sightings().into_iter().map(|v| v.sighting.clone()).filter(|s| s.suspect == suspect.id);
        let mut taken: Vec<(CameraId, Timestamp, Timestamp)> =
            known.map(|s| (s.camera, s.entered_at, s.left_at.unwrap_or(s.last_seen_at))).collect();
        let mut sightings = Vec::new();
        for (probability, hit) in rated {
            let Stay { camera, starts_at, ends_at, .. } = hit.stay;
            let elsewhere = |&(c, from, until): &(CameraId, Timestamp, Timestamp)| {
                starts_at <= until && from <= ends_at && !follower.may_be_in_both(camera, c)
            };
            if sightings.len() >= MOST_SIGHTINGS || taken.iter().any(elsewhere) {
                continue;
            }
            taken.push((camera, starts_at, ends_at));
            sightings.push((hit.stay.sighting(suspect.id, probability), Gallery::new(hit.looks)));
        }
        sightings
    }

    /// What the person of a sighting looked like, where no live track says it: from the tracklet of that stay.
    pub(super) async fn recall(&self, sighting: &Sighting) {
        if self.follower().remembers(sighting) {
            return;
        }
        let filter = TrackletFilter {
            cameras: Some(vec![sighting.camera]),
            from: Some(sighting.entered_at),
            until: Some(sighting.last_seen_at.plus(Duration::from_micros(1))),
            vectors: true,
            ..TrackletFilter::default()
        };
        let Ok(found) = self.records.stores.cameras.tracklets(&filter).await else { return }; // the decision counts all the same
        if let Some(t) = found.into_iter().find(|t| t.track == sighting.track && !t.gallery.is_empty()) {
            self.follower().remember(sighting.id, &Gallery::new(t.gallery));
        }
    }

    /// Does what the search panel asks.
    pub(super) async fn find(&self, user: &User, command: FindCommand, card: Option<&Card>) {
        match command {
            FindCommand::Start { who, cameras, from, until } => {
                let found = self.who_is(who, card).await;
                self.start_find(user, found, cameras, from, until).await;
            }
            FindCommand::Judge { tracklet, same } => self.judge(user, tracklet, same).await,
            FindCommand::Close => *lock(&self.search.find) = None,
        }
    }

    /// How whoever is searched for looks; `None` where there is no such suspect.
    async fn who_is(&self, who: FindWho, card: Option<&Card>) -> Option<Wanted> {
        match who {
            FindWho::Suspect(id) => {
                let (view, rights) = {
                    let board = self.board.lock();
                    (board.suspect(id).cloned()?, board.rights.clone())
                };
                let picture = view.crop.filter(|_| rights.allow(view.suspect.camera));
                let (label, looks) = (view.suspect.label, view.suspect.gallery);
                Some(Wanted { suspect: Some(id), label, picture, looks })
            }
            FindWho::Person { camera, track, frame, rect } => {
                let label = format!("person in {} at {}", self.camera_name(camera), frame.captured_at().local_time());
                let picture = super::analysis::crop(&frame, rect);
                let (looks, _) = self.looks_of(&Clicked { camera, track, frame, rect }, card).await;
                Some(Wanted { suspect: None, label, picture, looks })
            }
        }
    }

    async fn start_find(
        &self,
        user: &User,
        who: Option<Wanted>,
        cameras: Option<Vec<CameraId>>,
        from: Timestamp,
        until: Timestamp,
    ) {
        let rights = self.board.lock().rights.clone();
        let cameras: Vec<CameraId> = {
            let all = self.cameras.paths();
            let allowed = all.iter().map(|p| p.camera.id).filter(|id| rights.allow(*id));
            allowed.filter(|id| cameras.as_ref().is_none_or(|some| some.contains(id))).collect()
        };
        let Some(Wanted { suspect, label, picture, looks }) = who else { return };
        let range = Range { cameras, from, until };
        let mut find = Find {
            user: user.cc.clone(),
            rights,
            suspect,
            who: Gallery::new(looks),
            strangers: Vec::new(),
            judged: BTreeMap::new(),
            hits: Vec::new(),
            pictures: BTreeMap::new(),
            view: Arc::new(FindView {
                who: label,
                suspect,
                picture,
                cameras: range.cameras.clone(),
                from,
                until,
                compared: 0,
                hits: Vec::new(),
            }),
            range,
        };
        let done = self.rank(&mut find).await;
        let outcome = match &done {
            Ok(()) if find.who.is_empty() => Outcome::Refused("the picture is too small to compare".to_owned()),
            Ok(()) => Outcome::Succeeded,
            Err(error) => Outcome::Failed(error.to_string()),
        };
        let refused =
            if let Outcome::Refused(why) | Outcome::Failed(why) = &outcome { Some(why.clone()) } else { None };
        let mut entry = self.records.entry((&user.cc, &user.name), Action::FindPerson, outcome);
        entry.target = suspect.map(|id| id.to_string());
        let names: Vec<String> = find.range.cameras.iter().map(|id| self.camera_name(*id)).collect();
        entry.details = json!({
            "who": find.view.who, "cameras": names, "from": from.to_string(), "until": until.to_string(),
            "compared": find.view.compared, "hits": find.hits.len(),
        });
        // Who searches unrecorded finds nothing.
        if !self.commit(&[Record::Action(entry)], "The search was not recorded and not done").await {
            return;
        }
        match refused {
            Some(why) => self.error(format!("Nobody can be searched for: {why}")),
            None => *lock(&self.search.find) = Some(find),
        }
    }

    /// Ranks anew: the pass over all, then the probability of the best.
    async fn rank(&self, find: &mut Find) -> Result<(), StoreError> {
        if let Some(id) = find.suspect {
            let gallery = self.board.lock().suspect(id).map(|v| v.suspect.gallery.clone()).unwrap_or_default();
            find.who = Gallery::new(gallery);
        }
        let (hits, compared) = self.people_like(find.who.vectors(), &find.range, CANDIDATES).await?;
        let curves = self.follower().curves();
        let rate = |looks: &Gallery| match find.suspect {
            Some(id) => self.follower().probability_of(id, looks),
            None => None,
        };
        find.hits = hits
            .into_iter()
            .map(|hit| {
                let looks = Gallery::new(hit.looks.clone());
                let p = rate(&looks)
                    .unwrap_or_else(|| match_probability(&curves, &find.who, find.strangers.iter(), &looks));
                (hit, p)
            })
            .collect();
        find.hits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.stay.id.cmp(&b.0.stay.id)));
        find.hits.truncate(MOST_HITS);
        for (hit, _) in &find.hits {
            if !find.pictures.contains_key(&hit.stay.id)
                && let Some(picture) = self.picture(&hit.stay.crop_url).await
            {
                let person = self.person_of(&hit.stay, &picture).await;
                find.pictures.insert(hit.stay.id, (picture, person));
            }
        }
        let hits = find.hits.iter().map(|(hit, probability)| HitView {
            tracklet: hit.stay.id,
            camera: hit.stay.camera,
            starts_at: hit.stay.starts_at,
            ends_at: hit.stay.ends_at,
            probability: *probability,
            crop: find.pictures.get(&hit.stay.id).map(|(picture, _)| picture.clone()),
            person: find.pictures.get(&hit.stay.id).and_then(|(_, person)| person.clone()),
            judged: find.judged.get(&hit.stay.id).copied().or_else(|| self.decided(find.suspect?, &hit.stay)),
        });
        find.view = Arc::new(FindView { hits: hits.collect(), compared, ..(*find.view).clone() });
        Ok(())
    }

    /// What was decided of a stay before, here or in the inbox.
    fn decided(&self, suspect: SuspectId, stay: &Stay) -> Option<bool> {
        match &self.board.lock().sighting(stay.clone().sighting(suspect, 0.0).id)?.sighting.decision {
            Decision::Origin | Decision::Confirmed { .. } => Some(true),
            Decision::Rejected { .. } => Some(false),
            Decision::Pending | Decision::Withdrawn { .. } => None,
        }
    }

    /// An operator says whether a hit is the person: of a suspect that is a sighting, decided; for all it improves the ranking.
    async fn judge(&self, user: &User, tracklet: TrackletId, same: bool) {
        let Some(mut find) = lock(&self.search.find).take_if(|find| find.user == user.cc) else { return };
        let Some((hit, probability)) = find.hits.iter().find(|(hit, _)| hit.stay.id == tracklet).cloned() else {
            *lock(&self.search.find) = Some(find);
            return;
        };
        let looks = Gallery::new(hit.looks.clone());
        let recorded = match find.suspect {
            Some(id) => {
                let crop = find.pictures.get(&tracklet).map(|(picture, _)| picture.clone());
                self.judge_of_suspect(user, id, &hit, probability, crop, same).await
            }
            None => {
                let mut entry = self.records.entry((&user.cc, &user.name), Action::FindPerson, Outcome::Succeeded);
                entry.details =
                    json!({ "who": find.view.who, "tracklet": tracklet, "same": same, "probability": probability });
                self.commit(&[Record::Action(entry)], "That was not recorded and not done").await
            }
        };
        if recorded {
            find.judged.insert(tracklet, same);
            if same {
                for look in looks.vectors() {
                    find.who.add(look, LOOKS);
                }
            } else {
                find.strangers.push(looks);
            }
            if let Err(error) = self.rank(&mut find).await {
                self.error(format!("The ranking could not be improved: {error}"));
            }
        }
        *lock(&self.search.find) = Some(find);
    }

    async fn judge_of_suspect(
        &self,
        user: &User,
        suspect: SuspectId,
        hit: &Hit,
        probability: f32,
        crop: Option<Picture>,
        same: bool,
    ) -> bool {
        let sighting = hit.stay.clone().sighting(suspect, probability);
        let id = sighting.id;
        {
            let _order = self.order.lock().await;
            let known = self.board.lock().sighting(id).is_some();
            if !known {
                if !self.commit(&[Record::Sighting(sighting.clone())], "That was not recorded and not done").await {
                    return false;
                }
                self.board.lock().put_sighting(sighting, crop);
            }
            self.follower().remember(id, &Gallery::new(hit.looks.clone()));
        }
        let judgement = if same { Judgement::Confirm } else { Judgement::Reject };
        self.decide(user, id, judgement, None).await;
        self.board.lock().sighting(id).is_some_and(|v| !v.sighting.decision.is_pending())
    }
}
