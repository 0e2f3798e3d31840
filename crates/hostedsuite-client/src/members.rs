//! Macros over the generated member tables (`generated_members.rs`): columns, getters and owned
//! records.

/// The columns of a table, for its reader.
macro_rules! columns {
    ($($name:ident: $kind:ident $(($($of:ident),+))? = $member:literal, $doc:literal;)*) => {
        &[$(crate::members::column!($member $kind $($($of)+)?)),*]
    };
}

macro_rules! column {
    ($member:literal objects $record:ident $row:ident) => {
        crate::raw_table::objects($member, $row::COLUMNS)
    };
    ($member:literal texts) => {
        crate::raw_table::texts($member)
    };
    ($member:literal $kind:ident $($of:ident)*) => {
        crate::raw_table::scalar($member)
    };
}

/// A row that borrows from its answer, with a getter for each member of its table.
macro_rules! row {
    (
        $(#[$meta:meta])* $row:ident;
        $($name:ident: $kind:ident $(($($of:ident),+))? = $member:literal, $doc:literal;)*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        pub struct $row<'a>(crate::raw_table::Row<'a>);

        /// Prints no content: it may be personal.
        impl std::fmt::Debug for $row<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($row)).finish_non_exhaustive()
            }
        }

        impl<'a> $row<'a> {
            /// The names of the members, as the server writes them.
            pub const MEMBERS: &'static [&'static str] = &[$($member),*];

            pub(crate) const COLUMNS: &'static [crate::raw_table::Column] =
                crate::members::columns! { $($name: $kind $(($($of),+))? = $member, $doc;)* };

            /// The place of a member, for [`value`](Self::value). In a constant, a name that is not
            /// in [`MEMBERS`](Self::MEMBERS) does not compile.
            pub const fn member(name: &str) -> crate::Member {
                crate::Member(crate::raw_table::place(Self::COLUMNS, name))
            }

            /// A member by its place, for code that is generated from a table of names.
            pub fn value(&self, member: crate::Member) -> crate::MemberValue<'a> {
                crate::MemberValue { row: self.0, member }
            }

            $(crate::members::getter! { [$doc $member] $name $kind $($($of)+)? })*
        }
    };
}

macro_rules! getter {
    ([$doc:literal $member:literal] id text) => {
        #[doc = $doc]
        ///
        /// Also `None` if it is empty.
        pub fn id(&self) -> Option<&'a str> {
            self.0
                .text(const { crate::raw_table::place(Self::COLUMNS, $member) })
                .filter(|id| !id.is_empty())
        }
    };
    ([$doc:literal $member:literal] $name:ident text) => {
        #[doc = $doc]
        pub fn $name(&self) -> Option<&'a str> {
            self.0
                .text(const { crate::raw_table::place(Self::COLUMNS, $member) })
        }
    };
    ([$doc:literal $member:literal] $name:ident word $word:ident) => {
        #[doc = $doc]
        pub fn $name(&self) -> Option<crate::open::$word> {
            self.0
                .text(const { crate::raw_table::place(Self::COLUMNS, $member) })
                .map(crate::open::$word::from)
        }
    };
    ([$doc:literal $member:literal] $name:ident number) => {
        #[doc = $doc]
        pub fn $name(&self) -> api_client::Number<&'a str> {
            self.0
                .number(const { crate::raw_table::place(Self::COLUMNS, $member) })
        }
    };
    ([$doc:literal $member:literal] $name:ident flag) => {
        #[doc = $doc]
        ///
        /// `Err` with the text if it is not a truth value.
        pub fn $name(&self) -> Result<Option<bool>, &'a str> {
            self.0
                .flag(const { crate::raw_table::place(Self::COLUMNS, $member) })
        }
    };
    ([$doc:literal $member:literal] $name:ident texts) => {
        #[doc = $doc]
        ///
        /// `None` if the member is missing or not a list. A null entry is `None`.
        pub fn $name(&self) -> Option<impl ExactSizeIterator<Item = Option<&'a str>> + use<'a>> {
            self.0
                .texts(const { crate::raw_table::place(Self::COLUMNS, $member) })
        }
    };
    ([$doc:literal $member:literal] $name:ident objects $record:ident $row:ident) => {
        #[doc = $doc]
        ///
        /// `None` if the member is missing or not a list.
        pub fn $name(&self) -> Option<impl ExactSizeIterator<Item = $row<'a>> + use<'a>> {
            let place = const { crate::raw_table::place(Self::COLUMNS, $member) };
            Some(self.0.list(place, $row::COLUMNS.len())?.map($row))
        }
    };
}

/// A record that owns its texts, with a field for each member of its table.
macro_rules! owned {
    (
        $(#[$meta:meta])* $record:ident of $row:ident;
        $($name:ident: $kind:ident $(($($of:ident),+))? = $member:literal, $doc:literal;)*
    ) => {
        $(#[$meta])*
        #[non_exhaustive]
        pub struct $record {
            $(#[doc = $doc] pub $name: crate::members::owned_type!($kind $($($of)+)?),)*
        }

        impl From<$row<'_>> for $record {
            fn from(row: $row<'_>) -> Self {
                Self { $($name: crate::members::owned_value!($kind $($($of)+)?, row.$name()),)* }
            }
        }
    };
}

macro_rules! owned_type {
    (text) => { Option<String> };
    (word $word:ident) => { Option<crate::open::$word> };
    (number) => { api_client::Number };
    (flag) => { Option<bool> };
    (texts) => { Vec<String> };
    (objects $record:ident $row:ident) => { Vec<$record> };
}

macro_rules! owned_value {
    (text, $value:expr) => {
        $value.map(str::to_owned)
    };
    (word $word:ident, $value:expr) => {
        $value
    };
    (number, $value:expr) => {
        $value.to_owned()
    };
    (flag, $value:expr) => {
        $value.ok().flatten()
    };
    (texts, $value:expr) => {
        $value.map_or_else(Vec::new, |list| list.flatten().map(str::to_owned).collect())
    };
    (objects $record:ident $row:ident, $value:expr) => {
        $value.map_or_else(Vec::new, |list| list.map($record::from).collect())
    };
}

pub(crate) use {column, columns, getter, owned, owned_type, owned_value, row};

use crate::no_id::is_no_id;
use crate::raw_table::Row;

/// The place of a member in its record; see `CallRef::member`.
#[derive(Debug, Clone, Copy)]
pub struct Member(pub(crate) usize);

/// Milliseconds from 1970 to 1971.
const YEAR_1971: u64 = 31_536_000_000;

/// Whether a time is one of those that stand for none.
fn is_unset_time(text: &str) -> bool {
    // Nearly all times begin with a year that is one.
    if let [b'2'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'-', ..] = text.as_bytes() {
        return false;
    }
    let text = text.trim_ascii();
    if let Some(millis) = text.strip_prefix("/Date(") {
        let digits = millis.split(|c: char| !c.is_ascii_digit()).next();
        let is_early = digits.and_then(|digits| digits.parse().ok()) < Some(YEAR_1971);
        return millis.starts_with('-') || (is_early && digits != Some(""));
    }
    let bytes = text.as_bytes();
    let year = bytes.get(..4).filter(|_| bytes.get(4) == Some(&b'-'));
    let is_year = |year: &&[u8]| year.iter().all(u8::is_ascii_digit);
    year.filter(is_year).is_some_and(|year| year < &b"1971"[..])
}

/// A member of a row, to be read as what it should hold.
#[derive(Clone, Copy)]
pub struct MemberValue<'a> {
    pub(crate) row: Row<'a>,
    pub(crate) member: Member,
}

/// Prints no content: it may be personal.
impl std::fmt::Debug for MemberValue<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemberValue").finish_non_exhaustive()
    }
}

impl<'a> MemberValue<'a> {
    /// Its text; `None` when it is missing, null, or a list or object.
    #[inline]
    pub fn text(self) -> Option<&'a str> {
        self.row.text(self.member.0)
    }

    /// Its text as an id, without the blanks around it; `None` also for what stands for no id, see
    /// [`is_no_id`](crate::is_no_id).
    #[inline]
    pub fn id(self) -> Option<&'a str> {
        let id = match self.text()? {
            // Trimming decodes characters: 100 instructions.
            id if id.as_bytes().first().is_some_and(u8::is_ascii_graphic)
                && id.as_bytes().last().is_some_and(u8::is_ascii_graphic) =>
            {
                id
            }
            id => id.trim(),
        };
        (!is_no_id(id)).then_some(id)
    }

    /// Its text as a time; also `None` for what systems write for a time that is not set: the first
    /// moment of .NET, SQL Server, OLE, Excel and Unix, and any other time before 1971.
    #[inline]
    pub fn time(self) -> Option<&'a str> {
        self.text().filter(|text| !is_unset_time(text))
    }

    /// Its number.
    pub fn number(self) -> api_client::Number<&'a str> {
        self.row.number(self.member.0)
    }

    /// Its number, taken as seconds, in whole milliseconds, as
    /// [`Number::into_duration_ms`](api_client::Number::into_duration_ms) has it.
    #[inline]
    pub fn duration_ms(self) -> Result<Option<i64>, &'a str> {
        self.row.duration_ms(self.member.0)
    }

    /// Its truth value; `Err` with the text if it is not one.
    pub fn flag(self) -> Result<Option<bool>, &'a str> {
        self.row.flag(self.member.0)
    }

    /// Its list of texts; `None` if it is missing or not a list. A null entry is `None`.
    pub fn texts(self) -> Option<impl ExactSizeIterator<Item = Option<&'a str>> + use<'a>> {
        self.row.texts(self.member.0)
    }
}
