//! What happens in the field: real RTSP streams, decoders that are slow or absent, cameras that are joined midway.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
#[path = "field/answers_in_words.rs"]
mod answers_in_words;
#[path = "field/cameras.rs"]
mod cameras;
#[path = "field/files.rs"]
mod files;
#[path = "field/files_of_all_kinds.rs"]
mod files_of_all_kinds;
#[path = "field/joins_between_key_frames.rs"]
mod joins_between_key_frames;
#[path = "field/pictures_in_their_true_shape.rs"]
mod pictures_in_their_true_shape;
#[path = "field/records_what_cannot_be_shown.rs"]
mod records_what_cannot_be_shown;
#[path = "field/records_while_the_decoder_sleeps.rs"]
mod records_while_the_decoder_sleeps;
#[path = "field/sends_few_pictures.rs"]
mod sends_few_pictures;
#[path = "field/speaks_udp_only.rs"]
mod speaks_udp_only;
