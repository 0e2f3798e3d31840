//! A producer of Arrow C data built by hand, so that the SDK is tested without an Arrow library and
//! under Miri; and a small host round an exported plugin.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::undocumented_unsafe_blocks,
    reason = "shared by several test programs, and plays the other side of the C ABI"
)]

use std::ffi::{CString, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use callmeter_plugin_sdk::abi::arrow::{ArrowArray, ArrowSchema};
use callmeter_plugin_sdk::abi::{self, ErrorBox, Str};

/// A column with its values.
#[derive(Clone, Debug)]
pub enum Node {
    Text(Vec<Option<&'static str>>),
    Bytes(Vec<&'static [u8]>),
    Int64(Vec<Option<i64>>),
    Int32(Vec<Option<i32>>),
    Float64(Vec<Option<f64>>),
    Bool(Vec<Option<bool>>),
    Time(Vec<Option<i64>>),
    Decimal(Vec<Option<i128>>),
    /// The items of each row; `None` is a null list.
    List(Vec<Option<usize>>, Box<Node>),
    /// Members, and which rows are valid.
    Struct(Vec<(&'static str, Node)>, Vec<bool>),
    /// A type that the SDK does not know.
    Strange(usize),
    /// A type that has no buffers at all, in Arrow's format language.
    Bare(&'static str, usize),
}

/// How often arrays were released.
pub type Releases = Arc<AtomicUsize>;

struct Owned {
    buffers: Vec<Vec<u8>>,
    pointers: Vec<*const c_void>,
    children: Vec<*mut ArrowArray>,
    releases: Option<Releases>,
}

struct OwnedSchema {
    format: CString,
    name: CString,
    metadata: Vec<u8>,
    children: Vec<*mut ArrowSchema>,
}

unsafe extern "C" fn release_array(array: *mut ArrowArray) {
    unsafe {
        assert!((*array).release.is_some(), "released twice");
        let owned = Box::from_raw((*array).private_data.cast::<Owned>());
        for child in &owned.children {
            let child = Box::from_raw(*child);
            if let Some(release) = child.release {
                let child = Box::into_raw(child);
                release(child);
                drop(Box::from_raw(child));
            }
        }
        if let Some(releases) = &owned.releases {
            releases.fetch_add(1, Ordering::SeqCst);
        }
        (*array).release = None;
    }
}

unsafe extern "C" fn release_schema(schema: *mut ArrowSchema) {
    unsafe {
        let owned = Box::from_raw((*schema).private_data.cast::<OwnedSchema>());
        for child in owned.children {
            release_schema(child);
            drop(Box::from_raw(child));
        }
        (*schema).release = None;
    }
}

fn bitmap(valid: &[bool], skip: usize) -> Vec<u8> {
    let mut bytes = vec![0; (valid.len() + skip).div_ceil(8)];
    for i in 0..skip {
        // Nonsense in the rows that are skipped.
        bytes[i / 8] |= u8::from(i % 2 == 0) << (i % 8);
    }
    for (i, valid) in valid.iter().enumerate() {
        let at = i + skip;
        bytes[at / 8] |= u8::from(*valid) << (at % 8);
    }
    bytes
}

fn fixed<T: Copy, const N: usize>(
    values: &[Option<T>],
    skip: usize,
    bytes: impl Fn(T) -> [u8; N],
) -> (Vec<bool>, Vec<u8>) {
    let mut data = vec![0xaa; skip * N];
    for value in values {
        data.extend(value.map_or([0x55; N], &bytes));
    }
    (values.iter().map(Option::is_some).collect(), data)
}

fn offsets(lengths: impl Iterator<Item = usize>, skip: usize) -> (Vec<u8>, usize) {
    // Each skipped row has one byte or item of its own.
    let mut at = 0_i32;
    let mut data = at.to_le_bytes().to_vec();
    for _ in 0..skip {
        at += 1;
        data.extend(at.to_le_bytes());
    }
    for length in lengths {
        at += i32::try_from(length).unwrap();
        data.extend(at.to_le_bytes());
    }
    (data, usize::try_from(at).unwrap())
}

impl Node {
    fn len(&self) -> usize {
        match self {
            Self::Text(v) => v.len(),
            Self::Bytes(v) => v.len(),
            Self::Int64(v) | Self::Time(v) => v.len(),
            Self::Int32(v) => v.len(),
            Self::Float64(v) => v.len(),
            Self::Bool(v) => v.len(),
            Self::Decimal(v) => v.len(),
            Self::List(v, _) => v.len(),
            Self::Struct(_, v) => v.len(),
            Self::Strange(n) | Self::Bare(_, n) => *n,
        }
    }

    /// Moves every value `by` rows back, nonsense in front: what a parent with an offset looks
    /// like.
    fn shifted(&self, by: usize) -> Self {
        fn pad<T: Clone>(by: usize, fill: &T, values: &[T]) -> Vec<T> {
            std::iter::repeat_n(fill.clone(), by)
                .chain(values.iter().cloned())
                .collect()
        }
        match self {
            Self::Text(v) => Self::Text(pad(by, &Some("nonsense"), v)),
            Self::Bytes(v) => Self::Bytes(pad(by, &b"nonsense".as_slice(), v)),
            Self::Int64(v) => Self::Int64(pad(by, &Some(-7), v)),
            Self::Time(v) => Self::Time(pad(by, &Some(-7), v)),
            Self::Int32(v) => Self::Int32(pad(by, &Some(-7), v)),
            Self::Float64(v) => Self::Float64(pad(by, &Some(-7.0), v)),
            Self::Bool(v) => Self::Bool(pad(by, &Some(true), v)),
            Self::Decimal(v) => Self::Decimal(pad(by, &Some(-7), v)),
            Self::List(v, items) => Self::List(pad(by, &Some(0), v), items.clone()),
            Self::Struct(members, valid) => Self::Struct(
                members
                    .iter()
                    .map(|(name, node)| (*name, node.shifted(by)))
                    .collect(),
                pad(by, &true, valid),
            ),
            Self::Strange(n) => Self::Strange(n + by),
            Self::Bare(format, n) => Self::Bare(format, n + by),
        }
    }

    fn array(&self, skip: usize, releases: Option<Releases>) -> ArrowArray {
        let mut children = Vec::new();
        let length = self.len();
        let (valid, mut buffers) = match self {
            Self::Text(values) => {
                let bytes: Vec<&[u8]> = values.iter().map(|v| v.unwrap_or("").as_bytes()).collect();
                let (offsets, _) = offsets(bytes.iter().map(|b| b.len()), skip);
                let mut data = vec![b'x'; skip];
                for b in &bytes {
                    data.extend(*b);
                }
                (
                    values.iter().map(Option::is_some).collect(),
                    vec![offsets, data],
                )
            }
            Self::Bytes(values) => {
                let (offsets, _) = offsets(values.iter().map(|b| b.len()), skip);
                let mut data = vec![b'x'; skip];
                for b in values {
                    data.extend(*b);
                }
                (vec![true; length], vec![offsets, data])
            }
            Self::Int64(values) | Self::Time(values) => {
                let (valid, data) = fixed(values, skip, i64::to_ne_bytes);
                (valid, vec![data])
            }
            Self::Int32(values) => {
                let (valid, data) = fixed(values, skip, i32::to_ne_bytes);
                (valid, vec![data])
            }
            Self::Float64(values) => {
                let (valid, data) = fixed(values, skip, f64::to_ne_bytes);
                (valid, vec![data])
            }
            Self::Decimal(values) => {
                let (valid, data) = fixed(values, skip, i128::to_ne_bytes);
                (valid, vec![data])
            }
            Self::Bool(values) => {
                let bits: Vec<bool> = values.iter().map(|v| v.unwrap_or(true)).collect();
                (
                    values.iter().map(Option::is_some).collect(),
                    vec![bitmap(&bits, skip)],
                )
            }
            Self::List(lengths, items) => {
                let (offsets, total) = offsets(lengths.iter().map(|l| l.unwrap_or(0)), skip);
                let child = items.shifted(skip);
                assert!(child.len() >= total);
                children.push(Box::into_raw(Box::new(child.array(3, None))));
                (lengths.iter().map(Option::is_some).collect(), vec![offsets])
            }
            Self::Struct(members, valid) => {
                for (index, (_, member)) in members.iter().enumerate() {
                    // Each child has an offset of its own besides.
                    let child = member.shifted(skip).array(index % 3, None);
                    children.push(Box::into_raw(Box::new(child)));
                }
                (valid.clone(), vec![])
            }
            Self::Strange(_) => (vec![true; length], vec![vec![1; 4]; 5]),
            Self::Bare(..) => (vec![true; length], Vec::new()),
        };
        let nulls = valid.iter().filter(|valid| !**valid).count();
        buffers.insert(
            0,
            if nulls > 0 {
                bitmap(&valid, skip)
            } else {
                Vec::new()
            },
        );
        if let Self::Bare(..) = self {
            buffers.clear();
        }
        // Writable, for the tests that damage something.
        let pointers: Vec<*const c_void> = buffers
            .iter_mut()
            .map(|b| {
                if b.is_empty() {
                    std::ptr::null()
                } else {
                    b.as_mut_ptr().cast_const().cast()
                }
            })
            .collect();
        let owned = Box::into_raw(Box::new(Owned {
            buffers,
            pointers,
            children,
            releases,
        }));
        let owned_ref = unsafe { &mut *owned };
        ArrowArray {
            length: i64::try_from(length).unwrap(),
            null_count: i64::try_from(nulls).unwrap(),
            offset: i64::try_from(skip).unwrap(),
            n_buffers: i64::try_from(owned_ref.pointers.len()).unwrap(),
            n_children: i64::try_from(owned_ref.children.len()).unwrap(),
            buffers: if owned_ref.pointers.is_empty() {
                std::ptr::null_mut()
            } else {
                owned_ref.pointers.as_mut_ptr()
            },
            children: owned_ref.children.as_mut_ptr(),
            dictionary: std::ptr::null_mut(),
            release: Some(release_array),
            private_data: owned.cast(),
        }
    }

    fn schema(&self, name: &str, metadata: &[(&str, &str)]) -> ArrowSchema {
        let mut children = Vec::new();
        let format = match self {
            Self::Text(_) | Self::Bytes(_) => "u",
            Self::Int64(_) => "l",
            Self::Int32(_) => "i",
            Self::Float64(_) => "g",
            Self::Bool(_) => "b",
            Self::Time(_) => "tsu:+00:00",
            Self::Decimal(_) => "d:38,9",
            Self::List(_, item) => {
                children.push(Box::into_raw(Box::new(item.schema("item", &[]))));
                "+l"
            }
            Self::Struct(members, _) => {
                for (name, member) in members {
                    children.push(Box::into_raw(Box::new(member.schema(name, &[]))));
                }
                "+s"
            }
            Self::Strange(_) => "+ud:1,2",
            Self::Bare(format, _) => format,
        };
        let mut encoded = Vec::new();
        if !metadata.is_empty() {
            encoded.extend(i32::try_from(metadata.len()).unwrap().to_ne_bytes());
            for text in metadata.iter().flat_map(|(key, value)| [key, value]) {
                encoded.extend(i32::try_from(text.len()).unwrap().to_ne_bytes());
                encoded.extend(text.as_bytes());
            }
        }
        let owned = Box::into_raw(Box::new(OwnedSchema {
            format: CString::new(format).unwrap(),
            name: CString::new(name).unwrap(),
            metadata: encoded,
            children,
        }));
        let owned_ref = unsafe { &mut *owned };
        ArrowSchema {
            format: owned_ref.format.as_ptr(),
            name: owned_ref.name.as_ptr(),
            metadata: if owned_ref.metadata.is_empty() {
                std::ptr::null()
            } else {
                owned_ref.metadata.as_ptr().cast()
            },
            flags: ArrowSchema::NULLABLE,
            n_children: i64::try_from(owned_ref.children.len()).unwrap(),
            children: owned_ref.children.as_mut_ptr(),
            dictionary: std::ptr::null_mut(),
            release: Some(release_schema),
            private_data: owned.cast(),
        }
    }
}

/// Records, as a host holds them.
pub struct Produced {
    pub schema: ArrowSchema,
    pub array: ArrowArray,
    pub releases: Releases,
}

impl Produced {
    /// Columns whose batch begins at row `skip` of its buffers.
    pub fn new(rows: usize, columns: Vec<(&'static str, Node)>, skip: usize) -> Self {
        let root = Node::Struct(columns, vec![true; rows]);
        let releases = Releases::default();
        Self {
            schema: root.schema("", &[("other", "x"), ("callmeter.schema", "calls/1")]),
            array: root.array(skip, Some(Arc::clone(&releases))),
            releases,
        }
    }

    pub fn released(&self) -> usize {
        self.releases.load(Ordering::SeqCst)
    }

    pub fn batch(&mut self, kind: u32, seq: u64) -> abi::Batch {
        abi::Batch {
            struct_size: abi::size_u32::<abi::Batch>(),
            kind,
            seq,
            batch_id: [u8::try_from(seq).unwrap(); 16],
            attempt: 1,
            schema_id: 1,
            schema: &raw const self.schema,
            array: &raw mut self.array,
        }
    }
}

impl Drop for Produced {
    fn drop(&mut self) {
        unsafe {
            if let Some(release) = self.array.release {
                release(&raw mut self.array);
            }
            release_schema(&raw mut self.schema);
        }
    }
}

/// The five columns that every record has.
pub fn common(rows: usize) -> Vec<(&'static str, Node)> {
    let n = i64::try_from(rows).unwrap();
    vec![
        ("account", Node::Text(vec![Some("acme"); rows])),
        ("sequence", Node::Int64((1..=n).map(Some).collect())),
        ("revision", Node::Int32(vec![Some(0); rows])),
        ("change", Node::Text(vec![Some("new"); rows])),
        ("observed_at", Node::Time(vec![Some(1_000_000); rows])),
    ]
}

/// A plugin through its table, as a host drives it.
pub struct Driven {
    pub table: abi::OutputPlugin,
    pub instance: *mut c_void,
    pub error: Box<ErrorBox>,
}

unsafe extern "C" fn log(_: *mut c_void, _: i32, _: Str, _: Str) {}

pub fn host() -> abi::Host {
    abi::Host {
        struct_size: abi::size_u32::<abi::Host>(),
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        features: 0,
        ctx: std::ptr::null_mut(),
        log: Some(log),
        log_enabled: None,
        cancelled: None,
    }
}

pub fn to_str(text: &[u8]) -> Str {
    Str {
        ptr: text.as_ptr().cast(),
        len: text.len(),
    }
}

impl Driven {
    pub fn init(init: abi::InitFn) -> Self {
        let mut driven = Self {
            table: abi::OutputPlugin::offered(),
            instance: std::ptr::null_mut(),
            error: Box::default(),
        };
        let host = host();
        let status = unsafe { init(&raw const host, &raw mut driven.table, driven.error()) };
        assert_eq!(status, 0, "{}", driven.message());
        driven
    }

    /// The box, emptied.
    pub fn error(&mut self) -> *mut ErrorBox {
        *self.error = ErrorBox::new();
        &raw mut *self.error
    }

    pub fn message(&self) -> String {
        let len = usize::try_from(self.error.len).unwrap();
        String::from_utf8(self.error.msg[..len].to_vec()).unwrap()
    }

    pub fn create(&mut self, config: &[u8]) -> i32 {
        let host = host();
        let create = self.table.create.unwrap();
        let mut instance = std::ptr::null_mut();
        let error = self.error();
        let status = unsafe {
            create(
                &raw const host,
                to_str(config),
                to_str(b"test"),
                &raw mut instance,
                error,
            )
        };
        self.instance = instance;
        status
    }

    pub fn write(&mut self, batch: &abi::Batch) -> i32 {
        let write = self.table.write_batch.unwrap();
        let error = self.error();
        unsafe { write(self.instance, &raw const *batch, error) }
    }

    pub fn flush(&mut self) -> (i32, u64) {
        let flush = self.table.flush.unwrap();
        let mut durable = 0;
        let error = self.error();
        let status = unsafe { flush(self.instance, 1_000, &raw mut durable, error) };
        (status, durable)
    }

    pub fn destroy(&mut self) {
        let destroy = self.table.destroy.unwrap();
        unsafe { destroy(std::mem::replace(&mut self.instance, std::ptr::null_mut())) }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        if !self.instance.is_null() {
            self.destroy();
        }
    }
}
