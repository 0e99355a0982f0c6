//! A camera that does not send inside the RTSP connection.
use super::cameras::{LiveCamera, until};
use gstreamer_rtsp_server::gst_rtsp::RTSPLowerTrans;
use std::sync::Arc;
use vigia::{
    model::SystemClock,
    video::{Source, SourceConfig, SourceState, Transport},
};

const ENCODER: &str =
    "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ! rtph264pay name=pay0 pt=96 config-interval=-1";

#[test]
fn it_is_read_by_udp_and_a_demanded_transport_is_told_by_name() {
    let camera = LiveCamera::over(RTSPLowerTrans::UDP, ENCODER);
    let auto = Source::open(SourceConfig::new(&camera.url), Arc::new(SystemClock), |_, _| {});
    until("pictures by UDP", || (auto.state() == SourceState::Live).then_some(()));
    let mut config = SourceConfig::new(&camera.url);
    config.transport = Transport::Tcp;
    let tcp = Source::open(config, Arc::new(SystemClock), |_, _| {});
    until("the reason", || {
        matches!(tcp.state(), SourceState::Stale { reason, .. } if reason.contains("does not send by the transport"))
            .then_some(())
    });
}
