//! The program `vigia`. Everything it can do lies in the library; see `src/cli/`.
use clap::Parser as _;
use std::{os::unix::process::CommandExt as _, process::ExitCode};

fn main() -> ExitCode {
    // OpenMP reads its wait policy when libtorch is loaded, before `main`: spinning threads made one inference 200–600 ms on a
    // busy machine, sleeping ones 25–65 ms. So the program starts itself once more with the policy set.
    if std::env::var_os("OMP_WAIT_POLICY").is_none()
        && let Ok(program) = std::env::current_exe()
    {
        let arguments = std::env::args_os().skip(1);
        let error = std::process::Command::new(program).args(arguments).env("OMP_WAIT_POLICY", "passive").exec();
        eprintln!("vigia: goes on without OMP_WAIT_POLICY=passive ({error}); the analysis may be slow");
    }
    match vigia::cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("vigia: {error:#}");
            ExitCode::FAILURE
        }
    }
}
