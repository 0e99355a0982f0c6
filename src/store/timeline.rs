//! What a timeline is drawn from, kept so that weeks cost no more to read than minutes: the stretches of each camera of which there
//! is video, and how many detections there were in a minute, ten minutes, an hour.
use super::{
    CameraStore, StoreError,
    cameras::sighting_from_row,
    recordings::{of_cameras, segment_from_row, with_cameras},
    sql::{Row, Transaction, sql},
};
use crate::model::{CameraId, ColourName, DetectionKind, Segment, Sighting, Timestamp};

/// How many detections of one type a camera had in one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetectionCount {
    /// Which camera.
    pub camera: CameraId,
    /// The beginning of the stretch.
    pub from: Timestamp,
    /// Of what.
    pub kind: DetectionKind,
    /// How many.
    pub n: u64,
}

/// What somebody wears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clothes {
    /// Colour above the waist; `None` for any.
    pub upper: Option<ColourName>,
    /// Colour below the waist; `None` for any.
    pub lower: Option<ColourName>,
}

const MINUTE: i64 = 60_000_000; // microseconds, as in a Timestamp
/// Files of one camera at most this far apart are one stretch of video, microseconds.
const JOIN: i64 = 1_000_000;

/// How long the stretches are, in minutes, of which a span of time (microseconds) has at most `columns`: some minutes, some
/// times ten minutes, or some hours.
pub fn stretch_minutes(span: i64, columns: u32) -> u32 {
    let least = u32::try_from(span.max(0) / MINUTE / i64::from(columns.max(1))).unwrap_or(u32::MAX).saturating_add(1);
    let unit = unit_of(least);
    least.div_ceil(unit).saturating_mul(unit)
}

/// The coarsest counts that are kept and at most so long, minutes.
fn unit_of(minutes: u32) -> u32 {
    [60, 10].into_iter().find(|unit| minutes >= *unit).unwrap_or(1)
}

impl CameraStore {
    /// The stretches of these cameras of which there is video, ascending for each camera. Of stretches that begin within the same
    /// `grain` microseconds only their hull is told, and files less than a second apart are one stretch.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn coverage(
        &self,
        cameras: &[CameraId],
        from: Timestamp,
        until: Timestamp,
        grain: i64,
    ) -> Result<Vec<(CameraId, Timestamp, Timestamp)>, StoreError> {
        let mut found: Vec<(CameraId, Timestamp, Timestamp)> = Vec::new();
        for camera in cameras {
            // Stretches do not overlap: what is on at `from` is the last that begins before it.
            let page = sql("SELECT MIN(starts_at) AS starts_at, MAX(ends_at) AS ends_at FROM coverage
                WHERE camera = $1 AND ends_at > $2 AND starts_at < $3 AND starts_at >=
                COALESCE((SELECT MAX(starts_at) FROM coverage WHERE camera = $1 AND starts_at <= $2), $2)
                GROUP BY starts_at / $4 ORDER BY 1")
            .bind(*camera)
            .bind(from.0)
            .bind(until.0)
            .bind(grain.max(1));
            let read = |row: &Row| Ok((*camera, Timestamp(row.get("starts_at")?), Timestamp(row.get("ends_at")?)));
            found.extend(self.db.fetch(page, read).await?);
        }
        Ok(found)
    }

    /// How many detections of each type each of these cameras (`None`: all) had in each stretch of `minutes` minutes (at
    /// least 1); stretches without any are left out. Reads counts that are kept, never the detections themselves: by the hour
    /// where `minutes` are whole hours, by ten minutes where they are whole tens (see [`stretch_minutes`]), else by the minute.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn detection_counts(
        &self,
        cameras: Option<&[CameraId]>,
        from: Timestamp,
        until: Timestamp,
        minutes: u32,
    ) -> Result<Vec<DetectionCount>, StoreError> {
        let minutes = minutes.max(1);
        let unit = [60, 10].into_iter().find(|unit| minutes.is_multiple_of(*unit)).unwrap_or(1);
        let select = if unit == 1 {
            "SELECT camera, type, minute / $1 AS stretch, CAST(SUM(n) AS BIGINT) AS n FROM detections_a_minute WHERE n > 0"
        } else {
            "SELECT camera, type, stretch / $1 AS stretch, CAST(SUM(n) AS BIGINT) AS n FROM detections_a_stretch WHERE n > 0"
        };
        let page = sql(select).bind(i64::from(minutes / unit));
        let Some(mut page) = with_cameras(page, cameras) else { return Ok(Vec::new()) };
        let length = i64::from(unit) * MINUTE;
        let (first, last) = (from.0.div_euclid(length), until.0.div_euclid(length) + 1);
        page = if unit == 1 {
            page.and(" AND minute >= ", first).and(" AND minute < ", last).text(" GROUP BY camera, type, minute / $1")
        } else {
            page.and(" AND minutes = ", i64::from(unit))
                .and(" AND stretch >= ", first)
                .and(" AND stretch < ", last)
                .text(" GROUP BY camera, type, stretch / $1")
        };
        let read = |row: &Row| {
            let kind = match row.get::<String>("type")?.as_str() {
                "Knife" => DetectionKind::Knife,
                "Gun" => DetectionKind::Gun,
                _ => DetectionKind::Suspect,
            };
            Ok(DetectionCount {
                camera: row.uuid("camera")?,
                from: Timestamp(row.get::<i64>("stretch")?.saturating_mul(i64::from(minutes) * MINUTE)),
                kind,
                n: row.get::<i64>("n")?.unsigned_abs(),
            })
        };
        let mut counts = self.db.fetch(page, read).await?;
        counts.sort_unstable_by_key(|c| (c.from, c.camera, c.kind));
        Ok(counts)
    }

    /// Stays of suspects in these cameras, and possible ones, that touch this stretch, newest entry first, at most `limit`.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn sightings_between(
        &self,
        cameras: &[CameraId],
        from: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Sighting>, StoreError> {
        let Some(page) = of_cameras("SELECT * FROM sightings WHERE TRUE", Some(cameras)) else { return Ok(Vec::new()) };
        let page = page
            .and(" AND entered_at < ", until)
            .and(" AND (left_at IS NULL OR left_at > ", from)
            .and(") ORDER BY entered_at DESC, id DESC LIMIT ", limit);
        self.db.fetch(page, sighting_from_row).await
    }

    /// Stays of people who wear this in these cameras, that touch this stretch: camera, first seen, last seen; the newest first,
    /// at most `limit`. Nothing where no colour is asked for.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn people_wearing(
        &self,
        clothes: Clothes,
        cameras: &[CameraId],
        from: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<(CameraId, Timestamp, Timestamp)>, StoreError> {
        if clothes == Clothes::default() {
            return Ok(Vec::new());
        }
        let select = "SELECT camera, starts_at, ends_at FROM tracklets WHERE TRUE";
        let Some(mut page) = of_cameras(select, Some(cameras)) else { return Ok(Vec::new()) };
        // The expressions are those of the indexes.
        if let Some(colour) = clothes.upper {
            page = page.and(" AND (characteristics ->> 'upper') = ", colour.name());
        }
        if let Some(colour) = clothes.lower {
            page = page.and(" AND (characteristics ->> 'lower') = ", colour.name());
        }
        let page = page
            .and(" AND starts_at < ", until)
            .and(" AND ends_at > ", from)
            .and(" ORDER BY starts_at DESC, id DESC LIMIT ", limit);
        let read = |row: &Row| Ok((row.uuid("camera")?, row.instant("starts_at")?, row.instant("ends_at")?));
        self.db.fetch(page, read).await
    }
}

/// Notes that there is video of this stretch.
pub(super) async fn covered(
    tx: &mut Transaction<'_>,
    camera: CameraId,
    from: Timestamp,
    until: Timestamp,
) -> Result<(), StoreError> {
    let touching = |select: &'static str| {
        sql(select).bind(camera).bind(until.0.saturating_add(JOIN)).bind(from.0.saturating_sub(JOIN))
    };
    let hull = touching(
        "SELECT MIN(starts_at) AS starts_at, MAX(ends_at) AS ends_at FROM coverage
         WHERE camera = $1 AND starts_at <= $2 AND ends_at >= $3",
    );
    let hull = tx.fetch(hull, |row| Ok((row.get::<Option<i64>>("starts_at")?, row.get::<Option<i64>>("ends_at")?)));
    let (first, last) = hull.await?.first().copied().unwrap_or_default();
    tx.execute(touching("DELETE FROM coverage WHERE camera = $1 AND starts_at <= $2 AND ends_at >= $3")).await?;
    let (first, last) = (first.unwrap_or(from.0).min(from.0), last.unwrap_or(until.0).max(until.0));
    put(tx, camera, first, last).await
}

/// Notes that a segment is gone, whose row is deleted already.
pub(super) async fn uncovered(tx: &mut Transaction<'_>, gone: &Segment) -> Result<(), StoreError> {
    let (from, until) = (gone.starts_at.0, gone.ends_at.0);
    let touched = |select: &'static str| sql(select).bind(gone.camera).bind(until).bind(from);
    let read = |row: &Row| Ok((row.get::<i64>("starts_at")?, row.get::<i64>("ends_at")?));
    let select = "SELECT starts_at, ends_at FROM coverage WHERE camera = $1 AND starts_at <= $2 AND ends_at >= $3";
    let stretches = tx.fetch(touched(select), read).await?;
    tx.execute(touched("DELETE FROM coverage WHERE camera = $1 AND starts_at <= $2 AND ends_at >= $3")).await?;
    for (start, end) in stretches {
        // What is left is video, unless it is only what lies between two files.
        for (start, end) in [(start, from.min(end)), (until.max(start), end)] {
            if end - start > JOIN {
                put(tx, gone.camera, start, end).await?;
            }
        }
    }
    // Another file may show some of the same time.
    let others = sql("SELECT * FROM segments WHERE camera = $1 AND starts_at <= $2 AND ends_at >= $3");
    let others = others.bind(gone.camera).bind(Timestamp(until + JOIN)).bind(Timestamp(from - JOIN));
    for other in tx.fetch(others, segment_from_row).await? {
        covered(tx, other.camera, other.starts_at, other.ends_at).await?;
    }
    Ok(())
}

async fn put(tx: &mut Transaction<'_>, camera: CameraId, from: i64, until: i64) -> Result<(), StoreError> {
    let insert = sql("INSERT INTO coverage (camera, starts_at, ends_at) VALUES ($1, $2, $3)");
    tx.execute(insert.bind(camera).bind(from).bind(until)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::Characteristics,
        store::{
            cameras::tests::{camera, detection},
            recordings::tests::segment,
            sql::tests::backends,
            tracklets::tests::tracklet,
        },
    };
    use std::time::Duration;

    const T0: Timestamp = Timestamp(1_795_000_020_000_000); // a whole minute

    fn at(seconds: u64) -> Timestamp {
        T0.plus(Duration::from_secs(seconds))
    }

    #[tokio::test]
    async fn the_counts_a_minute_are_those_of_the_detections() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let (a, b) = (camera(), camera());
            for c in [&a, &b] {
                store.upsert_camera(c).await.unwrap();
            }
            let moved = detection(a.id, None, at(59));
            for d in [
                &moved,
                &detection(a.id, None, at(60)),
                &detection(a.id, None, at(3600)),
                &detection(b.id, None, at(0)),
            ] {
                for _ in 0..2 {
                    store.put_detection(d).await.unwrap(); // delivered twice, counted once
                }
            }
            let counts = |list: Vec<DetectionCount>| -> Vec<_> {
                list.into_iter()
                    .filter(|c| c.kind == DetectionKind::Knife)
                    .map(|c| (c.from.seconds_since(T0), c.n))
                    .collect()
            };
            let of_a = [a.id];
            let by_minute = store.detection_counts(Some(&of_a), at(0), at(4000), 1).await.unwrap();
            assert_eq!(by_minute.len(), 6, "each is of a suspect and of a knife: {by_minute:?}");
            assert_eq!(counts(by_minute), [(0.0, 1), (60.0, 1), (3600.0, 1)]);
            let before = store.detection_counts(None, at(0), at(119), 1).await.unwrap();
            assert_eq!(before.iter().map(|c| c.n).sum::<u64>(), 6);
            store.put_detection(&detection_at(&moved, at(61))).await.unwrap();
            let by_minute = store.detection_counts(Some(&of_a), at(0), at(4000), 1).await.unwrap();
            assert_eq!(counts(by_minute), [(60.0, 2), (3600.0, 1)]);
            // By whatever length they are asked for, they are the same.
            for minutes in [1, 2, 10, 30, 60, 1440] {
                let all = store.detection_counts(Some(&of_a), at(0), at(4000), minutes).await.unwrap();
                assert_eq!(all.iter().map(|c| c.n).sum::<u64>(), 6, "{minutes}: {all:?}");
                let length = f64::from(minutes) * 60.0;
                assert!(all.iter().all(|c| c.from.0 % (i64::from(minutes) * MINUTE) == 0
                    && at(4000).seconds_since(c.from) < 4000.0 + length));
            }
        }
    }

    fn detection_at(d: &crate::model::DetectionRecord, at: Timestamp) -> crate::model::DetectionRecord {
        crate::model::DetectionRecord { captured_at: at, ..d.clone() }
    }

    /// Whatever comes and goes, in whatever order: what is kept is what the segments say.
    #[tokio::test]
    async fn coverage_is_that_of_the_segments_however_they_come_and_go() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let (a, b) = (camera(), camera());
            store.upsert_camera(&a).await.unwrap();
            store.upsert_camera(&b).await.unwrap();
            store.put_segment(&segment(b.id, 0, 500)).await.unwrap();
            // Files of ten seconds, a hole, and a video that shows some of the same time as two of them.
            let times = [(0, 10), (10, 20), (20, 30), (60, 70), (70, 80), (15, 35), (200, 210)];
            let segments: Vec<_> = times.iter().map(|(from, until)| segment(a.id, *from, *until)).collect();
            let mut there: Vec<usize> = Vec::new();
            // Each number comes, or goes where it is there.
            for place in [2, 0, 1, 3, 5, 4, 0, 6, 1, 2, 5, 3, 0, 4, 6, 0] {
                if there.contains(&place) {
                    there.retain(|p| *p != place);
                    store.delete_segment(segments[place].id).await.unwrap();
                } else {
                    there.push(place);
                    for _ in 0..2 {
                        store.put_segment(&segments[place]).await.unwrap(); // delivered twice
                    }
                }
                let mut expected: Vec<(Timestamp, Timestamp)> = Vec::new();
                let mut own: Vec<_> = there.iter().map(|p| (segments[*p].starts_at, segments[*p].ends_at)).collect();
                own.sort_unstable();
                for (from, until) in own {
                    match expected.last_mut() {
                        Some((_, end)) if from <= *end => *end = (*end).max(until),
                        _ => expected.push((from, until)),
                    }
                }
                let kept = store.coverage(&[a.id], at(0), at(1000), 1).await.unwrap();
                let kept: Vec<_> = kept.into_iter().map(|(_, from, until)| (from, until)).collect();
                assert_eq!(kept, expected, "after {place}; there are {there:?}");
            }
            let of_b = [(b.id, at(0), at(500))];
            assert_eq!(store.coverage(&[b.id], at(100), at(110), 1).await.unwrap(), of_b, "it is on all the while");
            assert!(store.coverage(&[], at(0), at(1000), 1).await.unwrap().is_empty());
            assert!(store.coverage(&[b.id], at(501), at(1000), 1).await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn coarse_coverage_is_right_to_a_grain() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let a = camera();
            store.upsert_camera(&a).await.unwrap();
            for i in 0..50 {
                store.put_segment(&segment(a.id, i * 20, i * 20 + 10)).await.unwrap();
            }
            assert_eq!(store.coverage(&[a.id], at(0), at(1000), 1).await.unwrap().len(), 50);
            let coarse = store.coverage(&[a.id], at(0), at(1000), 100_000_000).await.unwrap();
            assert!((10..=11).contains(&coarse.len()), "{coarse:?}");
            assert_eq!((coarse[0].1, coarse.last().unwrap().2), (at(0), at(990)));
        }
    }

    #[tokio::test]
    async fn people_are_found_by_the_colour_of_what_they_wear() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let (a, b) = (camera(), camera());
            for c in [&a, &b] {
                store.upsert_camera(c).await.unwrap();
            }
            let wears = |upper, lower| Characteristics { upper, lower, ..Characteristics::default() };
            let (red, blue) = (Some(ColourName::Red), Some(ColourName::Blue));
            for (camera, second, looks) in [
                (&a, 0, wears(red, blue)),
                (&a, 100, wears(red, None)),
                (&b, 0, wears(red, red)),
                (&a, 50, wears(blue, red)),
            ] {
                let mut t = tracklet(camera.id, second);
                t.characteristics = serde_json::to_value(looks).unwrap();
                store.put_tracklet(&t).await.unwrap();
            }
            let first = tracklet(a.id, 0).starts_at;
            let (from, until) = (first, first.plus(Duration::from_secs(1000)));
            let found = async |upper, lower, of: &[CameraId], limit| {
                let found = store.people_wearing(Clothes { upper, lower }, of, from, until, limit).await.unwrap();
                found.iter().map(|(c, t, _)| (*c, t.seconds_since(first) as u32)).collect::<Vec<_>>()
            };
            assert_eq!(found(red, None, &[a.id], 9).await, [(a.id, 100), (a.id, 0)]);
            assert_eq!(found(red, None, &[a.id], 1).await, [(a.id, 100)], "the newest");
            assert_eq!(found(red, blue, &[a.id, b.id], 9).await, [(a.id, 0)]);
            assert_eq!(found(None, red, &[a.id, b.id], 9).await, [(a.id, 50), (b.id, 0)]);
            assert!(found(Some(ColourName::Green), None, &[a.id, b.id], 9).await.is_empty());
            assert!(found(None, None, &[a.id], 9).await.is_empty(), "no colour, no answer");
        }
    }

    #[test]
    fn stretches_fill_the_columns_and_are_of_kept_lengths() {
        let day = 24 * 60 * MINUTE;
        for (span, minutes) in [(0, 1), (day / 24, 1), (day, 3), (7 * day, 30), (20 * day, 60), (60 * day, 180)] {
            let found = stretch_minutes(span, 500);
            assert_eq!(found, minutes, "{span}");
            assert!(span / MINUTE / i64::from(found) <= 500);
        }
    }
}
