//! The system's file dialogs, off the thread that draws.
use std::{
    path::PathBuf,
    sync::mpsc::{Receiver, TryRecvError, channel},
    time::{Duration, Instant},
};

/// A dialog that nobody can have closed so fast was never there.
const SHORTEST: Duration = Duration::from_millis(300);

/// A dialog that asks which files to open, or where to save one.
pub struct FileDialog {
    answer: Receiver<(Option<Vec<PathBuf>>, Duration)>,
}

impl FileDialog {
    /// Opens it for files with these endings, called `kind`; repaints when there is an answer.
    pub fn open(context: &egui::Context, kind: &'static str, endings: &'static [&'static str]) -> Self {
        Self::ask(context, kind, endings, rfd::FileDialog::pick_files)
    }

    /// Opens it to choose where a file goes, proposing a name.
    pub fn save(context: &egui::Context, kind: &'static str, endings: &'static [&'static str], name: String) -> Self {
        let ask = move |dialog: rfd::FileDialog| dialog.set_file_name(name).save_file().map(|path| vec![path]);
        Self::ask(context, kind, endings, ask)
    }

    fn ask(
        context: &egui::Context,
        kind: &'static str,
        endings: &'static [&'static str],
        ask: impl FnOnce(rfd::FileDialog) -> Option<Vec<PathBuf>> + Send + 'static,
    ) -> Self {
        let (sender, answer) = channel();
        let context = context.clone();
        std::thread::spawn(move || {
            let opened = Instant::now();
            let chosen = ask(rfd::FileDialog::new().add_filter(kind, endings).add_filter("All files", &["*"]));
            let _ = sender.send((chosen, opened.elapsed())); // nobody waits for it any more
            context.request_repaint();
        });
        Self { answer }
    }

    /// The answer, once there is one: the files, none where the dialog was closed.
    ///
    /// # Errors
    /// When this machine shows no dialogs, in words.
    pub fn answer(&self) -> Option<Result<Vec<PathBuf>, &'static str>> {
        const NONE: &str =
            "This machine shows no file dialogs: type a path; videos can be dropped onto the window, too";
        match self.answer.try_recv() {
            Ok((Some(paths), _)) => Some(Ok(paths)),
            Ok((None, after)) if after < SHORTEST => Some(Err(NONE)),
            Ok((None, _)) => Some(Ok(Vec::new())),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(NONE)),
        }
    }
}
