//! The follower of a site, and the record of what it is told. Whoever changes the follower comes through here, so that the record
//! says it all.
use super::{
    observer::{Observations, Observers},
    tape::{Tape, Told, pictures_hash},
};
use crate::{
    follow::{Curves, Event, Follower, Gallery, Grounds, Topology},
    model::{CameraId, Decision, Rect, Sighting, SightingId, Suspect, SuspectId, Timestamp, TrackId},
    vision::Analysed,
};
use std::{ops::Deref, sync::Arc};

/// Reads like the [`Follower`] it holds; every change has the name it has there.
pub(super) struct Following {
    follower: Follower,
    tape: Option<Arc<Tape>>,
}

impl Deref for Following {
    type Target = Follower;

    fn deref(&self) -> &Follower {
        &self.follower
    }
}

impl Following {
    pub fn new(follower: Follower, tape: Option<Arc<Tape>>) -> Self {
        Self { follower, tape }
    }

    /// Takes an analysed frame; `name` is its camera's.
    pub fn observe(&mut self, analysed: &Analysed, name: &str, observers: &mut Observers) -> Observations {
        let seen = observers.take(analysed, &mut self.follower);
        if let Some(tape) = &self.tape {
            let told = Told::Frame {
                camera: analysed.camera,
                name: name.to_owned(),
                epoch: analysed.epoch,
                at: analysed.frame.captured_at(),
                pictures: pictures_hash(&analysed.frame),
            };
            tape.note(&told, &seen.tracks, &seen.events);
        }
        seen
    }

    /// Takes anything but a frame.
    pub fn take(&mut self, told: &Told) -> Vec<Event> {
        let events = match told {
            Told::Follow { suspect } => {
                self.follower.follow(suspect.clone());
                Vec::new()
            }
            Told::TakeOver { suspect, at } => self.follower.take_over(suspect, *at),
            Told::Mark { suspect, track, rect } => self.follower.mark(suspect, *track, *rect),
            Told::MarkStay { suspect, origin } => {
                self.follower.mark_stay(suspect, origin);
                vec![Event::Changed(origin.clone())]
            }
            Told::End { suspect } => self.follower.end(*suspect),
            Told::Resume { suspect } => self.follower.resume(suspect),
            Told::Expire { at } => self.follower.expire(*at),
            Told::CameraLost { camera } => self.follower.camera_lost(*camera),
            Told::ClockSet { by, now } => {
                self.follower.clock_set(*by, *now);
                Vec::new()
            }
            Told::Decide { sighting, decision } => self.follower.decide(sighting, decision.clone()),
            Told::Remember { sighting, looks } => {
                self.follower.remember(*sighting, Gallery::new(looks.clone()));
                Vec::new()
            }
            Told::Undecide { sighting } => {
                self.follower.undecide(sighting);
                Vec::new()
            }
            Told::Unopen { sighting } => {
                self.follower.unopen(sighting);
                Vec::new()
            }
            Told::Join { sighting, other } => {
                self.follower.join(*sighting, other);
                Vec::new()
            }
            Told::Topology { topology } => {
                self.follower.set_topology(topology.clone());
                Vec::new()
            }
            Told::Curves { curves } => {
                self.follower.set_curves(*curves);
                Vec::new()
            }
            Told::Grounds { grounds } => {
                self.follower.set_grounds(grounds.iter().map(|ground| (ground.cameras, *ground)).collect());
                Vec::new()
            }
            Told::Travel { certain } => {
                self.follower.learn_travel(certain);
                Vec::new()
            }
            Told::Frame { .. } | Told::Video { .. } => Vec::new(),
        };
        if let Some(tape) = &self.tape {
            tape.note(told, &[], &events);
        }
        events
    }

    pub fn take_over(&mut self, suspect: &Suspect, at: Timestamp) -> Vec<Event> {
        self.take(&Told::TakeOver { suspect: suspect.clone(), at })
    }

    pub fn mark(&mut self, suspect: &Suspect, track: TrackId, rect: Rect) -> Vec<Event> {
        self.take(&Told::Mark { suspect: suspect.clone(), track, rect })
    }

    pub fn mark_stay(&mut self, suspect: &Suspect, origin: Sighting) -> Vec<Event> {
        self.take(&Told::MarkStay { suspect: suspect.clone(), origin })
    }

    pub fn end(&mut self, suspect: SuspectId) -> Vec<Event> {
        self.take(&Told::End { suspect })
    }

    pub fn resume(&mut self, suspect: &Suspect) -> Vec<Event> {
        self.take(&Told::Resume { suspect: suspect.clone() })
    }

    pub fn expire(&mut self, at: Timestamp) -> Vec<Event> {
        self.take(&Told::Expire { at })
    }

    pub fn camera_lost(&mut self, camera: CameraId) -> Vec<Event> {
        self.take(&Told::CameraLost { camera })
    }

    pub fn clock_set(&mut self, by: i64, now: Timestamp) {
        self.take(&Told::ClockSet { by, now });
    }

    pub fn decide(&mut self, sighting: &Sighting, decision: Decision) -> Vec<Event> {
        self.take(&Told::Decide { sighting: sighting.clone(), decision })
    }

    pub fn remember(&mut self, sighting: SightingId, looks: &Gallery) {
        self.take(&Told::Remember { sighting, looks: looks.vectors().to_vec() });
    }

    /// How the cameras lie to each other, where that is news.
    pub fn set_topology(&mut self, topology: Topology) {
        if *self.follower.topology() != topology {
            self.take(&Told::Topology { topology });
        }
    }

    /// How probable likeness is at this site, where that is news.
    pub fn set_curves(&mut self, curves: Curves) {
        if self.follower.curves() != curves {
            self.take(&Told::Curves { curves });
        }
    }

    /// Where places of one view are in others, as other consoles or earlier runs learned it.
    pub fn set_grounds(&mut self, grounds: Grounds) {
        self.take(&Told::Grounds { grounds: grounds.into_values().collect() });
    }

    /// From the certain ones of these.
    pub fn learn_travel(&mut self, sightings: impl Iterator<Item = Sighting>) {
        let certain = sightings.filter(|s| s.decision.is_certain()).collect();
        self.take(&Told::Travel { certain });
    }

    pub fn join(&mut self, sighting: SightingId, other: &Sighting) {
        self.take(&Told::Join { sighting, other: other.clone() });
    }

    pub fn undecide(&mut self, sighting: &Sighting) {
        self.take(&Told::Undecide { sighting: sighting.clone() });
    }

    pub fn unopen(&mut self, sighting: &Sighting) {
        self.take(&Told::Unopen { sighting: sighting.clone() });
    }
}
