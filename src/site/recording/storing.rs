//! Recorded files on their way from the spool into the store. Each is in one of these states, which its files in the spool tell, also
//! to the next run:
//!
//! | in the spool | state |
//! |---|---|
//! | `X.mkv`, `X.json` | whole; to be stored |
//! | `X.json` | in the store; the database does not know of it yet |
//! | `X.lost` | given up; the gap that says so is not recorded yet |
//! | nothing | stored and known, or lost and told |
//!
//! One that cannot be stored holds up no other, and what is in the store is never told as lost.
use super::{FIRST_PAUSE, LONGEST_PAUSE, Recording, addressed, bytes};
use crate::{
    model::{Gap, Segment},
    site::{About, Shared},
    store::{StoreError, key_of_url},
    supervise::Pulse,
    sync::{JournalError, Record},
    video::{RecorderError, Recovered, Spooled, recover},
};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Files stored at once: of a store that is far away the answers take longer than the files (64 cameras make six files a second).
const AT_ONCE: usize = 4;
/// Between two attempts with a file that cannot be read, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
const FULL: &str = "The store did not take recordings, and this machine could hold no more of them";

/// Why a file is not stored.
#[derive(Debug, thiserror::Error)]
enum NotStored {
    /// It is neither in the spool nor in the store.
    #[error("its file is gone from this machine")]
    Lost,
    /// This file alone: another one may well be stored.
    #[error("{0}")]
    File(String),
    /// The store takes nothing.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far one file is.
#[derive(Default)]
struct Progress {
    under_way: bool,
    /// In the store; the database does not know of it yet.
    in_store: bool,
    /// It failed: when it is tried again, and how long was waited before.
    failed: Option<(Instant, Duration)>,
}

/// What waits in the spool.
#[derive(Default)]
pub(super) struct Spool {
    /// Oldest first.
    files: VecDeque<Spooled>,
    progress: BTreeMap<Uuid, Progress>,
    /// Given up, and the gaps are not recorded yet.
    lost: Vec<(Spooled, &'static str)>,
}

impl Spool {
    /// What an earlier run left there.
    pub fn found(place: &Path) -> Result<Self, RecorderError> {
        let Recovered { whole, described, lost } = recover(place)?;
        let mut spool = Self { lost: lost.into_iter().map(|spooled| (spooled, FULL)).collect(), ..Self::default() };
        // Whether what is only described is in the store is asked when its turn comes.
        let mut files: Vec<_> = whole.into_iter().chain(described).map(addressed).collect();
        files.sort_by_key(|spooled| spooled.segment.starts_at);
        spool.files = files.into();
        Ok(spool)
    }

    pub fn push(&mut self, spooled: Spooled) {
        self.files.push_back(spooled);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Spooled> {
        self.files.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Spooled> {
        self.files.iter_mut()
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The oldest whose turn it is.
    fn next(&mut self, now: Instant) -> Option<Spooled> {
        let progress = &self.progress;
        let due = |spooled: &&Spooled| {
            progress
                .get(&spooled.segment.id)
                .is_none_or(|p| !p.under_way && p.failed.is_none_or(|(again_at, _)| again_at <= now))
        };
        let next = self.files.iter().find(due).cloned()?;
        self.progress.entry(next.segment.id).or_default().under_way = true;
        Some(next)
    }

    fn forget(&mut self, id: Uuid) {
        self.files.retain(|spooled| spooled.segment.id != id);
        self.progress.remove(&id);
    }

    /// Puts a file aside that cannot be stored; whether that happens for the first time.
    fn put_aside(&mut self, id: Uuid, now: Instant) -> bool {
        let progress = self.progress.entry(id).or_default();
        let pause = progress.failed.map_or(FIRST_PAUSE, |(_, pause)| (2 * pause).min(LONGEST_WAIT));
        let first = progress.failed.is_none();
        (progress.under_way, progress.failed) = (false, Some((now + pause, pause)));
        first
    }

    /// Takes out the oldest until what is left on the disk is not more than `most` bytes; one stays.
    fn give_up(&mut self, most: u64) -> Vec<Spooled> {
        let on_disk = |progress: Option<&Progress>| progress.is_none_or(|p| !p.in_store);
        let mut size: u64 =
            self.files.iter().filter(|s| on_disk(self.progress.get(&s.segment.id))).map(|s| s.segment.size).sum();
        let mut given_up = Vec::new();
        let mut left = self.files.len();
        for spooled in &self.files {
            let progress = self.progress.get(&spooled.segment.id);
            if size <= most || left <= 1 {
                break;
            }
            if progress.is_some_and(|p| p.under_way) || !on_disk(progress) {
                continue;
            }
            size -= spooled.segment.size.min(size);
            left -= 1;
            given_up.push(spooled.clone());
        }
        for spooled in &given_up {
            self.forget(spooled.segment.id);
        }
        given_up
    }
}

impl Recording {
    /// Notes how the storing of a file went; what is to be told of that file.
    fn stored(&self, spooled: &Spooled, result: Result<(), &NotStored>) -> Option<String> {
        let mut state = self.state();
        let id = spooled.segment.id;
        match result {
            Ok(()) => {
                state.failing = None;
                state.spooled.forget(id);
            }
            Err(NotStored::Lost) => {
                state.spooled.forget(id);
                state.recent.retain(|segment| segment.id != id);
                state.spooled.lost.push((spooled.clone(), "Its file was gone from this machine before it was stored"));
            }
            Err(NotStored::File(why)) => {
                if state.spooled.put_aside(id, Instant::now()) {
                    return Some(format!(
                        "A recording of {} cannot be stored: {why}. It stays on this machine and is tried again; the others go on",
                        spooled.segment.starts_at.local_date_time()
                    ));
                }
            }
            Err(NotStored::Store(error)) => {
                state.spooled.progress.entry(id).or_default().under_way = false;
                if state.failing.is_none() {
                    state.notices.push(format!("Recordings wait on this machine: {error}"));
                }
                let since = state.failing.take().map_or_else(|| self.clock.now(), |(_, since)| since);
                state.failing = Some((error.to_string(), since));
            }
        }
        None
    }
}

impl Shared {
    /// Brings what is recorded from the spool into the store, oldest first and several at once, for as long as the site runs.
    pub(in crate::site) async fn store_recordings(self: &Arc<Self>, pulse: &Pulse) {
        // Of an earlier one of these tasks that failed.
        self.recording.state().spooled.progress.values_mut().for_each(|p| p.under_way = false);
        let mut pause = FIRST_PAUSE;
        // Tasks of their own: what waits for a database must not stand still while this one waits for it, too.
        let mut under_way = JoinSet::new();
        loop {
            pulse.beat();
            self.shorten_spool().await;
            let mut refused = None;
            while under_way.len() < AT_ONCE {
                let Some(next) = self.recording.state().spooled.next(Instant::now()) else { break };
                let shared = Arc::clone(self);
                under_way.spawn(async move {
                    let stored = shared.store_recording(&next).await;
                    (next, stored)
                });
            }
            tokio::select! {
                Some(joined) = under_way.join_next() => {
                    let (spooled, stored) = match joined {
                        Ok(done) => done,
                        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
                    };
                    let told = self.recording.stored(&spooled, stored.as_ref().copied());
                    if let Some(text) = told {
                        self.trouble(About::Cameras(vec![spooled.segment.camera]), text);
                    }
                    match stored {
                        Ok(()) => {
                            pause = FIRST_PAUSE;
                            if let Err(error) = spooled.remove() {
                                tracing::warn!(%error, file = %spooled.file.display(), "a stored recording stays in the spool");
                            }
                        }
                        Err(NotStored::Store(error)) => refused = Some(error),
                        Err(NotStored::Lost | NotStored::File(_)) => {}
                    }
                }
                () = self.recording.wake.notified() => {}
                () = tokio::time::sleep(Duration::from_secs(5)) => {}
            }
            if let Some(error) = refused {
                if matches!(error, StoreError::Full { .. }) {
                    self.make_room("the store is full").await;
                } else {
                    tokio::time::sleep(pause).await;
                    pause = (2 * pause).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn store_recording(&self, spooled: &Spooled) -> Result<(), NotStored> {
        let Segment { id, sha256, .. } = &spooled.segment;
        let key = key_of_url(&spooled.segment.video_url).unwrap_or_default();
        let objects = &self.records.stores.objects;
        let in_store = self.recording.state().spooled.progress.get(id).is_some_and(|p| p.in_store);
        if !in_store {
            // An error is no absence: the disk may come back.
            let there = tokio::fs::try_exists(&spooled.file).await.map_err(|e| NotStored::File(e.to_string()))?;
            if there {
                let put = objects.put_file(key, &spooled.file, &|_| {}).await;
                if let Err(error) = put {
                    return Err(of_file(spooled, error).await);
                }
            } else if objects.hash(key).await?.is_none_or(|hash| hash.to_string() != *sha256) {
                return Err(NotStored::Lost);
            }
            if let Some(progress) = self.recording.state().spooled.progress.get_mut(id) {
                progress.in_store = true;
            }
        }
        let unavailable =
            |e: JournalError| StoreError::Unavailable { place: "the journal".to_owned(), detail: e.to_string() };
        let segment = self.recording.as_dated(&spooled.segment);
        let appended = self.records.journal.append(&[Record::Segment(segment)]).await.map_err(unavailable);
        if appended.is_err() {
            // The store has it: the disk need not hold it a second time while the journal takes nothing.
            let _ = tokio::fs::remove_file(&spooled.file).await;
        }
        Ok(appended?)
    }

    /// Gives up the oldest files of a spool that holds too much, and tells of those that are lost.
    async fn shorten_spool(&self) {
        let most = bytes(self.recording.config.spool_gb);
        let (given_up, lost) = {
            let mut state = self.recording.state();
            let given_up = state.spooled.give_up(most);
            for spooled in &given_up {
                state.recent.retain(|segment| segment.id != spooled.segment.id);
                state.spooled.lost.push((spooled.clone(), FULL));
            }
            (given_up.len(), state.spooled.lost.clone())
        };
        if lost.is_empty() {
            return;
        }
        let mut gaps = Vec::new();
        for (spooled, reason) in &lost {
            // From here on it is lost, whatever ends now.
            if let Err(error) = spooled.give_up() {
                tracing::warn!(%error, file = %spooled.file.display(), "a recording that is given up stays on the disk");
            }
            let Segment { id, camera, starts_at, ends_at, .. } = spooled.segment;
            gaps.push(Record::Gap(Gap {
                id,
                camera,
                from: starts_at,
                until: Some(ends_at),
                reason: (*reason).to_owned(),
            }));
        }
        if !self.commit(&gaps, "Lost recordings are not recorded as such").await {
            return; // they are still on the list, and in the spool
        }
        let about = About::Cameras(lost.iter().map(|(s, _)| s.segment.camera).collect());
        let told = if given_up > 0 {
            format!("{given_up} recordings were lost: the store takes none, and the spool of this machine is full")
        } else {
            format!("{} recordings were lost: their files were gone from this machine", lost.len())
        };
        self.trouble(about, told);
        let ids: Vec<Uuid> = lost.iter().map(|(spooled, _)| spooled.segment.id).collect();
        self.recording.state().spooled.lost.retain(|(spooled, _)| !ids.contains(&spooled.segment.id));
        for (spooled, _) in lost {
            let _ = spooled.remove();
        }
    }
}

/// Whether it is the file that cannot be stored, or the store that takes none: of what the store says that could be either, the file
/// is read to find out.
async fn of_file(spooled: &Spooled, error: StoreError) -> NotStored {
    if matches!(error, StoreError::Full { .. } | StoreError::Denied { .. }) {
        return NotStored::Store(error);
    }
    let file = spooled.file.clone();
    let read = tokio::task::spawn_blocking(move || io::copy(&mut std::fs::File::open(file)?, &mut io::sink())).await;
    match read {
        Ok(Err(unread)) if unread.kind() != io::ErrorKind::NotFound => NotStored::File(unread.to_string()),
        Ok(Ok(size)) if size != spooled.segment.size => {
            NotStored::File(format!("its file has {size} bytes instead of {}", spooled.segment.size))
        }
        _ if matches!(error, StoreError::BadRecord(_) | StoreError::Damaged { .. }) => {
            NotStored::File(error.to_string())
        }
        _ => NotStored::Store(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::prerequisites,
        model::SystemClock,
        site::{
            RecordMode, Site,
            recording::{
                RecordingConfig,
                tests::{config, footage_of, gaps, stored, wait},
            },
        },
        store::recordings::tests::segment,
    };
    use std::fs;

    fn spool(files: u64) -> Spool {
        let mut spool = Spool::default();
        for n in 0..files {
            let segment = Segment { size: 10, ..segment(Uuid::nil(), n, n + 1) };
            spool.push(Spooled { segment, file: format!("/spool/{n}.mkv").into() });
        }
        spool
    }

    #[test]
    fn one_that_cannot_be_stored_is_tried_ever_less_often_and_holds_up_no_other() {
        let (mut spool, now) = (spool(3), Instant::now());
        let of = |spooled: Option<Spooled>| spooled.map(|s| s.file.to_string_lossy().into_owned());
        let first = spool.next(now).unwrap();
        assert_eq!(of(spool.next(now)).as_deref(), Some("/spool/1.mkv"), "the first is under way");
        assert!(spool.put_aside(first.segment.id, now), "told");
        assert_eq!(of(spool.next(now)).as_deref(), Some("/spool/2.mkv"));
        assert_eq!(of(spool.next(now)), None);
        let mut at = now;
        for pause in [1, 2, 4, 8] {
            assert_eq!(of(spool.next(at + Duration::from_millis(pause * 1000 - 1))), None);
            at += Duration::from_secs(pause);
            assert_eq!(of(spool.next(at)).as_deref(), Some("/spool/0.mkv"));
            assert!(!spool.put_aside(first.segment.id, at), "told once");
        }
    }

    #[test]
    fn what_is_in_the_store_or_on_its_way_is_never_given_up() {
        let (mut spool, now) = (spool(6), Instant::now());
        let under_way = spool.next(now).unwrap();
        let in_store = spool.next(now).unwrap();
        *spool.progress.get_mut(&in_store.segment.id).unwrap() = Progress { in_store: true, ..Progress::default() };
        let given_up: Vec<_> = spool.give_up(25).into_iter().map(|s| s.file).collect();
        assert_eq!(given_up, [Path::new("/spool/2.mkv"), Path::new("/spool/3.mkv"), Path::new("/spool/4.mkv")]);
        let left: Vec<_> = spool.iter().map(|s| s.segment.id).collect();
        assert_eq!(left[..2], [under_way.segment.id, in_store.segment.id]);
    }

    #[test]
    fn a_file_that_is_gone_costs_only_itself_and_what_an_earlier_run_stored_is_not_told_as_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (data, video) = (folder.path().join("data"), folder.path().join("a.mkv"));
        footage_of(&video, 60);
        let recording = RecordingConfig { record: RecordMode::Always, segment_s: 1.0, ..RecordingConfig::default() };
        let open = || {
            let config = config(format!("file://{}", video.display()), recording.clone());
            Site::open(config, &data, &prerequisites::models_dir(None), Arc::new(SystemClock)).unwrap()
        };
        // The store takes nothing: its room is a file.
        fs::create_dir_all(data.join("objects")).unwrap();
        let room = data.join("objects/segments");
        fs::write(&room, "in the way").unwrap();
        let site = open();
        let waiting = || site.shared.recording.state().spooled.iter().cloned().collect::<Vec<_>>();
        let files = wait("four files", || Some(waiting()).filter(|all| all.len() >= 4));
        // The head of the queue disappears; of the second the store got the file, and the database has no row yet.
        fs::remove_file(&files[0].file).unwrap();
        let second = files[1].clone();
        let bytes = fs::read(&second.file).unwrap();
        drop(site);
        fs::remove_file(&room).unwrap();
        let object = data.join("objects").join(key_of_url(&second.segment.video_url).unwrap());
        fs::create_dir_all(object.parent().unwrap()).unwrap();
        fs::write(&object, &bytes).unwrap();
        fs::remove_file(&second.file).unwrap();
        // The third was given up, and the run ended before that was told.
        files[2].give_up().unwrap();

        let site = open();
        let all = wait("the others", || {
            let all = stored(&site);
            files[3..].iter().all(|f| all.iter().any(|s| s.id == f.segment.id)).then_some(all)
        });
        wait("the gap of the first", || gaps(&site).into_iter().find(|g| g.id == files[0].segment.id));
        let third = wait("the gap of the third", || gaps(&site).into_iter().find(|g| g.id == files[2].segment.id));
        assert_eq!((third.from, third.reason.as_str()), (files[2].segment.starts_at, FULL));
        let second = wait("the second", || stored(&site).into_iter().find(|s| s.id == second.segment.id));
        assert!(!gaps(&site).iter().any(|g| g.id == second.id), "it is in the store");
        assert!(!all.iter().any(|s| s.id == files[0].segment.id || s.id == files[2].segment.id));
        let spool = files[0].file.parent().unwrap();
        let left = |n: usize| {
            fs::read_dir(spool).unwrap().flatten().any(|e| e.path().file_stem() == files[n].file.file_stem())
        };
        wait("nothing of them in the spool", || (0..4).all(|n| !left(n)).then_some(()));
    }
}
