//! The two structs of the Arrow C Data Interface, as in its specification.
//!
//! They are defined here rather than taken from an Arrow library, so that a plugin does not depend
//! on a version of one. The specification freezes the layout.

use core::ffi::{c_char, c_void};

/// The type of a column, or of a whole batch (a struct of its columns).
///
/// A plugin borrows it: it must not call `release`.
#[derive(Debug)]
#[repr(C)]
pub struct ArrowSchema {
    /// The type, in the specification's format language (`u`, `l`, `tsu:+00:00`, `+l`, …).
    pub format: *const c_char,
    /// The column's name, or null.
    pub name: *const c_char,
    /// Key-value pairs in the specification's binary form, or null.
    pub metadata: *const c_char,
    /// Bit 2 ([`ArrowSchema::NULLABLE`]) says that values may be null.
    pub flags: i64,
    /// The number of `children`.
    pub n_children: i64,
    /// The members of a struct, the item of a list.
    pub children: *mut *mut ArrowSchema,
    /// The values of a dictionary-encoded column; callmeter never sends one.
    pub dictionary: *mut ArrowSchema,
    /// Called by the owner (the host) when the schema is no longer needed.
    pub release: Option<unsafe extern "C" fn(*mut ArrowSchema)>,
    /// Private to the producer.
    pub private_data: *mut c_void,
}

impl ArrowSchema {
    /// The flag of a column whose values may be null.
    pub const NULLABLE: i64 = 2;
}

/// The values of a column, or of a whole batch.
#[derive(Debug)]
#[repr(C)]
pub struct ArrowArray {
    /// The number of values, from `offset` on.
    pub length: i64,
    /// How many of them are null; -1 if not counted.
    pub null_count: i64,
    /// The index of the first value in the buffers. It applies to the validity bitmap too.
    pub offset: i64,
    /// The number of `buffers`.
    pub n_buffers: i64,
    /// The number of `children`.
    pub n_children: i64,
    /// The validity bitmap (null if all values are valid), then the buffers of the type.
    pub buffers: *mut *const c_void,
    /// The members of a struct, the items of a list.
    pub children: *mut *mut ArrowArray,
    /// Unused by callmeter.
    pub dictionary: *mut ArrowArray,
    /// Frees the array; null once it was released or taken.
    pub release: Option<unsafe extern "C" fn(*mut ArrowArray)>,
    /// Private to the producer.
    pub private_data: *mut c_void,
}

impl ArrowSchema {
    /// A released schema: everything is zero or null.
    pub const fn empty() -> Self {
        Self {
            format: core::ptr::null(),
            name: core::ptr::null(),
            metadata: core::ptr::null(),
            flags: 0,
            n_children: 0,
            children: core::ptr::null_mut(),
            dictionary: core::ptr::null_mut(),
            release: None,
            private_data: core::ptr::null_mut(),
        }
    }
}

impl ArrowArray {
    /// A released array: everything is zero or null.
    pub const fn empty() -> Self {
        Self {
            length: 0,
            null_count: 0,
            offset: 0,
            n_buffers: 0,
            n_children: 0,
            buffers: core::ptr::null_mut(),
            children: core::ptr::null_mut(),
            dictionary: core::ptr::null_mut(),
            release: None,
            private_data: core::ptr::null_mut(),
        }
    }
}
