//! A site's own curves from likeness to probability, which all of its consoles use.
use super::{
    CameraStore, StoreError,
    sql::{Row, sql},
};
use crate::model::{DescriptorKind, FittedCurve};

const STRIPES: &str = "colour-stripes";
const LEARNED: &str = "learned";

impl CameraStore {
    /// Records a curve; of two for the same kind of vectors the one fitted later stays.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn put_curve(&self, curve: &FittedCurve) -> Result<(), StoreError> {
        let upsert = sql("INSERT INTO curves (kind, slope, intercept, confirmed, rejected, fitted_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (kind) DO UPDATE SET slope = excluded.slope, intercept = excluded.intercept,
             confirmed = excluded.confirmed, rejected = excluded.rejected, fitted_at = excluded.fitted_at
             WHERE excluded.fitted_at > curves.fitted_at")
        .bind(match curve.kind {
            DescriptorKind::ColourStripes => STRIPES,
            DescriptorKind::Learned => LEARNED,
        })
        .bind(Some(curve.slope))
        .bind(Some(curve.intercept))
        .bind(i64::from(curve.confirmed))
        .bind(i64::from(curve.rejected))
        .bind(curve.fitted_at);
        self.db.execute(upsert).await
    }

    /// All curves.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn curves(&self) -> Result<Vec<FittedCurve>, StoreError> {
        let count = |row: &Row, column: &str| Ok::<_, sqlx::Error>(u32::try_from(row.get::<i64>(column)?).unwrap_or(0));
        let read = |row: &Row| {
            let kind: String = row.get("kind")?;
            Ok(FittedCurve {
                kind: if kind == STRIPES { DescriptorKind::ColourStripes } else { DescriptorKind::Learned },
                slope: row.get("slope")?,
                intercept: row.get("intercept")?,
                confirmed: count(row, "confirmed")?,
                rejected: count(row, "rejected")?,
                fitted_at: row.instant("fitted_at")?,
            })
        };
        self.db.fetch(sql("SELECT * FROM curves ORDER BY kind"), read).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Timestamp, store::sql::tests::backends};

    #[tokio::test]
    async fn the_later_fit_of_a_kind_stays() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let fit = |kind, slope, second: i64| FittedCurve {
                kind,
                slope,
                intercept: -9.25,
                confirmed: 31,
                rejected: 40,
                fitted_at: Timestamp(1_795_000_000_000_000 + second * 1_000_000),
            };
            let (old, new) = (fit(DescriptorKind::Learned, 14.5, 0), fit(DescriptorKind::Learned, 12.25, 60));
            let other = fit(DescriptorKind::ColourStripes, 40.5, 30);
            for curve in [&new, &old, &other] {
                store.put_curve(curve).await.unwrap();
            }
            assert_eq!(store.curves().await.unwrap(), [other, new]);
        }
    }
}
