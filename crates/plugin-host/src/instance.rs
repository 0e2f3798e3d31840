//! An instance of a plugin in this process. All calls of the ABI are made here.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::{Array as _, RecordBatch, StructArray};
use arrow_schema::SchemaRef;
use callmeter_plugin_abi::arrow::{ArrowArray, ArrowSchema};
use callmeter_plugin_abi::{self as abi, ErrorBox, Str};
use callmeter_records::Stream;

use crate::callbacks::HostContext;
use crate::library::{Functions, Plugin};
use crate::plugin_answer::{self, PluginAnswer};
use crate::sink::{BatchRequest, Interrupt, Sink};

const _: () = assert!(size_of::<ArrowArray>() == size_of::<FFI_ArrowArray>());
const _: () = assert!(size_of::<ArrowSchema>() == size_of::<FFI_ArrowSchema>());

/// An instance made by `create`, until it is dropped.
pub(crate) struct Instance {
    functions: Functions,
    handle: Arc<Handle>,
    host: &'static HostContext,
    /// The schemas that the plugin borrows, each once; they outlive the instance.
    schemas: Vec<(SchemaRef, Box<FFI_ArrowSchema>)>,
}

/// The plugin's pointer, which `cancel` may use from another thread until the instance ends.
struct Handle {
    cancel: Option<unsafe extern "C" fn(*mut c_void)>,
    host: &'static HostContext,
    live: Mutex<Option<Pointer>>,
}

#[derive(Clone, Copy)]
struct Pointer(*mut c_void);

// SAFETY: the ABI allows calls on an instance from different threads over time.
unsafe impl Send for Pointer {}

impl Interrupt for Handle {
    fn cancel(&self) {
        self.host.set_cancelled(true);
        // The lock keeps the instance from being destroyed meanwhile.
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(cancel), Some(Pointer(instance))) = (self.cancel, *live) {
            // SAFETY: a live instance; `cancel` may overlap other calls.
            unsafe { cancel(instance) }
        }
    }

    fn kill(&self) -> bool {
        false
    }
}

impl Instance {
    /// Creates an instance. The error is the reason that the plugin gives.
    pub(crate) fn create(
        plugin: &Plugin,
        host: &'static HostContext,
        name: &str,
        config: &str,
    ) -> Result<Self, String> {
        let functions = plugin.functions;
        let mut error = ErrorBox::new();
        let mut instance = std::ptr::null_mut();
        host.set_cancelled(false);
        // SAFETY: everything is live for the call, and the host's table is never freed.
        let code = unsafe {
            (functions.create)(
                host.table(),
                to_str(config),
                to_str(name),
                &raw mut instance,
                &raw mut error,
            )
        };
        match PluginAnswer::new(code, &error) {
            PluginAnswer::Ok => {}
            _ => return Err(plugin_answer::message(&error)),
        }
        let handle = Arc::new(Handle {
            cancel: functions.cancel,
            host,
            live: Mutex::new(Some(Pointer(instance))),
        });
        Ok(Self {
            functions,
            handle,
            host,
            schemas: Vec::new(),
        })
    }

    fn pointer(&self) -> *mut c_void {
        let live = self
            .handle
            .live
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        live.map_or(std::ptr::null_mut(), |pointer| pointer.0)
    }

    /// The exported schema and its number within the instance.
    fn schema(&mut self, schema: &SchemaRef) -> Result<(u32, *const ArrowSchema), String> {
        let known = self
            .schemas
            .iter()
            .position(|(known, _)| Arc::ptr_eq(known, schema) || known == schema);
        let index = if let Some(index) = known {
            index
        } else {
            let exported =
                FFI_ArrowSchema::try_from(schema.as_ref()).map_err(|error| error.to_string())?;
            self.schemas.push((Arc::clone(schema), Box::new(exported)));
            self.schemas.len() - 1
        };
        let (_, exported) = self
            .schemas
            .get(index)
            .ok_or_else(|| "a schema was lost".to_owned())?;
        let id = u32::try_from(index + 1).map_err(|error| error.to_string())?;
        Ok((id, std::ptr::from_ref(exported.as_ref()).cast()))
    }
}

impl Sink for Instance {
    fn write(&mut self, request: &BatchRequest<'_>) -> PluginAnswer {
        let schema = request.records.schema();
        let (schema_id, schema) = match self.schema(&schema) {
            Ok(exported) => exported,
            Err(reason) => {
                return PluginAnswer::Reject {
                    reason: format!("its schema cannot be handed over: {reason}"),
                };
            }
        };
        let mut array = export(request.records);
        let batch = abi::Batch {
            struct_size: abi::size_u32::<abi::Batch>(),
            kind: kind(request.stream),
            seq: request.seq,
            batch_id: request.id,
            attempt: request.attempt,
            schema_id,
            schema,
            array: (&raw mut array).cast(),
        };
        let mut error = ErrorBox::new();
        self.host.set_cancelled(false);
        // SAFETY: a live instance, and a batch that is live for the call. What the plugin did not
        // take is released when `array` is dropped; what it took has no `release` any more.
        let code = unsafe {
            (self.functions.write_batch)(self.pointer(), &raw const batch, &raw mut error)
        };
        PluginAnswer::new(code, &error)
    }

    fn flush(&mut self, within: Duration) -> (PluginAnswer, u64) {
        let mut error = ErrorBox::new();
        let mut durable = 0;
        let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        self.host.set_cancelled(false);
        // SAFETY: a live instance; number and box are live for the call.
        let code = unsafe {
            (self.functions.flush)(self.pointer(), within, &raw mut durable, &raw mut error)
        };
        (PluginAnswer::new(code, &error), durable)
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::clone(&self.handle) as Arc<dyn Interrupt>
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let live = self
            .handle
            .live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Pointer(instance)) = live {
            // SAFETY: the instance that `create` made, once, and `cancel` can no longer reach it.
            unsafe { (self.functions.destroy)(instance) }
        }
    }
}

fn export(records: &RecordBatch) -> FFI_ArrowArray {
    FFI_ArrowArray::new(&StructArray::from(records.clone()).into_data())
}

fn kind(stream: Stream) -> u32 {
    let kind = match stream {
        Stream::Calls => abi::StreamKind::Calls,
        Stream::Balances => abi::StreamKind::Balances,
        Stream::Rates => abi::StreamKind::Rates,
        Stream::Billing => abi::StreamKind::Billing,
        Stream::Charges => abi::StreamKind::Charges,
    };
    kind as u32
}

fn to_str(text: &str) -> Str {
    Str {
        ptr: text.as_ptr().cast(),
        len: text.len(),
    }
}
