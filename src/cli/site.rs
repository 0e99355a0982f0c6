//! Which site a command works on, and secrets from standard input.
use super::prerequisites;
use crate::{
    model::SystemClock,
    site::{Office, SiteConfig},
};
use anyhow::{Context as _, bail};
use std::{io::Read as _, path::PathBuf, sync::Arc};

/// Flags that name a site.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "site")] // by itself it would be "Args", as that of the command it is part of
pub struct Args {
    /// Configuration of the site (default: site.toml in the data folder, if there is one)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where databases, journal and pictures are kept
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

impl Args {
    /// The data folder.
    pub(super) fn data(&self) -> PathBuf {
        prerequisites::data_dir(self.data_dir.as_deref())
    }

    /// The configuration: the file named, else the one in the data folder, else the default.
    pub(super) fn site_config(&self) -> anyhow::Result<SiteConfig> {
        let beside = self.data().join("site.toml");
        Ok(match &self.config {
            Some(file) => SiteConfig::load(file)?,
            None if beside.exists() => SiteConfig::load(&beside)?,
            None => SiteConfig::default(),
        })
    }

    /// Opens the site's records.
    pub(super) fn office(&self) -> anyhow::Result<Office> {
        Ok(Office::open(&self.site_config()?, &self.data(), Arc::new(SystemClock))?)
    }
}

/// The first line of standard input.
pub(super) fn password() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().take(4096).read_to_string(&mut text).context("cannot read the password from standard input")?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        bail!("standard input holds no password: pipe it in, as in `… --password-stdin < file`");
    }
    Ok(line.to_owned())
}
