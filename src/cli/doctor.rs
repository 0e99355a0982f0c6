//! `vigia doctor`: what this machine has of what Vigia needs, and what to do about the rest.
use super::prerequisites::{self, Prerequisite};
use crate::{site::SiteConfig, store};
use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

/// Options of `vigia doctor`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Folder of the trained weights
    #[arg(long, value_name = "DIR")]
    pub models: Option<PathBuf>,
    /// Data folder whose disk is looked at
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration of a site: its stores on servers are looked at, too, and nothing on them is changed
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Prints every prerequisite; success only when everything required is there.
///
/// # Errors
/// When the configuration cannot be read, or standard output not be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let models = prerequisites::models_dir(args.models.as_deref());
    let mut list = prerequisites::all(&models, &prerequisites::data_dir(args.data_dir.as_deref()));
    if let Some(file) = &args.config {
        list.extend(stores(&SiteConfig::load(file)?)?);
    }
    let text = if args.json { format!("{:#}\n", json(&list)) } else { table(&list) };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => return Err(why.into()),
        _ => {}
    }
    Ok(if list.iter().any(Prerequisite::blocks) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The stores of a site: each with what it is like, or what is wrong.
fn stores(config: &SiteConfig) -> anyhow::Result<Vec<Prerequisite>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let examined = runtime.block_on(store::examine(&config.stores));
    let item = |e: store::Examined| Prerequisite {
        name: format!("store: {}", e.store),
        required: true,
        found: e.found.map(|words| format!("{} · {words}", e.place)),
    };
    Ok(examined.into_iter().map(item).collect())
}

fn state(item: &Prerequisite) -> &'static str {
    match (&item.found, item.required) {
        (Ok(_), _) => "found",
        (Err(_), true) => "MISSING",
        (Err(_), false) => "absent",
    }
}

fn table(list: &[Prerequisite]) -> String {
    let wide = list.iter().map(|item| item.name.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for item in list {
        let (Ok(detail) | Err(detail)) = &item.found;
        text += &format!("{:8}  {:wide$}  {detail}\n", state(item), item.name);
    }
    let missing: Vec<&str> = list.iter().filter(|item| item.blocks()).map(|item| item.name.as_str()).collect();
    text += &if missing.is_empty() {
        "\nEverything required is there.\n".to_owned()
    } else {
        format!("\n{} required: {}. `make setup` installs what a set-up can.\n", missing.len(), missing.join(", "))
    };
    text
}

fn json(list: &[Prerequisite]) -> serde_json::Value {
    let items: Vec<_> = list
        .iter()
        .map(|item| {
            serde_json::json!({
                "name": item.name,
                "required": item.required,
                "found": item.found.is_ok(),
                "version": item.found.as_ref().ok(),
                "todo": item.found.as_ref().err(),
            })
        })
        .collect();
    serde_json::json!({ "ready": !list.iter().any(Prerequisite::blocks), "prerequisites": items })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, required: bool, found: Result<&str, &str>) -> Prerequisite {
        Prerequisite { name: name.into(), required, found: found.map(Into::into).map_err(Into::into) }
    }

    #[test]
    fn only_what_is_required_and_missing_is_asked_for() {
        let mut list = vec![item("video", true, Ok("1.22")), item("gpu", false, Err("none: the processor analyses"))];
        assert_eq!(json(&list)["ready"], true);
        assert!(table(&list).ends_with("\nEverything required is there.\n"));
        list.push(item("weights", true, Err("run `make setup`")));
        assert_eq!(json(&list)["ready"], false);
        let table = table(&list);
        assert!(table.contains("MISSING   weights  run `make setup`"), "{table}");
        assert!(table.contains("1 required: weights."), "{table}");
    }

    #[test]
    fn json_tells_version_or_what_to_do() {
        let list = [item("video", true, Ok("1.22")), item("weights", true, Err("run `make setup`"))];
        let json = json(&list);
        assert_eq!(json["prerequisites"][0]["version"], "1.22");
        assert_eq!(json["prerequisites"][0]["todo"], serde_json::Value::Null);
        assert_eq!(json["prerequisites"][1]["found"], false);
        assert_eq!(json["prerequisites"][1]["todo"], "run `make setup`");
    }
}
