//! The person of a stay that a search found, as its stored picture shows: to be marked like one who was clicked.
use super::{Clicked, Shared, analysis};
use crate::{
    follow::Stay,
    model::{Picture, Rect, Timestamp, Tracklet},
    video::Frame,
};

impl Shared {
    /// The person of a stay; `None` while its record is on its way to the store.
    pub(super) async fn person_of(&self, stay: &Stay, picture: &Picture) -> Option<Clicked> {
        let tracklet = self.records.stores.cameras.tracklet(stay.id).await.ok()??;
        let (at, rect) = moment(&tracklet, picture)?;
        let whole = (tracklet.frame.0 as f32, tracklet.frame.1 as f32);
        let frame = Frame::of_picture(picture, analysis::around(rect).clamped(whole.0, whole.1)?, whole, at)?;
        let rect = frame.in_part(rect);
        Some(Clicked { camera: tracklet.camera, track: tracklet.track.recorded(), frame, rect })
    }
}

/// Where the person was, and when, on the stored picture. When that was taken is not on record, only how large it is: the first box of the stay
/// whose picture would be as large.
fn moment(tracklet: &Tracklet, picture: &Picture) -> Option<(Timestamp, Rect)> {
    let (w, h) = (tracklet.frame.0 as f32, tracklet.frame.1 as f32);
    let differs = |rect: &Rect| {
        let (across, down) = analysis::around(*rect).clamped(w, h).map(analysis::crop_size)?;
        Some(across.abs_diff(picture.width()) + down.abs_diff(picture.height()))
    };
    let known = tracklet.path.iter().filter_map(|(at, rect)| Some((differs(rect)?, *at, *rect)));
    known.min_by_key(|(differs, at, _)| (*differs, *at)).map(|(_, at, rect)| (at, rect))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::TrackId, video::Color};
    use uuid::Uuid;

    #[test]
    fn the_instant_of_a_stored_picture_is_that_of_the_box_of_its_size() {
        gstreamer::init().unwrap();
        let frame = Frame::from_i420(320, 240, &[90; 320 * 240 * 3 / 2], Color::BT601, 0, Timestamp(0)).unwrap();
        // Somebody comes nearer, at last beyond the edge of the picture.
        let path: Vec<_> = (0..20u8)
            .map(|i| {
                (
                    Timestamp(i64::from(i) * 200_000),
                    Rect::new(150.0, 30.0, 20.0 + f32::from(i), 60.0 + 12.0 * f32::from(i)),
                )
            })
            .collect();
        let tracklet = Tracklet {
            id: Uuid::from_u128(1),
            camera: Uuid::from_u128(2),
            track: TrackId(3),
            upload: None,
            starts_at: Timestamp(0),
            ends_at: Timestamp(4_000_000),
            frame: (320, 240),
            path: path.clone(),
            crop_url: String::new(),
            gallery: Vec::new(),
            characteristics: serde_json::Value::Null,
            suspect: None,
        };
        for (at, rect) in path {
            let picture = analysis::crop(&frame, rect).unwrap();
            assert_eq!(moment(&tracklet, &picture), Some((at, rect)));
        }
    }
}
