//! Closed lists of words: an enum, its texts, and a parser that names the nearest known word.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every word, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The word in files, tables and pages.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            /// Refuses other words, naming the nearest known one.
            fn from_str(text: &str) -> Result<Self, String> {
                let known = || $name::ALL.iter().map(|w| w.as_str());
                $name::ALL.iter().copied().find(|w| w.as_str() == text).ok_or_else(|| {
                    match viaduct_base::nearest(text, known()) {
                        Some(near) => format!("`{text}` is not {}; did you mean `{near}`?", $what),
                        None => format!(
                            "`{text}` is not {}: use {}",
                            $what,
                            known().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ")
                        ),
                    }
                })
            }
        }
    };
}
pub(crate) use words;
