//! Handing out evidence: what is missing before it starts, why and to whom, how far it is.
use super::*;
use std::path::PathBuf;
use vigia::{
    model::{Hash, SuspectId},
    site::{ExportCommand, ExportOf, ExportPlan, ExportStage, ExportView, MissingVideo},
};

fn view(state: &SiteState, stage: ExportStage) -> ExportView {
    let suspect = state.suspects[0].suspect.clone();
    let missing = MissingVideo {
        camera: Uuid::from_u128(2),
        camera_name: "Yard".to_owned(),
        from: NOW.minus(Duration::from_secs(600)),
        until: NOW.minus(Duration::from_secs(540)),
        reason: "the camera is not recorded".to_owned(),
    };
    let stops = state.sightings.iter().map(|v| v.sighting.clone()).collect();
    let of = ExportOf::Suspect(suspect.id);
    let plan = ExportPlan { suspect: Some(suspect), stops, stretches: 2, missing: vec![missing], bytes: 48 << 20 };
    ExportView { of, plan: Ok(Arc::new(plan)), stage }
}

fn site() -> (SiteState, SuspectId) {
    let mut state = state(logged_in(false));
    state.cameras = vec![camera(1, "Gate", None), camera(2, "Yard", None)];
    state.suspects = vec![suspect(1, [86, 180, 233], "theft", crop([90, 60, 40]))];
    state.sightings = vec![sighting(2, 1, 1, 1.0, Decision::Origin, None)];
    let id = state.suspects[0].suspect.id;
    (state, id)
}

#[test]
fn evidence_is_handed_out_only_with_reason_recipient_and_a_look_at_what_is_missing() {
    let (state, id) = site();
    let mut harness = open(state);
    press(&mut harness, Key::S);
    harness.get_by_label("Export…").click();
    harness.run_steps(2);
    let plan = asked(&mut harness);
    assert!(
        matches!(plan[..], [Command::Export(ExportCommand::Plan { of: ExportOf::Suspect(of), pending: false })] if of == id),
        "{plan:?}"
    );

    let planned = view(&harness.state().state, ExportStage::Planned);
    harness.state_mut().state.export = Some(planned);
    harness.run_steps(3);
    look(&mut harness, "export");
    assert!(shows(&harness, "No video of 1 interval") && shows(&harness, "the camera is not recorded"));
    harness.get_by_label("Export").click();
    harness.run_steps(2);
    assert!(asked(&mut harness).is_empty(), "neither why nor to whom is said");
    look(&mut harness, "export-gaps");
    assert!(shows(&harness, "Say why it is handed out") && shows(&harness, "Say to whom it is handed out"));
    assert!(!shows(&harness, "Name the file"), "one is proposed");
    for (field, text) in [("Reason", "case 17"), ("Recipient", "the court")] {
        harness.get_by_label(field).focus();
        harness.run_steps(2);
        write(&mut harness, text);
    }
    assert!(!shows(&harness, "Say why it is handed out") && !shows(&harness, "Say to whom"));
    harness.get_by_label("Export").click();
    harness.run_steps(2);
    let commands = asked(&mut harness);
    let [Command::Export(ExportCommand::Start(request))] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(
        (&request.of, request.reason.as_str(), request.recipient.as_str()),
        (&ExportOf::Suspect(id), "case 17", "the court")
    );
    assert!(request.to.extension().is_some_and(|e| e == "zip") && !request.pending, "{request:?}");

    let stage = ExportStage::Running { done: 0.4, what: "Video of Gate".to_owned() };
    harness.state_mut().state.export = Some(view(&harness.state().state, stage));
    harness.run_steps(2);
    look(&mut harness, "export-running");
    harness.get_by_label("Cancel").click();
    harness.run_steps(2);
    assert!(matches!(asked(&mut harness)[..], [Command::Export(ExportCommand::Cancel)]));

    let to = PathBuf::from("/media/stick/evidence.zip");
    let stage = ExportStage::Done { to, bytes: 47 << 20, sha256: Hash([7; 32]), key: "ab".repeat(32) };
    harness.state_mut().state.export = Some(view(&harness.state().state, stage));
    harness.run_steps(2);
    look(&mut harness, "export-done");
    assert!(shows(&harness, "/media/stick/evidence.zip"));
    press(&mut harness, Key::Escape);
    assert!(matches!(asked(&mut harness)[..], [Command::Export(ExportCommand::Close)]));

    let why = "the disk that holds /media/stick is full. Free some space".to_owned();
    harness.state_mut().state.export = Some(view(&harness.state().state, ExportStage::Failed(why)));
    harness.run_steps(2);
    assert!(shows(&harness, "is full"));
}
