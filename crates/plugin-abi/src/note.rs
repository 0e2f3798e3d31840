//! The ELF note that describes the file before any of the plugin's code runs.
//!
//! Loading a library runs its constructors, so a check after loading comes too late. The note is
//! data in the file: owner `callmeter`, type 1, and a text of at most [`DESC_LEN`] bytes such as
//! `abi=1.1;kind=output;name=csv;ver=0.3.1`, padded with zero bytes. A file without it is refused.

/// The note's section in the file.
pub const SECTION: &str = ".note.callmeter";

/// The note's owner, with the terminating zero that ELF wants.
pub const OWNER: &[u8; 10] = b"callmeter\0";

/// The note's type: a description of a plugin.
pub const TYPE: u32 = 1;

/// Bytes of the description, including the zeros at its end.
pub const DESC_LEN: usize = 128;

/// The note as it is stored in the file. `export!` of the SDK places one in [`SECTION`].
#[derive(Debug, Clone, Copy)]
#[repr(C, align(4))]
pub struct Note {
    owner_len: u32,
    desc_len: u32,
    kind: u32,
    owner: [u8; 12],
    desc: [u8; DESC_LEN],
}

impl Note {
    /// The note of an output plugin. Meant for a `static`, where a note that does not fit fails the
    /// build.
    ///
    /// # Panics
    /// If a name or version is empty, contains a byte other than `a-z A-Z 0-9 . _ + -`, or if the
    /// whole text is not shorter than [`DESC_LEN`].
    #[must_use]
    pub const fn output(name: &str, version: &str) -> Self {
        assert_plain(name);
        assert_plain(version);
        let mut desc = [0; DESC_LEN];
        let mut at = 0;
        at = put(&mut desc, at, "abi=");
        at = put_number(&mut desc, at, crate::ABI_MAJOR);
        at = put(&mut desc, at, ".");
        at = put_number(&mut desc, at, crate::ABI_MINOR);
        at = put(&mut desc, at, ";kind=output;name=");
        at = put(&mut desc, at, name);
        at = put(&mut desc, at, ";ver=");
        at = put(&mut desc, at, version);
        assert!(
            at < DESC_LEN,
            "a plugin's name and version must fit the note"
        );
        Self {
            owner_len: 10,
            desc_len: 128,
            kind: TYPE,
            owner: *b"callmeter\0\0\0",
            desc,
        }
    }
}

const fn assert_plain(text: &str) {
    let bytes = text.as_bytes();
    assert!(!bytes.is_empty(), "a plugin has a name and a version");
    let mut i = 0;
    while i < bytes.len() {
        assert!(
            bytes[i].is_ascii_alphanumeric() || matches!(bytes[i], b'.' | b'_' | b'+' | b'-'),
            "a plugin's name and version hold letters, digits and . _ + - only"
        );
        i += 1;
    }
}

const fn put(desc: &mut [u8; DESC_LEN], at: usize, text: &str) -> usize {
    let bytes = text.as_bytes();
    assert!(
        at + bytes.len() <= DESC_LEN,
        "a plugin's name and version must fit the note"
    );
    let mut i = 0;
    while i < bytes.len() {
        desc[at + i] = bytes[i];
        i += 1;
    }
    at + bytes.len()
}

const fn put_number(desc: &mut [u8; DESC_LEN], at: usize, number: u16) -> usize {
    let at = if number >= 10 {
        put_number(desc, at, number / 10)
    } else {
        at
    };
    assert!(
        at < DESC_LEN,
        "a plugin's name and version must fit the note"
    );
    desc[at] = match number % 10 {
        0 => b'0',
        1 => b'1',
        2 => b'2',
        3 => b'3',
        4 => b'4',
        5 => b'5',
        6 => b'6',
        7 => b'7',
        8 => b'8',
        _ => b'9',
    };
    at + 1
}

#[cfg(test)]
mod tests {
    use super::{DESC_LEN, Note};

    #[test]
    fn the_description_reads_as_documented() {
        let note = Note::output("csv", "0.3.1");
        let end = note.desc.iter().position(|&b| b == 0).unwrap_or(DESC_LEN);
        assert_eq!(
            core::str::from_utf8(&note.desc[..end]),
            Ok("abi=1.1;kind=output;name=csv;ver=0.3.1")
        );
    }

    #[test]
    #[should_panic(expected = "letters, digits")]
    fn a_name_that_would_break_the_list_is_refused() {
        let _ = Note::output("csv;abi=9", "1");
    }

    #[test]
    #[should_panic(expected = "must fit")]
    fn a_name_too_long_is_refused() {
        let _ = Note::output(core::str::from_utf8(&[b'x'; 120]).unwrap(), "1.0.0");
    }
}
