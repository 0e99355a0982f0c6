//! Users, cameras and the audit trail from the command line, on a real data folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
use serde_json::Value;
use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

const PASSWORD: &str = "correct horse battery staple";

struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn data(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, args: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vigia"))
            .args(args)
            .arg("--data-dir")
            .arg(self.data())
            .env("USER", "ines")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes()); // some commands do not read it
        child.wait_with_output().unwrap()
    }

    fn done(&self, args: &[&str], input: &str) -> String {
        let out = self.run(args, input);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn refused(&self, args: &[&str], input: &str) -> String {
        let out = self.run(args, input);
        assert!(!out.status.success(), "{args:?} was done");
        String::from_utf8(out.stderr).unwrap()
    }

    fn add_user(&self, cc: &str, name: &str, more: &[&str]) -> Vec<String> {
        let mail = format!("{cc}@police.example");
        let mut args = vec!["user", "add", "--cc", cc, "--name", name, "--email", &mail, "--password-stdin"];
        args.extend(more);
        args.into_iter().map(str::to_owned).collect()
    }

    /// The log, oldest entry first, through an export.
    fn log(&self) -> Vec<Value> {
        let file = self.data().join("log.jsonl");
        self.done(&["audit", "export", "--format", "jsonl", "--out", file.to_str().unwrap()], "");
        let text = std::fs::read_to_string(&file).unwrap();
        // between what the file covers and its seal
        let lines: Vec<Value> = text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.into_iter().filter(|line| line.get("log_id").is_some()).collect()
    }
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn users_are_managed_and_every_attempt_is_an_entry() {
    let site = Site::new();
    let first = site.refused(&strs(&site.add_user("1", "Ana Sousa", &[])), PASSWORD);
    assert!(first.contains("--admin"), "{first}");
    site.done(&strs(&site.add_user("1", "Ana Sousa", &["--admin"])), PASSWORD);
    assert!(site.refused(&strs(&site.add_user("1", "Ana Sousa", &[])), PASSWORD).contains("already"));
    assert!(site.refused(&strs(&site.add_user("2", "Rui Costa", &[])), "short").contains("too short"));
    assert!(site.refused(&strs(&site.add_user("2", "Rui Costa", &[])), "").contains("no password"));
    site.done(&strs(&site.add_user("2", "Rui Costa", &[])), PASSWORD);
    assert!(site.refused(&["user", "disable", "1"], "").contains("last active administrator"));
    assert!(site.refused(&["user", "disable", "9"], "").contains("no user"));
    site.done(&["user", "disable", "2"], "");
    let users: Value = serde_json::from_str(&site.done(&["user", "list", "--json"], "")).unwrap();
    let active: Vec<_> = users.as_array().unwrap().iter().map(|u| (u["cc"].as_str(), u["active"].as_bool())).collect();
    assert_eq!(active, [(Some("1"), Some(true)), (Some("2"), Some(false))]);
    site.done(&["user", "enable", "2"], "");
    site.done(&["user", "password", "2", "--password-stdin"], "o farol acende sozinho\n");

    let log = site.log();
    let said: Vec<_> = log
        .iter()
        .map(|e| (e["action"].as_str().unwrap(), e["outcome"].as_str().unwrap(), e["target"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(
        said,
        [
            ("CREATE_USER", "refused", "1"),
            ("CREATE_USER", "succeeded", "1"),
            ("CREATE_USER", "refused", "1"),
            ("CREATE_USER", "refused", "2"),
            ("CREATE_USER", "succeeded", "2"),
            ("DEACTIVATE_USER", "refused", "1"),
            ("DEACTIVATE_USER", "refused", "9"),
            ("DEACTIVATE_USER", "succeeded", "2"),
            ("REACTIVATE_USER", "succeeded", "2"),
            ("CHANGE_PASSWORD", "succeeded", "2"),
        ]
    );
    assert!(log.iter().all(|e| e["user_cc"] == "console:ines"));
    assert!(!log.iter().any(|e| e.to_string().contains("horse") || e.to_string().contains("farol")));
}

#[test]
fn cameras_are_kept_in_the_database_and_run_with_the_site() {
    let site = Site::new();
    let add = |name: &str, url: &str, more: &[&str]| {
        let mut args = vec!["camera", "add", "--name", name, "--url", url];
        args.extend(more);
        site.run(&args, "")
    };
    assert!(add("Gate", "test:", &["--lat", "38.7", "--lon", "-9.1"]).status.success());
    assert!(add("Quay", "rtsp://user:s3cret@127.0.0.1:9/x", &[]).status.success());
    for (name, url, more, word) in [
        ("Gate", "test:", &[][..], "already"),
        ("Yard", "http://x", &[][..], "rtsp://"),
        (" ", "test:", &[][..], "name"),
        ("Yard", "test:", &["--lat", "99", "--lon", "0"][..], "latitude"),
        ("Yard", "test:", &["--lat", "9"][..], "together"),
    ] {
        let out = add(name, url, more);
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success() && said.contains(word), "{name}: {said}");
    }
    site.done(&["camera", "edit", "Quay", "--name", "Quay 2"], "");
    let looks = site.done(&["camera", "edit", "Gate", "--heading", "90", "--range", "40"], "");
    assert!(looks.contains("looks 90°, 70° wide, 40 m"), "{looks}");
    assert!(site.refused(&["camera", "edit", "Gate", "--heading", "400"], "").contains("from north"));
    site.done(&["camera", "edit", "Gate", "--angle", "100"], "");
    site.done(&["camera", "disable", "Quay 2"], "");
    assert!(site.refused(&["camera", "disable", "Yard"], "").contains("no camera"));
    let listed = site.done(&["camera", "list", "--json"], "");
    assert!(!listed.contains("s3cret"), "{listed}");
    let cameras: Value = serde_json::from_str(&listed).unwrap();
    let seen: Vec<_> = cameras
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["name"].as_str().unwrap(), c["active"].as_bool().unwrap(), c["version"].as_i64().unwrap()))
        .collect();
    assert_eq!(seen, [("Gate", true, 3), ("Quay 2", false, 3)]);
    assert_eq!(cameras[0]["location"], serde_json::json!([38.7, -9.1]));
    let sees = serde_json::json!({ "heading": 90.0, "angle": 100.0, "range": 40.0 });
    assert_eq!(cameras[0]["field_of_view"], sees);

    let run = site.done(&["run", "--headless", "--seconds", "4"], "");
    let summary: Value = serde_json::from_str(run.lines().last().unwrap()).unwrap();
    let gate = summary["cameras"].as_array().unwrap().iter().find(|c| c["name"] == "Gate").unwrap();
    assert!(gate["received"].as_u64().unwrap() > 0, "{summary}");
    let after: Value = serde_json::from_str(&site.done(&["camera", "list", "--json"], "")).unwrap();
    assert_eq!(after, cameras, "a run without a configuration changes no camera");
    assert!(!site.log().iter().any(|e| e.to_string().contains("s3cret")));
}

#[test]
fn the_log_is_verified_live_and_as_an_export_and_a_touched_one_is_not() {
    let site = Site::new();
    site.done(&strs(&site.add_user("1", "=HYPERLINK(\"x\")", &["--admin"])), PASSWORD);
    for _ in 0..3 {
        site.refused(&["user", "disable", "1"], "");
    }
    assert!(site.done(&["audit", "verify"], "").contains("all whole"));
    let verify = |file: &Path| {
        Command::new(env!("CARGO_BIN_EXE_vigia")).args(["audit", "verify", "--json"]).arg(file).output().unwrap()
    };
    for format in ["jsonl", "csv"] {
        let file = site.data().join(format!("log.{format}"));
        site.done(&["audit", "export", "--format", format, "--out", file.to_str().unwrap()], "");
        assert!(verify(&file).status.success());
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("\n=") && !text.contains(",="), "a formula: {text}");
        let mut lines: Vec<&str> = text.lines().collect();
        lines.pop();
        for (what, touched) in [
            ("cut off", lines.join("\n") + "\n"),
            ("changed", text.replacen("console:ines", "console:rosa", 1)),
            ("taken out", text.lines().enumerate().filter(|(i, _)| *i != 3).map(|(_, l)| format!("{l}\n")).collect()),
        ] {
            std::fs::write(&file, touched).unwrap();
            let out = verify(&file);
            let said: Value = serde_json::from_slice(&out.stdout).unwrap();
            assert!(!out.status.success() && said["whole"] == false, "{format}, {what}: {said}");
        }
    }
    let filtered = site.data().join("filtered.csv");
    let out = ["audit", "export", "--format", "csv", "--action", "CREATE_USER", "--out", filtered.to_str().unwrap()];
    assert!(site.done(&out, "").starts_with("1 entries"));
    assert!(verify(&filtered).status.success());
    let nowhere = ["audit", "export", "--format", "csv", "--out", "/nowhere/at/all.csv"];
    assert!(site.refused(&nowhere, "").contains("/nowhere"));
    let log = site.log();
    let failed = log.iter().find(|e| e["action"] == "EXPORT_LOG" && e["outcome"] == "failed").unwrap();
    assert!(failed["details"]["file"].as_str().unwrap().contains("/nowhere"));

    // somebody with a shell cuts off the end of the log, and puts nothing in its place
    let database = site.data().join("databases/action_logs.sqlite");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        use sqlx::{Connection as _, Executor as _};
        let mut db = sqlx::SqliteConnection::connect(&format!("sqlite:{}", database.display())).await.unwrap();
        db.execute("DROP TRIGGER action_logs_never_shrink").await.unwrap();
        db.execute("DELETE FROM action_logs WHERE seq > 4").await.unwrap();
        db.close().await.unwrap();
    });
    let out = site.run(&["audit", "verify"], "");
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(!out.status.success() && said.contains("cut off") && said.contains("place 5"), "{said}");
}

#[test]
fn a_video_is_uploaded_from_the_command_line_once() {
    let site = Site::new();
    site.done(&["camera", "add", "--name", "Gate", "--url", "test:"], "");
    let footage = vigia::cli::prerequisites::footage("vtest.avi");
    let upload = |camera: &str, more: &[&str]| {
        let mut args = vec!["upload", footage.to_str().unwrap(), "--camera", camera];
        args.extend(more);
        let out = site.run(&args, "");
        (out.status.success(), String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap())
    };
    let at = ["--starts-at", "2026-11-22T14:03:22+01:00"];
    for (camera, more, word) in [
        ("Gate", &[][..], "give its start"),
        ("Yard", &at[..], "no camera called \"Yard\""),
        ("Gate", &["--starts-at", "noon"], "zone"),
    ] {
        let (done, said) = upload(camera, more);
        assert!(!done && said.contains(word), "{said}");
    }
    let (done, said) = upload("Gate", &at);
    assert!(
        done && said.contains("80 s") && said.contains("768x576") && said.contains("2026-11-22T13:03:22"),
        "{said}"
    );
    let (done, said) = upload("Gate", &at);
    assert!(!done && said.contains("uploaded before"), "{said}");
    let outcomes: Vec<_> = site
        .log()
        .iter()
        .filter(|e| e["action"] == "UPLOAD_VIDEO")
        .map(|e| e["outcome"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(outcomes, ["refused", "refused", "succeeded", "refused"]);
}
