//! Checks and loads a plugin, in this process or in a child of it.

use callmeter_plugin_abi::level;

use crate::callbacks::HostContext;
use crate::file::PluginFile;
use crate::library::Plugin;
use crate::settings::PluginSource;
use crate::status::PluginIdentity;

/// Checks and loads a plugin. The error is a text for the operator.
pub(crate) fn load(
    source: &PluginSource,
    host: &'static HostContext,
) -> Result<(Plugin, PluginIdentity), String> {
    let (plugin, path, sha256) = match source {
        PluginSource::Static(init) => {
            let plugin = Plugin::from_init(*init, host).map_err(|error| error.to_string())?;
            (plugin, String::new(), String::new())
        }
        PluginSource::File {
            path,
            sha256,
            trust,
        } => {
            let file = PluginFile::open(path, sha256.as_deref(), *trust)
                .map_err(|error| error.to_string())?;
            let unusual = file.unusual_dependencies();
            if !unusual.is_empty() {
                let text = format!(
                    "{} needs {}, which the dynamic linker looks for without any check",
                    path.display(),
                    unusual.join(", ")
                );
                host.log().line(level::WARN, "plugin-host", &text);
            }
            let plugin = Plugin::load(&file, host)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            (plugin, path.display().to_string(), file.sha256().to_owned())
        }
    };
    let identity = PluginIdentity {
        name: plugin.name.clone(),
        version: plugin.version.clone(),
        path,
        sha256,
    };
    Ok((plugin, identity))
}
