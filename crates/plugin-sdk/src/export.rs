//! The macro that makes a crate a plugin.

/// Makes the crate a plugin: exports the function that callmeter calls, and adds the note that
/// callmeter reads before it loads the library. Use it once per crate.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        const _: () = {
            const NAME_LEN: usize = <$plugin as $crate::OutputPlugin>::NAME.len() + 1;
            static NAME: [u8; NAME_LEN] =
                $crate::entry::terminated(<$plugin as $crate::OutputPlugin>::NAME);
            const SCHEMA: &str = match <$plugin as $crate::OutputPlugin>::CONFIG_SCHEMA {
                Some(schema) => schema,
                None => "",
            };
            static SCHEMA_C: [u8; SCHEMA.len() + 1] = $crate::entry::terminated(SCHEMA);

            impl $crate::entry::Exported for $plugin {
                const ABOUT: $crate::entry::About = $crate::entry::About {
                    name: &NAME,
                    version: concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes(),
                    config_schema: if SCHEMA.is_empty() {
                        None
                    } else {
                        Some(&SCHEMA_C)
                    },
                };
            }

            #[used]
            #[unsafe(link_section = ".note.callmeter")]
            static NOTE: $crate::abi::note::Note = $crate::abi::note::Note::output(
                <$plugin as $crate::OutputPlugin>::NAME,
                env!("CARGO_PKG_VERSION"),
            );

            #[unsafe(no_mangle)]
            unsafe extern "C" fn callmeter_output_plugin_init_v1(
                host: *const $crate::abi::Host,
                out: *mut $crate::abi::OutputPlugin,
                error: *mut $crate::abi::ErrorBox,
            ) -> i32 {
                // SAFETY: the arguments are passed on as they came.
                unsafe { $crate::entry::init::<$plugin>(host, out, error) }
            }
        };
    };
}
