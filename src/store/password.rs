//! Passwords: which are accepted, how they are kept, how they are checked.
use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::{self, phc::PasswordHash},
};

/// Shortest password, in characters: NIST SP 800-63B-4 §3.1.1.2 asks for 15 where the password is the only factor.
pub const MIN_CHARACTERS: usize = 15;
/// Longest password, in characters: NIST asks for at least 64 to be accepted.
pub const MAX_CHARACTERS: usize = 128;
/// Letters and digits that must be left when the words about the user are taken away.
const MIN_OWN_CHARACTERS: usize = 8;

// Argon2id with one lane, after OWASP's Password Storage Cheat Sheet: the setting with most memory (46 MiB; memory is what
// costs somebody who guesses on graphics cards), with one pass more than it asks for: logins are rare here, and the time
// of one is not felt.
const MEMORY_KIB: u32 = 46 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Stands in for the password of users who do not exist, so that they take as long to refuse. Nobody's: the salt and the
/// hash are arbitrary.
const NOBODYS: &str =
    "$argon2id$v=19$m=47104,t=2,p=1$dmlnaWEtbm9ib2R5LTAwMA$bm9ib2R5J3MgcGFzc3dvcmQ6IG5ldmVyIG1hdGNoZXM";

/// Why a password is not accepted, in words for the person who chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordProblem {
    /// Fewer than [`MIN_CHARACTERS`].
    #[error("the password is too short: use at least {MIN_CHARACTERS} characters, for instance four or five words")]
    TooShort,
    /// More than [`MAX_CHARACTERS`].
    #[error("the password is too long: use at most {MAX_CHARACTERS} characters")]
    TooLong,
    /// The name, number or e-mail address of the user, or the name of this program, and little else.
    #[error("the password is made of your own name, number or e-mail address: choose something unrelated to you")]
    AboutTheUser,
    /// Common, repeated, or a row on the keyboard.
    #[error("the password is easy to guess: avoid common passwords, repetitions and rows of keys")]
    TooGuessable,
}

/// Judges a new password by NIST SP 800-63B-4: length, and a block-list of what is common, predictable or about the user
/// (`about`: number, name, e-mail address). No rules on which characters it has. Takes milliseconds.
pub(super) fn check(password: &str, about: &[&str]) -> Result<(), PasswordProblem> {
    match password.chars().count() {
        n if n < MIN_CHARACTERS => return Err(PasswordProblem::TooShort),
        n if n > MAX_CHARACTERS => return Err(PasswordProblem::TooLong),
        _ => {}
    }
    let mut words: Vec<String> = ["vigia", "password", "admin"].map(str::to_owned).to_vec();
    for text in about {
        let text = text.to_lowercase();
        words.extend(text.split(|c: char| !c.is_alphanumeric()).filter(|w| w.chars().count() > 2).map(str::to_owned));
        words.push(text.chars().filter(|c| c.is_alphanumeric()).collect());
    }
    words.retain(|w| !w.is_empty());
    words.sort_by_key(|w| std::cmp::Reverse(w.len())); // the longest first, lest a part of it is taken out before
    let mut own: String = password.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    let all = own.len();
    for word in &words {
        own = own.replace(word.as_str(), "");
    }
    if own.len() < all && own.chars().count() < MIN_OWN_CHARACTERS {
        return Err(PasswordProblem::AboutTheUser);
    }
    // Score 3: more than 10⁸ guesses. The lock-out slows whoever guesses at the console, Argon2id whoever has the file.
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if zxcvbn::zxcvbn(password, &words).score() < zxcvbn::Score::Three {
        return Err(PasswordProblem::TooGuessable);
    }
    Ok(())
}

/// The PHC string to keep of a password, with a salt of its own. Takes about a tenth of a second: not for an async thread.
pub(super) fn hash(password: &str) -> Result<String, password_hash::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Ok(argon2.hash_password(password.as_bytes())?.to_string())
}

/// Whether this is the password that was kept as `kept`; `None` stands for a user who does not exist: always `false`,
/// and as slow. Takes about a tenth of a second: not for an async thread.
pub(super) fn verify(password: &str, kept: Option<&str>) -> bool {
    let parsed = PasswordHash::new(kept.unwrap_or(NOBODYS));
    let right = parsed.is_ok_and(|p| Argon2::default().verify_password(password.as_bytes(), &p).is_ok());
    right && kept.is_some()
}

/// Whether `kept` was made with the settings of today; an older one is to be made again when its password is at hand.
pub(super) fn is_current(kept: &str) -> bool {
    let settings = |phc: &str| phc.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
    settings(kept) == settings(NOBODYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: [&str; 3] = ["12345678", "Maria João Silva", "maria.silva@psp.example"];

    #[test]
    fn long_passphrases_are_accepted_without_rules_on_their_characters() {
        for good in [
            "correct horse battery staple",
            "uma gaivota voava voava",
            "o gato da Silva ladra de noite",
            "zq8v3mfh2kx9wtp",
            "ночной дозор над рекой",
        ] {
            assert_eq!(check(good, &ABOUT), Ok(()), "{good}");
        }
    }

    #[test]
    fn short_long_common_and_personal_passwords_are_refused() {
        use PasswordProblem::*;
        let long = "correct horse battery staple ".repeat(5);
        for (bad, why) in [
            ("Tr0ub4dor&3", TooShort),
            ("ééééééééééééé", TooShort), // bytes do not count
            (long.as_str(), TooLong),
            ("maria.silva@psp.example", AboutTheUser),
            ("MariaJoãoSilva12345678", AboutTheUser),
            ("12345678 12345678", AboutTheUser),
            ("vigia vigia vigia", AboutTheUser),
            ("Maria Silva 2026!", AboutTheUser),
            ("passwordpassword", AboutTheUser),
            ("aaaaaaaaaaaaaaaaaaaa", TooGuessable),
            ("qwertyuiopasdfghjkl", TooGuessable),
            ("abcabcabcabcabcabc", TooGuessable),
            ("1234567890123456", TooGuessable),
        ] {
            assert_eq!(check(bad, &ABOUT), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_hash_is_salted_verifies_and_costs_what_nobodys_costs() {
        let kept = hash("correct horse battery staple").unwrap();
        assert_ne!(kept, hash("correct horse battery staple").unwrap());
        assert!(verify("correct horse battery staple", Some(&kept)));
        assert!(!verify("correct horse battery stapler", Some(&kept)));
        assert!(!verify("correct horse battery staple", None));
        assert!(!verify("correct horse battery staple", Some("not a hash")));
        let settings = |phc: &str| phc.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(settings(NOBODYS), settings(&kept));
        assert!(is_current(&kept) && !is_current(&kept.replace("m=47104", "m=19456")));
        assert_eq!(settings(&kept), "$argon2id$v=19$m=47104,t=2,p=1");
        let (real, nobodys) = (PasswordHash::new(&kept).unwrap(), PasswordHash::new(NOBODYS).unwrap());
        assert_eq!(real.hash.unwrap().len(), nobodys.hash.unwrap().len());
    }
}
