//! Analyses of recorded video: asked for, watched, and what they found.
use crate::{
    model::{DetectionKind, Finding, Job, JobState},
    site::{Command, JobCommand, ReviewCommand, SiteState, UploadStage},
    ui::{modal, tokens, widgets},
};
use egui::{Align, Color32, ComboBox, Grid, Layout, ProgressBar, RichText, Ui, vec2};
use std::collections::BTreeSet;
use uuid::Uuid;

/// How many of the hours before now are checked; `None`: all there is.
const HOURS: [(Option<u32>, &str); 4] =
    [(Some(1), "the last hour"), (Some(24), "the last 24 hours"), (Some(168), "the last 7 days"), (None, "all video")];
/// How many pictures a second are looked at; `None`: every one.
const RATES: [(Option<f32>, &str); 3] =
    [(None, "every picture"), (Some(5.0), "5 pictures a second"), (Some(2.0), "2 a second")];
/// Findings listed of a job before one asks for more.
const LISTED: usize = 6;

/// What the list remembers between two repaints.
pub struct Jobs {
    hours: Option<u32>,
    rate: Option<f32>,
    /// Jobs all of whose findings are listed.
    unfolded: BTreeSet<Uuid>,
}

impl Default for Jobs {
    fn default() -> Self {
        Self { hours: Some(24), rate: None, unfolded: BTreeSet::new() }
    }
}

impl Jobs {
    /// Draws the button that checks everything, and the jobs.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState) -> Vec<Command> {
        let mut asked = Vec::new();
        let mut watch = None;
        ui.horizontal(|ui| {
            ui.label(tokens::strong("Analysis").size(20.0));
            ui.add_space(8.0);
            let check = widgets::primary("Check everything for weapons and suspects");
            let hover = "Looks at recorded and uploaded video of all your cameras. Live cameras come first, so it may take a while";
            if ui.add(check).on_hover_text(hover).clicked() {
                asked.push(JobCommand::CheckEverything { hours: self.hours, rate: self.rate });
            }
            ui.label(tokens::weak("in"));
            choose(ui, "hours", &mut self.hours, &HOURS);
            ui.label(tokens::weak("at"));
            choose(ui, "rate", &mut self.rate, &RATES);
            let new: Vec<Uuid> = self.not_analysed(state);
            if !new.is_empty() {
                let words = if new.len() == 1 { "Analyse the new video".to_owned() } else { format!("Analyse {} new videos", new.len()) };
                if ui.button(words).clicked() {
                    asked.push(JobCommand::Analyse { uploads: new, rate: self.rate });
                }
            }
        });
        if state.jobs.is_empty() {
            ui.label(tokens::weak(
                "Nothing has been analysed yet. What is found appears here, and possible matches in the inbox",
            ));
        }
        for job in &state.jobs {
            widgets::card(false).show(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.push_id(job.id, |ui| asked.extend(self.job(ui, state, job, &mut watch)));
            });
        }
        asked.into_iter().map(Command::Job).chain(watch).collect()
    }

    /// How videos are looked at from here on, for a button elsewhere.
    pub fn analyse(&self, upload: Uuid) -> Command {
        Command::Job(JobCommand::Analyse { uploads: vec![upload], rate: self.rate })
    }

    /// Uploaded videos that no job has looked at or will look at.
    fn not_analysed(&self, state: &SiteState) -> Vec<Uuid> {
        let uploads = state.uploads.iter().filter(|u| u.stage == UploadStage::Done).filter_map(|u| u.upload);
        uploads.filter(|id| !is_analysed(state, *id)).collect()
    }

    fn job(&mut self, ui: &mut Ui, state: &SiteState, job: &Job, watch: &mut Option<Command>) -> Option<JobCommand> {
        let mut asked = None;
        ui.horizontal(|ui| {
            ui.label(tokens::strong(&job.title));
            ui.label(tokens::small(format!("{} · {}", job.by.1, job.made_at.local_date_time())));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if job.state == JobState::Open && ui.button("Give up").clicked() {
                    asked = Some(JobCommand::Cancel(job.id));
                }
                let (tint, words) = how(job);
                widgets::chip(ui, words, tint);
            });
        });
        if job.state == JobState::Open {
            ui.add(ProgressBar::new(job.part()).desired_height(8.0).fill(tokens::ACCENT));
        }
        ui.label(tokens::small(numbers(job)));
        for trouble in &job.troubles {
            ui.label(RichText::new(trouble).color(tokens::WARN).size(12.0));
        }
        self.findings(ui, state, job, watch);
        asked
    }

    fn findings(&mut self, ui: &mut Ui, state: &SiteState, job: &Job, watch: &mut Option<Command>) {
        if job.findings.is_empty() {
            return;
        }
        let all = self.unfolded.contains(&job.id);
        let listed = if all { job.findings.len() } else { LISTED };
        Grid::new("findings").num_columns(5).spacing(vec2(18.0, 4.0)).show(ui, |ui| {
            for finding in job.findings.iter().take(listed) {
                line(ui, state, finding);
                if ui.button("Watch").on_hover_text("Shows this moment in the player").clicked() {
                    let (cameras, at) = (vec![finding.camera], finding.from);
                    *watch = Some(Command::Review(ReviewCommand::Open { cameras, at }));
                }
                ui.end_row();
            }
        });
        let more = job.findings.len().saturating_sub(LISTED);
        if more > 0 {
            let words = if all { "Show fewer".to_owned() } else { format!("Show {more} more") };
            if ui.button(words).clicked() && !self.unfolded.remove(&job.id) {
                self.unfolded.insert(job.id);
            }
        }
    }
}

/// Whether a job looks at this upload, has done so, or will.
pub fn is_analysed(state: &SiteState, upload: Uuid) -> bool {
    let counts = |job: &Job| matches!(job.state, JobState::Open | JobState::Done);
    state.jobs.iter().any(|job| counts(job) && job.segments.contains(&upload))
}

fn choose<T: Copy + PartialEq>(ui: &mut Ui, id: &str, value: &mut T, choices: &[(T, &str)]) {
    let chosen = choices.iter().find(|(v, _)| v == value).map_or("", |(_, words)| words);
    modal::choose(ComboBox::from_id_salt(id).selected_text(chosen).width(150.0), ui, |ui| {
        for (choice, words) in choices {
            ui.selectable_value(value, *choice, *words);
        }
    });
}

/// How a job is doing, in few words.
fn how(job: &Job) -> (Color32, String) {
    match &job.state {
        JobState::Open if job.pictures == 0 => (tokens::TEXT_WEAK, "waits for its turn".to_owned()),
        JobState::Open => (tokens::ACCENT, format!("{:.0} %", job.part() * 100.0)),
        JobState::Done => (tokens::GOOD, "done".to_owned()),
        JobState::Cancelled(who) => (tokens::WARN, format!("given up by {who}")),
        JobState::Failed(why) => (tokens::BAD, why.clone()),
    }
}

fn numbers(job: &Job) -> String {
    let mut parts = vec![format!("{} of {} of video", widgets::span(job.looked_s), widgets::span(job.total_s))];
    if let Some(left) = job.remaining_s().filter(|_| job.state == JobState::Open) {
        parts.push(format!("{} left", widgets::span(left)));
    }
    parts.extend(job.speed().map(|speed| format!("{speed:.1} × real time")));
    parts.push(format!("{} pictures", job.pictures));
    parts.push(format!("{} people", job.people));
    if job.findings.is_empty() && job.state == JobState::Done {
        parts.push("no weapons, no possible matches".to_owned());
    }
    parts.join(" · ")
}

fn line(ui: &mut Ui, state: &SiteState, finding: &Finding) {
    let (tint, words) = match finding.kind {
        DetectionKind::Knife => (tokens::BAD, "Possible knife".to_owned()),
        DetectionKind::Gun => (tokens::BAD, "Possible gun".to_owned()),
        DetectionKind::Suspect => {
            let suspect = finding.suspect.and_then(|id| widgets::suspect(state, id));
            let label = suspect.map_or("a suspect", |s| s.suspect.label.as_str());
            (tokens::WARN, format!("Possible match with {label}"))
        }
    };
    ui.horizontal(|ui| {
        widgets::dot(ui, tint);
        ui.label(words);
    });
    ui.label(widgets::percent(finding.probability));
    ui.label(widgets::camera_name(state, finding.camera));
    let until =
        if finding.until > finding.from { format!(" – {}", finding.until.local_time()) } else { String::new() };
    ui.label(tokens::digits(format!("{}{until}", finding.from.local_date_time())));
}
