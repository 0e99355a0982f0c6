//! The system's file dialogs, off the thread that draws.
use std::{
    path::PathBuf,
    sync::mpsc::{Receiver, TryRecvError, channel},
    time::{Duration, Instant},
};

/// A dialog that nobody can have closed so fast was never there.
const SHORTEST: Duration = Duration::from_millis(300);

/// A dialog that asks which files to open.
pub struct OpenDialog {
    answer: Receiver<(Option<Vec<PathBuf>>, Duration)>,
}

impl OpenDialog {
    /// Opens it for files with these endings, called `kind`; repaints when there is an answer.
    pub fn open(context: &egui::Context, kind: &'static str, endings: &'static [&'static str]) -> Self {
        let (sender, answer) = channel();
        let context = context.clone();
        std::thread::spawn(move || {
            let opened = Instant::now();
            let dialog = rfd::FileDialog::new().add_filter(kind, endings).add_filter("All files", &["*"]);
            let chosen = dialog.pick_files();
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
        const NONE: &str = "This machine shows no file dialogs: drop files onto the window, or type a path";
        match self.answer.try_recv() {
            Ok((Some(paths), _)) => Some(Ok(paths)),
            Ok((None, after)) if after < SHORTEST => Some(Err(NONE)),
            Ok((None, _)) => Some(Ok(Vec::new())),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(NONE)),
        }
    }
}
