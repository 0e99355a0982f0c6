//! What can be said of how somebody looks: measured where it can be measured, typed where only a person can tell.
use serde::{Deserialize, Serialize};

/// The eleven basic colour terms (Berlin & Kay 1969).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "their names say it")]
pub enum ColourName {
    Black,
    White,
    Grey,
    Red,
    Orange,
    Yellow,
    Green,
    Blue,
    Purple,
    Pink,
    Brown,
}

impl ColourName {
    /// All of them, as one would list them.
    pub const ALL: [Self; 11] = [
        Self::Black,
        Self::White,
        Self::Grey,
        Self::Red,
        Self::Orange,
        Self::Yellow,
        Self::Green,
        Self::Blue,
        Self::Purple,
        Self::Pink,
        Self::Brown,
    ];

    /// For people, and for searching.
    pub fn name(self) -> &'static str {
        match self {
            Self::Black => "black",
            Self::White => "white",
            Self::Grey => "grey",
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Pink => "pink",
            Self::Brown => "brown",
        }
    }
}

/// How somebody looks. What is not known is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Characteristics {
    /// Colour of what is worn above the waist: measured, or corrected by an operator.
    pub upper: Option<ColourName>,
    /// Colour of what is worn below the waist.
    pub lower: Option<ColourName>,
    /// Height of the person's box as a part of the frame's height when measured: comparable on one camera only.
    pub height: Option<f32>,
    /// What the person carries, as an operator typed it.
    pub carried: String,
    /// Anything else, as an operator typed it.
    pub notes: String,
}

impl Characteristics {
    /// The longest text of one field, characters.
    pub const TEXT: usize = 500;

    /// In a few words: `black above, blue below, carries a bag`; empty when nothing is known.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.upper.map(|c| format!("{} above", c.name())));
        parts.extend(self.lower.map(|c| format!("{} below", c.name())));
        if !self.carried.trim().is_empty() {
            parts.push(format!("carries {}", self.carried.trim()));
        }
        parts.join(", ")
    }
}
