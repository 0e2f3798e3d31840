//! Reads from a library's file what must be known before any of its code runs: its note, and which
//! other libraries it needs.
//!
//! The file is not trusted. The `object` crate checks every offset; here every count and every size
//! is bounded before anything is read.

use callmeter_plugin_abi::note;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::read::elf::{Dyn as _, FileHeader as _, NoteIterator, ProgramHeader as _};
use object::read::{ReadCache, ReadCacheOps, ReadRef};
use object::{LittleEndian, pod};

const MAX_PROGRAM_HEADERS: u16 = 128;
const MAX_SEGMENT: u64 = 64 * 1024;
const MAX_NEEDED: usize = 64;
const MAX_NAME: u64 = 256;

const ENDIAN: LittleEndian = LittleEndian;

#[cfg(target_arch = "x86_64")]
const MACHINE: elf::Machine = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: elf::Machine = elf::EM_AARCH64;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MACHINE: elf::Machine = elf::EM_NONE;

/// Why a file is not a plugin for this machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// A part of the file is missing or cannot be read.
    #[error("the file ends too early or cannot be read")]
    Read,
    /// It does not start with an ELF header.
    #[error("it is not a shared library (no ELF header)")]
    NotElf,
    /// Another word size, byte order or processor, or not a shared object.
    #[error("it is not a shared library for this machine: {0}")]
    OtherMachine(&'static str),
    /// A count or size is larger than in any plugin.
    #[error("its ELF header is broken: {0}")]
    Broken(&'static str),
    /// It has no callmeter note.
    #[error(
        "it holds no callmeter note ({}), so it is not a plugin; a plugin gets one by `export!` or CALLMETER_PLUGIN_NOTE",
        note::SECTION
    )]
    NoNote,
    /// Its callmeter note cannot be read.
    #[error("its callmeter note cannot be read: {0}")]
    BadNote(&'static str),
}

/// What the file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfFacts {
    /// The plugin's note.
    pub note: Note,
    /// The libraries that the dynamic linker loads with it.
    pub needed: Vec<String>,
    /// Whether it was linked with `-z nodelete`.
    pub nodelete: bool,
    /// Whether it has its own library search path (RPATH or RUNPATH).
    pub search_path: bool,
}

/// The parsed text of the note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The major version of the ABI that the plugin was built for.
    pub abi_major: u16,
    /// The minor version of that ABI.
    pub abi_minor: u16,
    /// The kind of plugin: `output`.
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
                // A later minor version may add keys.
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

/// Reads a library's note and dependencies.
pub(crate) fn read(file: impl ReadCacheOps) -> Result<ElfFacts, ElfError> {
    let cache = ReadCache::new(file);
    let file = &cache;
    let segments = segments(file)?;
    let mut note = None;
    for segment in segments {
        if segment.p_type(ENDIAN) == elf::PT_NOTE && note.is_none() {
            note = find_note(contents(file, segment)?, segment.p_align(ENDIAN))?;
        }
    }
    let mut facts = ElfFacts {
        note: Note::parse(&note.ok_or(ElfError::NoNote)?)?,
        needed: Vec::new(),
        nodelete: false,
        search_path: false,
    };
    let dynamic = segments
        .iter()
        .find(|segment| segment.p_type(ENDIAN) == elf::PT_DYNAMIC);
    if let Some(dynamic) = dynamic {
        read_dynamic(file, segments, dynamic, &mut facts)?;
    }
    Ok(facts)
}

type Segment = ProgramHeader64<LittleEndian>;

/// Checks the file header and returns the program headers.
fn segments<'a>(file: impl ReadRef<'a>) -> Result<&'a [Segment], ElfError> {
    // A file too short for the magic number is not a broken ELF file.
    if file.read_bytes_at(0, 4) != Ok(&elf::ELFMAG) {
        return Err(ElfError::NotElf);
    }
    let header = file
        .read_at::<FileHeader64<LittleEndian>>(0)
        .map_err(|()| ElfError::Read)?;
    let ident = header.e_ident();
    if ident.class != elf::ELFCLASS64 {
        return Err(ElfError::OtherMachine("it is not 64-bit"));
    }
    if ident.data != elf::ELFDATA2LSB {
        return Err(ElfError::OtherMachine("it is not little-endian"));
    }
    if header.e_machine(ENDIAN) != MACHINE {
        return Err(ElfError::OtherMachine("it is built for another processor"));
    }
    if header.e_type(ENDIAN) != elf::ET_DYN {
        return Err(ElfError::OtherMachine("it is not a shared object"));
    }
    if header.e_phnum(ENDIAN) > MAX_PROGRAM_HEADERS {
        return Err(ElfError::Broken("too many program headers"));
    }
    header
        .program_headers(ENDIAN, file)
        .map_err(|_| ElfError::Broken("its program headers cannot be read"))
}

/// The bytes of a note or dynamic segment.
fn contents<'a>(file: impl ReadRef<'a>, segment: &Segment) -> Result<&'a [u8], ElfError> {
    if segment.p_filesz(ENDIAN) > MAX_SEGMENT {
        return Err(ElfError::Broken("a note or dynamic segment is too large"));
    }
    segment.data(ENDIAN, file).map_err(|()| ElfError::Read)
}

/// Returns the text of our note, if it is among the notes of a segment.
fn find_note(notes: &[u8], align: u64) -> Result<Option<String>, ElfError> {
    let align = if align == 8 { 8 } else { 4 };
    let notes = NoteIterator::<FileHeader64<LittleEndian>>::new(ENDIAN, align, notes);
    // Notes after a broken one cannot be found, so the search ends there.
    let mut notes = notes.into_iter().flatten().map_while(Result::ok);
    let ours = notes.find(|found| {
        found.name_bytes() == note::OWNER.as_slice() && found.n_type(ENDIAN).0 == note::TYPE
    });
    let Some(ours) = ours else {
        return Ok(None);
    };
    if ours.desc().len() > note::DESC_LEN {
        return Err(ElfError::BadNote("it is too long"));
    }
    let text = ours.desc().split(|&byte| byte == 0).next();
    match std::str::from_utf8(text.unwrap_or_default()) {
        Ok(text) if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(Some(text.to_owned())),
        _ => Err(ElfError::BadNote("it is not plain text")),
    }
}

fn read_dynamic<'a>(
    file: impl ReadRef<'a>,
    segments: &[Segment],
    dynamic: &Segment,
    facts: &mut ElfFacts,
) -> Result<(), ElfError> {
    let entries = pod::slice_from_all_bytes::<elf::Dyn64<LittleEndian>>(contents(file, dynamic)?)
        .map_err(|()| ElfError::Broken("its dynamic segment has a broken size"))?;
    let mut names = Vec::new();
    let mut strings = None;
    for entry in entries {
        let value = entry.d_val(ENDIAN);
        match entry.d_tag(ENDIAN) {
            elf::DT_NULL => break,
            elf::DT_NEEDED => names.push(value),
            elf::DT_STRTAB => strings = Some(value),
            elf::DT_RPATH | elf::DT_RUNPATH => facts.search_path = true,
            elf::DT_FLAGS_1 => facts.nodelete = value & elf::DF_1_NODELETE.0 != 0,
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
        .ok_or(ElfError::Broken("its table of names is outside the file"))?;
    for name in names {
        let at = strings.checked_add(name);
        let at = at.ok_or(ElfError::Broken("a library's name is outside the file"))?;
        let length = file.len().map_err(|()| ElfError::Read)?;
        let end = at.saturating_add(MAX_NAME).min(length);
        let name = file
            .read_bytes_at_until(at..end, 0)
            .map_err(|()| ElfError::Broken("a library's name has no end"))?;
        facts
            .needed
            .push(String::from_utf8_lossy(name).into_owned());
    }
    Ok(())
}

/// The place in the file that is loaded to an address.
fn file_offset(segments: &[Segment], address: u64) -> Option<u64> {
    segments
        .iter()
        .filter(|segment| segment.p_type(ENDIAN) == elf::PT_LOAD)
        .find_map(|segment| {
            let within = address.checked_sub(segment.p_vaddr(ENDIAN))?;
            let (offset, size) = segment.file_range(ENDIAN);
            (within < size).then(|| offset.checked_add(within))?
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::io::Cursor;

    use super::{ElfError, ElfFacts, Note, find_note};

    fn read(bytes: impl AsRef<[u8]>) -> Result<ElfFacts, ElfError> {
        super::read(Cursor::new(bytes))
    }

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
        file[18..20].copy_from_slice(&super::MACHINE.0.to_le_bytes());
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
        let facts = read(library(b"abi=1.0;kind=output;name=csv;ver=0.3.1\0\0")).unwrap();
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
        assert!(matches!(read(b""), Err(ElfError::NotElf)));
        assert!(matches!(read(b"#!/bin/sh\n"), Err(ElfError::NotElf)));
        let good = library(b"abi=1.0;kind=output;name=csv;ver=0.3.1");
        let with = |at: usize, byte: u8| {
            let mut file = good.clone();
            file[at] = byte;
            read(file).unwrap_err().to_string()
        };
        insta::assert_snapshot!(with(4, 1), @"it is not a shared library for this machine: it is not 64-bit");
        insta::assert_snapshot!(with(5, 2), @"it is not a shared library for this machine: it is not little-endian");
        insta::assert_snapshot!(with(18, 8), @"it is not a shared library for this machine: it is built for another processor");
        insta::assert_snapshot!(with(16, 2), @"it is not a shared library for this machine: it is not a shared object");
        insta::assert_snapshot!(with(0x20c, b'C'), @"it holds no callmeter note (.note.callmeter), so it is not a plugin; a plugin gets one by `export!` or CALLMETER_PLUGIN_NOTE");
        insta::assert_snapshot!(read(library(b"abi=1;kind=x")).unwrap_err(), @"its callmeter note cannot be read: it gives no abi=MAJOR.MINOR");
        insta::assert_snapshot!(read(library(b"abi=1.x;kind=x;name=a;ver=1")).unwrap_err(), @"its callmeter note cannot be read: its abi= is not a version");
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
            let _ = read(file);
        }

        #[test]
        fn notes_of_any_bytes_are_walked(bytes in prop::collection::vec(any::<u8>(), 0..200), eight: bool) {
            let _ = find_note(&bytes, if eight { 8 } else { 4 });
        }
    }
}
