//! Analysis jobs in the cameras database.
use super::{
    CameraStore, StoreError,
    recordings::segment_from_row,
    sql::{Row, json, sql},
};
use crate::model::{Job, JobState, Segment};
use uuid::Uuid;

impl CameraStore {
    /// Records a job, or how far it is.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn put_job(&self, job: &Job) -> Result<(), StoreError> {
        let upsert = sql("INSERT INTO jobs (id, console, made_at, is_open, job) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (id) DO UPDATE SET is_open = excluded.is_open, job = excluded.job")
        .bind(job.id)
        .bind(job.console)
        .bind(job.made_at)
        .bind(job.state == JobState::Open)
        .bind(json(job)?);
        self.db.execute(upsert).await
    }

    /// The newest jobs, at most `limit`, and all that are open, newest first.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn jobs(&self, limit: u32) -> Result<Vec<Job>, StoreError> {
        let page = sql("SELECT job FROM jobs WHERE is_open OR id IN (SELECT id FROM jobs ORDER BY made_at DESC, id")
            .and(" LIMIT ", limit)
            .text(") ORDER BY made_at DESC, id");
        self.db.fetch(page, |row: &Row| row.json("job")).await
    }

    /// One segment; `None` where it was deleted.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn segment(&self, id: Uuid) -> Result<Option<Segment>, StoreError> {
        Ok(self.db.fetch(sql("SELECT * FROM segments WHERE id = $1").bind(id), segment_from_row).await?.pop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Timestamp, store::sql::tests::backends};
    use std::time::Duration;

    #[tokio::test]
    async fn open_jobs_are_read_however_old_and_newer_versions_win() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let job = |n: i64, state: JobState| Job {
                id: Uuid::now_v7(),
                title: format!("{n}"),
                console: Uuid::from_u128(7),
                by: ("1".to_owned(), "Ana".to_owned()),
                made_at: Timestamp(n * 1_000_000),
                ended_at: None,
                segments: vec![Uuid::from_u128(1)],
                cameras: vec![Uuid::from_u128(2)],
                rate: Some(5.0),
                state,
                finished: 0,
                position: Duration::from_millis(40),
                total_s: 9.0,
                looked_s: 1.0,
                worked_s: 0.5,
                pictures: 5,
                people: 1,
                findings: Vec::new(),
                troubles: Vec::new(),
            };
            let mut old = job(1, JobState::Open);
            let (new, newest) = (job(2, JobState::Done), job(3, JobState::Cancelled("Rui".to_owned())));
            for j in [&old, &new, &newest] {
                store.put_job(j).await.unwrap();
            }
            assert_eq!(store.jobs(1).await.unwrap(), [newest.clone(), old.clone()]);
            old.position = Duration::from_secs(3);
            store.put_job(&old).await.unwrap();
            assert_eq!(store.jobs(9).await.unwrap(), [newest, new, old]);
            assert_eq!(store.segment(Uuid::from_u128(1)).await.unwrap(), None);
        }
    }
}
