//! Loads a checked file as a library and asks it for its table of functions.
//!
//! A library is never unloaded: the handle is leaked, and the dynamic linker is told to keep it.
//! Unloading a Rust library can crash when a thread that used it exits.

#[cfg(target_feature = "crt-static")]
compile_error!(
    "a statically linked program cannot load plugins: build for a dynamically linked glibc"
);

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::os::fd::AsRawFd as _;
use std::sync::{Mutex, PoisonError};

use callmeter_plugin_abi::{self as abi, ErrorBox, InitFn, Status};
use libloading::os::unix::{Library as DynamicLibrary, RTLD_LOCAL, RTLD_NOW};

use crate::callbacks::HostContext;
use crate::config_check::{self, ConfigCheck};
use crate::file::PluginFile;
use crate::plugin_answer;

/// The longest name or version that is read from a plugin.
const MAX_TEXT: usize = 256;
/// The longest configuration schema that is read from a plugin.
const MAX_SCHEMA: usize = 1 << 20;

/// Why a file that passed its checks cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Its note names another major version of the ABI.
    #[error(
        "it is built for plugin ABI {found}, this callmeter has {}.{}",
        abi::ABI_MAJOR,
        abi::ABI_MINOR
    )]
    OtherAbi {
        /// The version in the note.
        found: String,
    },
    /// It is another kind of plugin.
    #[error("it is a plugin of kind `{0}`, and an output is needed")]
    OtherKind(String),
    /// The dynamic linker refuses it.
    #[error("the dynamic linker refuses it: {0}")]
    Link(String),
    /// The function of this major is missing.
    #[error("it does not export {}: it is built for another major of the plugin ABI", abi::INIT_SYMBOL.to_string_lossy())]
    NoInit,
    /// `init` failed.
    #[error("its init function failed ({status}): {message}")]
    Init {
        /// The status in words.
        status: String,
        /// What the plugin says.
        message: String,
    },
    /// A required function is missing.
    #[error("it does not provide `{0}`")]
    Missing(&'static str),
    /// The table disagrees with the note.
    #[error("its table says {what} `{table}`, its note `{note}`")]
    Disagrees {
        /// Name, version or ABI.
        what: &'static str,
        /// In the table.
        table: String,
        /// In the note.
        note: String,
    },
    /// It needs a newer callmeter.
    #[error(
        "it needs plugin ABI 1.{needed}, this callmeter has 1.{}: update callmeter",
        abi::ABI_MINOR
    )]
    NeedsNewerHost {
        /// The minor that it needs.
        needed: u16,
    },
}

/// A loaded plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plugin {
    pub(crate) functions: Functions,
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// A JSON Schema of its configuration, if it has one.
    pub(crate) config_schema: Option<String>,
}

type Create = unsafe extern "C" fn(
    *const abi::Host,
    abi::Str,
    abi::Str,
    *mut *mut std::ffi::c_void,
    *mut ErrorBox,
) -> i32;
type Write = unsafe extern "C" fn(*mut std::ffi::c_void, *const abi::Batch, *mut ErrorBox) -> i32;
type Flush = unsafe extern "C" fn(*mut std::ffi::c_void, u64, *mut u64, *mut ErrorBox) -> i32;
type Check = unsafe extern "C" fn(*const abi::Host, abi::Str, *mut ErrorBox) -> i32;
type OnInstance = unsafe extern "C" fn(*mut std::ffi::c_void);

/// The plugin's functions. All but `cancel` and `check` are required.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Functions {
    pub(crate) create: Create,
    pub(crate) write_batch: Write,
    pub(crate) flush: Flush,
    pub(crate) cancel: Option<OnInstance>,
    pub(crate) destroy: OnInstance,
    pub(crate) check: Option<Check>,
}

impl PartialEq for Functions {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::fn_addr_eq(self.create, other.create)
    }
}

impl Eq for Functions {}

impl Plugin {
    /// Loads a checked file. This runs code of the plugin: its constructors and its `init`.
    pub(crate) fn load(file: &PluginFile, host: &'static HostContext) -> Result<Self, LoadError> {
        let note = &file.facts().note;
        if note.abi_major != abi::ABI_MAJOR {
            let found = format!("{}.{}", note.abi_major, note.abi_minor);
            return Err(LoadError::OtherAbi { found });
        }
        if note.kind != "output" {
            return Err(LoadError::OtherKind(note.kind.clone()));
        }
        let init = init_of(file)?;
        let plugin = Self::from_init(init.ok_or(LoadError::NoInit)?, host)?;
        for (what, table, said) in [
            ("name", &plugin.name, &note.name),
            ("version", &plugin.version, &note.version),
        ] {
            if table != said {
                return Err(LoadError::Disagrees {
                    what,
                    table: table.clone(),
                    note: said.clone(),
                });
            }
        }
        Ok(plugin)
    }

    /// Checks settings in JSON in every way, without an instance. Returns warnings.
    pub(crate) fn check_fully(
        &self,
        config: &str,
        host: &'static HostContext,
    ) -> Result<Vec<String>, String> {
        let mut warnings = Vec::new();
        let schema = self.config_schema.as_deref();
        let problems = match schema.map(|schema| config_check::check(schema, config)) {
            None | Some(Ok(())) => Vec::new(),
            Some(Err(ConfigCheck::Invalid(problems))) => problems,
            Some(Err(error @ ConfigCheck::Schema(_))) => {
                warnings.push(error.to_string());
                Vec::new()
            }
        };
        match self.check_itself(config, host) {
            Err(said) => Err(config_check::both(problems, &said).to_string()),
            Ok(()) if problems.is_empty() => Ok(warnings),
            Ok(()) => Err(ConfigCheck::Invalid(problems).to_string()),
        }
    }

    /// Lets the plugin check settings in JSON, if it can, without an instance.
    fn check_itself(&self, config: &str, host: &'static HostContext) -> Result<(), String> {
        let Some(check) = self.functions.check else {
            return Ok(());
        };
        let mut error = ErrorBox::new();
        host.set_cancelled(false);
        let config = abi::Str {
            ptr: config.as_ptr().cast(),
            len: config.len(),
        };
        // SAFETY: everything is live for the call, and the host's table is never freed.
        let code = unsafe { check(host.table(), config, &raw mut error) };
        if Status::from_code(code) == Some(Status::Ok) {
            return Ok(());
        }
        Err(plugin_answer::message(&error))
    }

    /// Checks settings in JSON against the plugin's schema, if it has one.
    pub(crate) fn check_config(
        &self,
        config: &str,
        host: &'static HostContext,
    ) -> Result<(), String> {
        let Some(schema) = &self.config_schema else {
            return Ok(());
        };
        match config_check::check(schema, config) {
            Ok(()) => Ok(()),
            Err(error @ ConfigCheck::Invalid(_)) => Err(error.to_string()),
            Err(error @ ConfigCheck::Schema(_)) => {
                host.log()
                    .line(abi::level::WARN, "plugin-host", &error.to_string());
                Ok(())
            }
        }
    }

    /// Calls the `init` function of a loaded library or of a statically linked plugin.
    pub(crate) fn from_init(init: InitFn, host: &'static HostContext) -> Result<Self, LoadError> {
        let mut table = abi::OutputPlugin::offered();
        let mut error = ErrorBox::new();
        // SAFETY: table and box are of this ABI and say their size; the host's table is leaked.
        let status = unsafe { init(host.table(), &raw mut table, &raw mut error) };
        match Status::from_code(status) {
            Some(Status::Ok) => {}
            Some(Status::UnsupportedAbi) => {
                let message = "it does not support this callmeter's plugin ABI".to_owned();
                return Err(LoadError::Init {
                    status: "unsupported ABI".to_owned(),
                    message,
                });
            }
            _ => {
                return Err(LoadError::Init {
                    status: format!("status {status}"),
                    message: plugin_answer::message(&error),
                });
            }
        }
        if table.abi_major != abi::ABI_MAJOR {
            return Err(LoadError::Disagrees {
                what: "ABI",
                table: table.abi_major.to_string(),
                note: abi::ABI_MAJOR.to_string(),
            });
        }
        if table.abi_minor > abi::ABI_MINOR {
            return Err(LoadError::NeedsNewerHost {
                needed: table.abi_minor,
            });
        }
        // SAFETY: the ABI makes them null or static, zero-terminated texts.
        let (name, version, config_schema) = unsafe {
            (
                text(table.name, MAX_TEXT).ok_or(LoadError::Missing("name"))?,
                text(table.version, MAX_TEXT).ok_or(LoadError::Missing("version"))?,
                text(table.config_schema, MAX_SCHEMA),
            )
        };
        Ok(Self {
            functions: Functions {
                create: table.create.ok_or(LoadError::Missing("create"))?,
                write_batch: table.write_batch.ok_or(LoadError::Missing("write_batch"))?,
                flush: table.flush.ok_or(LoadError::Missing("flush"))?,
                cancel: table.cancel,
                destroy: table.destroy.ok_or(LoadError::Missing("destroy"))?,
                check: table.check,
            },
            name,
            version,
            config_schema,
        })
    }
}

/// The `init` function of a file. The same bytes are loaded once, however often an output tries:
/// a loaded library keeps a descriptor and memory until the process ends.
fn init_of(file: &PluginFile) -> Result<Option<InitFn>, LoadError> {
    static LOADED: Mutex<BTreeMap<String, Option<InitFn>>> = Mutex::new(BTreeMap::new());
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(init) = loaded.get(file.sha256()) {
        return Ok(*init);
    }
    // NOW: an undefined symbol is an error here instead of a crash in the first call.
    let flags = RTLD_NOW | RTLD_LOCAL | libc::RTLD_NODELETE;
    let descriptor = file
        .descriptor()
        .map_err(|error| LoadError::Link(error.to_string()))?;
    let by_descriptor = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let link = |error: libloading::Error| {
        let text = std::error::Error::source(&error)
            .map_or_else(|| error.to_string(), ToString::to_string);
        // Operators know the path, not the descriptor.
        LoadError::Link(text.replace(&by_descriptor, &file.path().display().to_string()))
    };
    // SAFETY: constructors of the library run. The file passed the checks that stop accidents and
    // planted files; beyond them a plugin is trusted code.
    let library = unsafe { DynamicLibrary::open(Some(&by_descriptor), flags) }.map_err(link)?;
    let init = {
        // SAFETY: the symbol's name carries the ABI's major, which fixes its type.
        let symbol = unsafe { library.get::<Option<InitFn>>(abi::INIT_SYMBOL.to_bytes_with_nul()) };
        symbol.ok().and_then(|symbol| *symbol)
    };
    // Never unloaded. The descriptor is not closed either: the dynamic linker remembers libraries
    // by the path it was given, and would take another file under the same number for this library.
    std::mem::forget(library);
    std::mem::forget(descriptor);
    loaded.insert(file.sha256().to_owned(), init);
    Ok(init)
}

/// # Safety
/// `pointer` is null or a static, zero-terminated text.
unsafe fn text(pointer: *const c_char, max: usize) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { CStr::from_ptr(pointer) }.to_bytes();
    Some(String::from_utf8_lossy(bytes.get(..max).unwrap_or(bytes)).into_owned())
}
