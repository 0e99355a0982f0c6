//! `vigia user`: who may log in, managed from the command line.
use super::site;
use crate::{model::User, store::NewUser};
use std::process::ExitCode;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Register a user; the first must be an administrator
    Add {
        /// Citizen-card or badge number
        #[arg(long)]
        cc: String,
        /// Full name
        #[arg(long)]
        name: String,
        /// E-mail address
        #[arg(long)]
        email: String,
        /// May manage users and cameras and read the log
        #[arg(long)]
        admin: bool,
        /// Take the password from the first line of standard input
        #[arg(long, required = true)]
        password_stdin: bool,
        #[command(flatten)]
        site: site::Args,
    },
    /// List all users
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        site: site::Args,
    },
    /// Deactivate a user: sessions end at once
    Disable {
        /// Badge number
        cc: String,
        #[command(flatten)]
        site: site::Args,
    },
    /// Reactivate a user
    Enable {
        /// Badge number
        cc: String,
        #[command(flatten)]
        site: site::Args,
    },
    /// Give a user a new password
    Password {
        /// Badge number
        cc: String,
        /// Take the password from the first line of standard input
        #[arg(long, required = true)]
        password_stdin: bool,
        #[command(flatten)]
        site: site::Args,
    },
    /// Say which cameras an operator may see; once anybody has such rights, operators see theirs alone
    Rights {
        /// Badge number
        cc: String,
        /// Name or id of a camera; give it once for each, or not at all to take all rights away
        #[arg(long = "camera")]
        cameras: Vec<String>,
        #[command(flatten)]
        site: site::Args,
    },
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add { cc, name, email, admin, site, .. } => {
            let new = NewUser {
                cc: cc.clone(),
                name: name.clone(),
                email: email.clone(),
                password: site::password()?,
                is_admin: *admin,
            };
            println!("registered: {}", line(&site.office()?.add_user(new)?));
        }
        Command::List { json, site } => {
            let users = site.office()?.users()?;
            if *json {
                println!("{}", serde_json::to_string_pretty(&users)?);
            } else if users.is_empty() {
                println!("nobody is registered yet: `vigia user add --admin …` registers the first administrator");
            }
            users.iter().filter(|_| !json).for_each(|user| println!("{}", line(user)));
        }
        Command::Disable { cc, site } => {
            println!("deactivated: {}", line(&site.office()?.set_user_active(cc, false)?));
        }
        Command::Enable { cc, site } => {
            println!("reactivated: {}", line(&site.office()?.set_user_active(cc, true)?));
        }
        Command::Password { cc, site, .. } => {
            let password = site::password()?;
            println!("new password: {}", line(&site.office()?.set_user_password(cc, password)?));
        }
        Command::Rights { cc, cameras, site } => {
            site.office()?.set_user_cameras(cc, cameras)?;
            println!("{cc} has rights to {} cameras", cameras.len());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(user: &User) -> String {
    let User { cc, name, email, is_admin, active, .. } = user;
    let role = if *is_admin { "administrator" } else { "operator" };
    let state = if *active { "" } else { ", deactivated" };
    format!("{cc}  {name} <{email}>  {role}{state}")
}
