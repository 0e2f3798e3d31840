//! Enums that keep unknown values.

/// Declares an enum over wire texts that keeps unknown values instead of failing on them.
///
/// It gets `Serialize`, `Deserialize`, `Display`, `FromStr` (never fails), `as_str`, and the
/// variant `Unknown`. Known texts are matched without case, because servers differ in it; they are
/// written as declared.
///
/// ```
/// callmeter_api_client::open_enum! {
///     /// What a call rate is for.
///     CallRateType { Local = "LOCAL", Mobile = "MOBILE" }
/// }
/// assert_eq!("local".parse(), Ok(CallRateType::Local));
/// assert_eq!(CallRateType::from("SATELLITE").as_str(), "SATELLITE");
/// assert!(CallRateType::from("SATELLITE").is_unknown());
/// ```
#[macro_export]
macro_rules! open_enum {
    ($($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name {
            $(
                #[doc = concat!("`", $text, "`")]
                $(#[$variant_meta])*
                $variant,
            )+
            /// A value that the API's description does not list.
            Unknown(Box<str>),
        }

        impl $name {
            /// The values that the API's description lists.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant),+];

            /// The text on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unknown(text) => text,
                }
            }

            /// Whether the API's description does not list this value.
            pub fn is_unknown(&self) -> bool {
                matches!(self, Self::Unknown(_))
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $(if text.eq_ignore_ascii_case($text) { return Self::$variant; })+
                Self::Unknown(text.into())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = ::std::convert::Infallible;
            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                Ok(Self::from(text))
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::__private::serde::Serialize for $name {
            fn serialize<S: $crate::__private::serde::Serializer>(&self, serializer: S) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> $crate::__private::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::__private::serde::Deserializer<'de>>(deserializer: D) -> ::std::result::Result<Self, D::Error> {
                struct Visitor;
                impl $crate::__private::serde::de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                        f.write_str("a text")
                    }
                    fn visit_str<E>(self, text: &str) -> ::std::result::Result<$name, E> {
                        Ok($name::from(text))
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }
    )+};
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro declares for the outside")]
mod tests {
    crate::open_enum! {
        /// Two colours.
        Colour { Red = "RED", DeepBlue = "DEEP_BLUE" }
    }

    #[test]
    fn keeps_what_it_does_not_know() {
        let colours: Vec<Option<Colour>> =
            serde_json::from_str(r#"["RED","deep_blue","","Grün",null]"#).unwrap();
        assert_eq!(
            colours,
            [
                Some(Colour::Red),
                Some(Colour::DeepBlue),
                Some(Colour::Unknown("".into())),
                Some(Colour::Unknown("Grün".into())),
                None
            ]
        );
        assert_eq!(
            serde_json::to_string(&colours).unwrap(),
            r#"["RED","DEEP_BLUE","","Grün",null]"#
        );
        assert_eq!(Colour::KNOWN.len(), 2);
        assert!(Colour::from("Grün").is_unknown());
    }
}
