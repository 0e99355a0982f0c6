//! What the site learned of views that overlap: kept in the cameras database, so that it outlives a restart and every console has it.
use super::Shared;
use crate::{
    follow::Grounds,
    model::{CommonGround, Timestamp},
};
use std::sync::PoisonError;

/// What is news to whoever has `kept`: what was learned since, and what is not known any more.
fn news(kept: &Grounds, known: &Grounds, now: Timestamp) -> Vec<CommonGround> {
    let learned = known.iter().filter(|(pair, ground)| kept.get(pair) != Some(ground)).map(|(_, ground)| *ground);
    let forgotten = kept.iter().filter(|(pair, ground)| ground.walks > 0 && !known.contains_key(pair));
    let forgotten = forgotten.map(|(_, ground)| CommonGround { walks: 0, learned_at: now, ..*ground });
    learned.chain(forgotten).collect()
}

/// What is known after `read` was found in the database, of which only what is newer than what is `kept` counts; `None` when that is nothing.
fn taken_up(kept: &mut Grounds, known: &Grounds, read: Vec<CommonGround>) -> Option<Grounds> {
    let mut all = known.clone();
    for ground in read {
        if kept.get(&ground.cameras).is_some_and(|k| k.learned_at >= ground.learned_at) {
            continue;
        }
        kept.insert(ground.cameras, ground);
        if ground.walks > 0 {
            all.insert(ground.cameras, ground);
        } else {
            all.remove(&ground.cameras);
        }
    }
    (all != *known).then_some(all)
}

impl Shared {
    /// What was learned or forgotten since it was last recorded.
    pub(super) fn news_of_grounds(&self, now: Timestamp) -> Vec<CommonGround> {
        let follower = self.follower();
        let kept = self.grounds.lock().unwrap_or_else(PoisonError::into_inner);
        news(&kept, follower.grounds(), now)
    }

    /// These are recorded.
    pub(super) fn keep_grounds(&self, recorded: Vec<CommonGround>) {
        let mut kept = self.grounds.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(recorded.into_iter().map(|ground| (ground.cameras, ground)));
    }

    /// Takes up what other consoles, or earlier runs, learned; while the database does not answer, this console goes on with its own.
    pub(super) async fn load_grounds(&self) {
        match self.records.stores.cameras.grounds().await {
            Ok(read) => {
                let _order = self.order.lock().await;
                let mut follower = self.follower();
                let mut kept = self.grounds.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(all) = taken_up(&mut kept, follower.grounds(), read) {
                    follower.set_grounds(all);
                }
            }
            Err(error) => tracing::debug!("how views overlap was not read: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn ground(other: u128, walks: u32, second: i64) -> CommonGround {
        CommonGround {
            cameras: (Uuid::nil(), Uuid::from_u128(other)),
            places: [1.0, 0.0, 5.0, 0.0, 1.0, 7.0, 0.0, 0.0, 1.0],
            error: 0.1,
            walks,
            middle: (100.0, 200.0),
            spread: (1e-4, 0.0, 1e-4),
            learned_at: Timestamp(second * 1_000_000),
        }
    }

    fn all(of: &[CommonGround]) -> Grounds {
        of.iter().map(|g| (g.cameras, *g)).collect()
    }

    /// What is news, which is recorded.
    fn told(kept: &mut Grounds, known: &[CommonGround], second: i64) -> Vec<CommonGround> {
        let news = news(kept, &all(known), Timestamp(second * 1_000_000));
        kept.extend(all(&news));
        news
    }

    #[test]
    fn what_is_learned_and_what_is_forgotten_is_told_once() {
        let mut kept = Grounds::new();
        let (one, two) = (ground(1, 6, 10), ground(2, 9, 12));
        assert_eq!(told(&mut kept, &[one, two], 20), [one, two]);
        assert_eq!(told(&mut kept, &[one, two], 21), []);
        assert_eq!(told(&mut kept, &[two], 22), [ground(1, 0, 22)]);
        assert_eq!(told(&mut kept, &[two], 23), []);
        let anew = ground(1, 5, 40);
        assert_eq!(told(&mut kept, &[anew, two], 41), [anew]);
    }

    #[test]
    fn of_two_versions_the_newer_counts_and_what_was_forgotten_does_not_come_back() {
        let mut kept = Grounds::new();
        let known = all(&[ground(1, 6, 10)]);
        told(&mut kept, &[ground(1, 6, 10)], 11);
        assert_eq!(taken_up(&mut kept, &known, vec![ground(1, 5, 9)]), None);
        let both = [ground(1, 8, 15), ground(2, 7, 3)];
        assert_eq!(taken_up(&mut kept, &known, both.to_vec()), Some(all(&both)));
        assert_eq!(told(&mut kept, &both, 16), []);
        // Here the second is forgotten, and the database does not know that yet.
        assert_eq!(told(&mut kept, &both[..1], 20).len(), 1);
        let known = all(&both[..1]);
        assert_eq!(taken_up(&mut kept, &known, vec![ground(2, 7, 3)]), None);
        // Another console found out that a camera was moved.
        assert_eq!(taken_up(&mut kept, &known, vec![ground(1, 0, 30)]), Some(Grounds::new()));
    }
}
