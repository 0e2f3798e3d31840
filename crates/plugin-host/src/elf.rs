//! Reads from a library's file what must be known before any of its code runs: its note, and which
//! other libraries it needs.
//!
//! The file is not trusted: every count and size is bounded, every offset is checked, and a file
//! that is cut off or nonsense gives an error, never a panic.

use std::io;

use callmeter_plugin_abi::note;

const MAX_PROGRAM_HEADERS: u16 = 128;
const MAX_SEGMENT: u64 = 64 * 1024;
const MAX_NEEDED: usize = 64;
const MAX_NAME: usize = 256;
const PROGRAM_HEADER: u16 = 56;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_NOTE: u32 = 4;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_1_NODELETE: u64 = 8;

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MACHINE: u16 = 0;

/// Why a file is not a plugin for this machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// The file cannot be read at some place.
    #[error("the file ends too early or cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It does not begin as an ELF file does.
    #[error("it is not a shared library (no ELF header)")]
    NotElf,
    /// Another word size, byte order, processor, or an executable.
    #[error("it is not a shared library for this machine: {0}")]
    OtherMachine(&'static str),
    /// A count or size beyond every plugin.
    #[error("its ELF header is broken: {0}")]
    Broken(&'static str),
    /// No note of ours.
    #[error(
        "it holds no callmeter note ({}), so it is not a plugin; a plugin gets one by `export!` or CALLMETER_PLUGIN_NOTE",
        note::SECTION
    )]
    NoNote,
    /// A note of ours that cannot be read.
    #[error("its callmeter note cannot be read: {0}")]
    BadNote(&'static str),
}

/// What the file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfFacts {
    /// The plugin's note.
    pub note: Note,
    /// The libraries that the dynamic linker will load with it.
    pub needed: Vec<String>,
    /// Whether it was linked with `-z nodelete`.
    pub nodelete: bool,
    /// Whether it brings a search path of its own (RPATH or RUNPATH).
    pub search_path: bool,
}

/// The note's text, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The ABI's major that the plugin was built for.
    pub abi_major: u16,
    /// Its minor.
    pub abi_minor: u16,
    /// What it plugs into: `output`.
    pub kind: String,
    /// The plugin's name.
    pub name: String,
    /// The plugin's version.
    pub version: String,
}

impl Note {
    fn parse(text: &str) -> Result<Self, ElfError> {
        let (mut abi, mut kind, mut name, mut version) = (None, None, None, None);
        for part in text.split(';') {
            match part.split_once('=') {
                Some(("abi", value)) => abi = value.split_once('.'),
                Some(("kind", value)) => kind = Some(value.to_owned()),
                Some(("name", value)) => name = Some(value.to_owned()),
                Some(("ver", value)) => version = Some(value.to_owned()),
                // A later minor may say more.
                _ => {}
            }
        }
        let (major, minor) = abi.ok_or(ElfError::BadNote("it gives no abi=MAJOR.MINOR"))?;
        let number = |text: &str| {
            text.parse()
                .map_err(|_| ElfError::BadNote("its abi= is not a version"))
        };
        Ok(Self {
            abi_major: number(major)?,
            abi_minor: number(minor)?,
            kind: kind.ok_or(ElfError::BadNote("it gives no kind="))?,
            name: name.ok_or(ElfError::BadNote("it gives no name="))?,
            version: version.ok_or(ElfError::BadNote("it gives no ver="))?,
        })
    }
}

/// Something with bytes at offsets: a file, or a slice in tests.
pub(crate) trait ReadAt {
    /// Fills `buffer` from `offset`, or fails.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl ReadAt for std::fs::File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let bytes = start
            .and_then(|start| self.get(start..start.checked_add(buffer.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// A part of the file that is mapped into memory, or read by the dynamic linker.
#[derive(Clone, Copy)]
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
    align: u64,
}

/// Reads a library's note and dependencies.
pub(crate) fn read(file: &(impl ReadAt + ?Sized)) -> Result<ElfFacts, ElfError> {
    let segments = segments(file)?;
    let mut note = None;
    for segment in segments.iter().filter(|segment| segment.kind == PT_NOTE) {
        note = find_note(&bytes(file, segment)?, segment.align)?;
        if note.is_some() {
            break;
        }
    }
    let note = Note::parse(&note.ok_or(ElfError::NoNote)?)?;
    let mut facts = ElfFacts {
        note,
        needed: Vec::new(),
        nodelete: false,
        search_path: false,
    };
    if let Some(dynamic) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) {
        read_dynamic(file, &segments, dynamic, &mut facts)?;
    }
    Ok(facts)
}

fn segments(file: &(impl ReadAt + ?Sized)) -> Result<Vec<Segment>, ElfError> {
    let mut header = [0; 64];
    let mut magic = [0; 4];
    // A shorter file than any ELF header is no ELF file, not a broken one.
    file.read_at(0, &mut magic).map_err(|_| ElfError::NotElf)?;
    if magic != *b"\x7fELF" {
        return Err(ElfError::NotElf);
    }
    file.read_at(0, &mut header)?;
    if header[4] != 2 {
        return Err(ElfError::OtherMachine("it is not 64-bit"));
    }
    if header[5] != 1 {
        return Err(ElfError::OtherMachine("it is not little-endian"));
    }
    if u16_at(&header, 18) != MACHINE {
        return Err(ElfError::OtherMachine("it is built for another processor"));
    }
    if u16_at(&header, 16) != 3 {
        return Err(ElfError::OtherMachine("it is not a shared object"));
    }
    let (table, entry_size, count) = (
        u64_at(&header, 32),
        u16_at(&header, 54),
        u16_at(&header, 56),
    );
    if entry_size != PROGRAM_HEADER {
        return Err(ElfError::Broken("program headers of another size"));
    }
    if count > MAX_PROGRAM_HEADERS {
        return Err(ElfError::Broken("too many program headers"));
    }
    let mut segments = Vec::with_capacity(usize::from(count));
    for i in 0..u64::from(count) {
        let mut entry = [0; PROGRAM_HEADER as usize];
        let at = table
            .checked_add(i * u64::from(PROGRAM_HEADER))
            .ok_or(ElfError::Broken("program headers beyond the file"))?;
        file.read_at(at, &mut entry)?;
        segments.push(Segment {
            kind: u32_at(&entry, 0),
            offset: u64_at(&entry, 8),
            address: u64_at(&entry, 16),
            size: u64_at(&entry, 32),
            align: u64_at(&entry, 48),
        });
    }
    Ok(segments)
}

fn bytes(file: &(impl ReadAt + ?Sized), segment: &Segment) -> Result<Vec<u8>, ElfError> {
    if segment.size > MAX_SEGMENT {
        return Err(ElfError::Broken("a note or dynamic segment is too large"));
    }
    let size =
        usize::try_from(segment.size).map_err(|_| ElfError::Broken("a segment is too large"))?;
    let mut bytes = vec![0; size];
    file.read_at(segment.offset, &mut bytes)?;
    Ok(bytes)
}

/// Walks the notes of a segment and returns the text of ours.
fn find_note(mut notes: &[u8], align: u64) -> Result<Option<String>, ElfError> {
    let align = if align == 8 { 8 } else { 4 };
    while let Some((head, rest)) = notes.split_at_checked(12) {
        let length = |at| usize::try_from(u32_at(head, at)).unwrap_or(usize::MAX);
        let (owner_len, desc_len) = (length(0), length(4));
        let padded = |length: usize| length.checked_next_multiple_of(align);
        // The owner follows 12 bytes of header, which counts for its alignment to 8.
        let owner_end = owner_len
            .checked_add(12)
            .and_then(|end| end.checked_next_multiple_of(align))
            .map(|end| end - 12)
            .filter(|end| *end <= rest.len());
        let Some(owner_end) = owner_end else {
            return Ok(None);
        };
        let (owner, rest) = rest.split_at(owner_end);
        let Some(desc) = rest.get(..desc_len) else {
            return Ok(None);
        };
        if owner.get(..owner_len) == Some(note::OWNER.as_slice()) && u32_at(head, 8) == note::TYPE {
            if desc_len > note::DESC_LEN {
                return Err(ElfError::BadNote("it is too long"));
            }
            let end = desc.iter().position(|&byte| byte == 0).unwrap_or(desc_len);
            let text = desc.get(..end).unwrap_or(desc);
            return match std::str::from_utf8(text) {
                Ok(text) if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(Some(text.to_owned())),
                _ => Err(ElfError::BadNote("it is not plain text")),
            };
        }
        let Some(next) = padded(desc_len).and_then(|skip| rest.get(skip..)) else {
            return Ok(None);
        };
        notes = next;
    }
    Ok(None)
}

fn read_dynamic(
    file: &(impl ReadAt + ?Sized),
    segments: &[Segment],
    dynamic: &Segment,
    facts: &mut ElfFacts,
) -> Result<(), ElfError> {
    let entries = bytes(file, dynamic)?;
    let mut names = Vec::new();
    let mut strings = None;
    for entry in entries.chunks_exact(16) {
        let (tag, value) = (u64_at(entry, 0), u64_at(entry, 8));
        match tag {
            0 => break,
            DT_NEEDED => names.push(value),
            DT_STRTAB => strings = Some(value),
            DT_RPATH | DT_RUNPATH => facts.search_path = true,
            DT_FLAGS_1 => facts.nodelete = value & DF_1_NODELETE != 0,
            _ => {}
        }
    }
    if names.len() > MAX_NEEDED {
        return Err(ElfError::Broken("it needs too many libraries"));
    }
    if names.is_empty() {
        return Ok(());
    }
    let strings = strings
        .and_then(|address| file_offset(segments, address))
        .ok_or(ElfError::Broken("its names lie nowhere"))?;
    for name in names {
        let at = strings
            .checked_add(name)
            .ok_or(ElfError::Broken("a name lies beyond the file"))?;
        facts.needed.push(string(file, at)?);
    }
    Ok(())
}

/// Where in the file an address of the loaded library comes from.
fn file_offset(segments: &[Segment], address: u64) -> Option<u64> {
    segments
        .iter()
        .filter(|segment| segment.kind == PT_LOAD)
        .find_map(|segment| {
            let within = address.checked_sub(segment.address)?;
            if within < segment.size {
                segment.offset.checked_add(within)
            } else {
                None
            }
        })
}

/// A zero-terminated text of bounded length.
fn string(file: &(impl ReadAt + ?Sized), at: u64) -> Result<String, ElfError> {
    let mut text = Vec::new();
    let mut at = at;
    while text.len() < MAX_NAME {
        let mut byte = [0];
        file.read_at(at, &mut byte)?;
        if byte[0] == 0 {
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        text.push(byte[0]);
        at = at
            .checked_add(1)
            .ok_or(ElfError::Broken("a name lies beyond the file"))?;
    }
    Err(ElfError::Broken("a library's name has no end"))
}

/// Little-endian numbers; 0 behind the end, which no caller reaches.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    array_at(bytes, at).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    array_at(bytes, at).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    array_at(bytes, at).map_or(0, u64::from_le_bytes)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ElfError, Note, find_note, read};

    fn note(owner: &[u8], desc: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(u32::try_from(owner.len()).unwrap().to_le_bytes());
        bytes.extend(u32::try_from(desc.len()).unwrap().to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        for part in [owner, desc] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    /// A library of one page: header, a load, a note and a dynamic segment.
    fn library(desc: &[u8]) -> Vec<u8> {
        let note = note(b"callmeter\0", desc);
        let mut file = vec![0; 0x400];
        file[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        file[16..18].copy_from_slice(&3_u16.to_le_bytes());
        file[18..20].copy_from_slice(&super::MACHINE.to_le_bytes());
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[54..56].copy_from_slice(&56_u16.to_le_bytes());
        file[56..58].copy_from_slice(&3_u16.to_le_bytes());
        let mut segment = |index: usize, kind: u32, offset: u64, address: u64, size: usize| {
            let at = 64 + index * 56;
            file[at..at + 4].copy_from_slice(&kind.to_le_bytes());
            file[at + 8..at + 16].copy_from_slice(&offset.to_le_bytes());
            file[at + 16..at + 24].copy_from_slice(&address.to_le_bytes());
            file[at + 32..at + 40].copy_from_slice(&(size as u64).to_le_bytes());
            file[at + 48..at + 56].copy_from_slice(&4_u64.to_le_bytes());
        };
        segment(0, 1, 0, 0x1000, 0x400);
        segment(1, 4, 0x200, 0x1200, note.len());
        segment(2, 2, 0x300, 0x1300, 64);
        file[0x200..0x200 + note.len()].copy_from_slice(&note);
        for (i, (tag, value)) in [(1, 6_u64), (5, 0x1380), (0x6fff_fffb, 8)]
            .into_iter()
            .enumerate()
        {
            let tag: u64 = tag;
            file[0x300 + i * 16..][..8].copy_from_slice(&tag.to_le_bytes());
            file[0x308 + i * 16..][..8].copy_from_slice(&value.to_le_bytes());
        }
        file[0x380..0x390].copy_from_slice(b"nothing\0libc.so\0");
        file[0x380 + 6..0x380 + 14].copy_from_slice(b"libm.so\0");
        file
    }

    #[test]
    fn a_library_is_read() {
        let facts =
            read(library(b"abi=1.0;kind=output;name=csv;ver=0.3.1\0\0").as_slice()).unwrap();
        assert_eq!(
            facts.note,
            Note {
                abi_major: 1,
                abi_minor: 0,
                kind: "output".to_owned(),
                name: "csv".to_owned(),
                version: "0.3.1".to_owned()
            }
        );
        assert_eq!(facts.needed, ["libm.so"]);
        assert!(facts.nodelete);
    }

    #[test]
    fn what_is_no_plugin_is_refused_with_a_reason() {
        assert!(matches!(read(b"".as_slice()), Err(ElfError::NotElf)));
        assert!(matches!(
            read(b"#!/bin/sh\n".as_slice()),
            Err(ElfError::NotElf)
        ));
        let good = library(b"abi=1.0;kind=output;name=csv;ver=0.3.1");
        let with = |at: usize, byte: u8| {
            let mut file = good.clone();
            file[at] = byte;
            read(file.as_slice()).unwrap_err().to_string()
        };
        insta::assert_snapshot!(with(4, 1), @"it is not a shared library for this machine: it is not 64-bit");
        insta::assert_snapshot!(with(5, 2), @"it is not a shared library for this machine: it is not little-endian");
        insta::assert_snapshot!(with(18, 8), @"it is not a shared library for this machine: it is built for another processor");
        insta::assert_snapshot!(with(16, 2), @"it is not a shared library for this machine: it is not a shared object");
        insta::assert_snapshot!(with(0x20c, b'C'), @"it holds no callmeter note (.note.callmeter), so it is not a plugin; a plugin gets one by `export!` or CALLMETER_PLUGIN_NOTE");
        insta::assert_snapshot!(read(library(b"abi=1;kind=x").as_slice()).unwrap_err(), @"its callmeter note cannot be read: it gives no abi=MAJOR.MINOR");
        insta::assert_snapshot!(read(library(b"abi=1.x;kind=x;name=a;ver=1").as_slice()).unwrap_err(), @"its callmeter note cannot be read: its abi= is not a version");
    }

    #[test]
    fn a_note_behind_others_is_found() {
        let mut notes = note(b"GNU\0", b"\x01\x02\x03\x04\x05");
        notes.extend(note(b"callmeter\0", b"abi=1.0"));
        assert_eq!(find_note(&notes, 4).unwrap().as_deref(), Some("abi=1.0"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn damage_gives_an_error_or_facts(
            hits in prop::collection::vec((0_usize..0x400, any::<u8>()), 1..24),
            cut in 0_usize..=0x400,
        ) {
            let mut file = library(b"abi=1.0;kind=output;name=csv;ver=0.3.1");
            for (at, byte) in hits {
                file[at] = byte;
            }
            file.truncate(cut);
            let _ = read(file.as_slice());
        }

        #[test]
        fn notes_of_any_bytes_are_walked(bytes in prop::collection::vec(any::<u8>(), 0..200), eight: bool) {
            let _ = find_note(&bytes, if eight { 8 } else { 4 });
        }
    }
}
