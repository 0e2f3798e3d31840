//! Runs a plugin in this process.

use std::sync::{Mutex, PoisonError};

use crate::callbacks::HostContext;
use crate::delivery::MakeSink;
use crate::delivery::shared::Shared;
use crate::instance::Instance;
use crate::library::Plugin;
use crate::line_limit::plugin_log;
use crate::load::load;
use crate::settings::{OutputSettings, PluginSource};
use crate::sink::Sink;
use crate::status::PluginIdentity;

/// Makes instances of a plugin in this process.
pub(crate) struct InProcess {
    source: PluginSource,
    name: String,
    config: String,
    host: &'static HostContext,
    /// The plugin, once it is loaded. It is never unloaded.
    loaded: Mutex<Option<(Plugin, PluginIdentity)>>,
}

impl InProcess {
    pub(crate) fn new(settings: &OutputSettings) -> Self {
        Self {
            source: settings.source.clone(),
            name: settings.name.clone(),
            config: settings.config.clone(),
            host: HostContext::leak(plugin_log(&settings.name)),
            loaded: Mutex::new(None),
        }
    }
}

impl MakeSink for InProcess {
    fn make(&self, _: &Shared) -> Result<(Box<dyn Sink>, PluginIdentity), String> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let (plugin, identity) = match &*loaded {
            Some(known) => known.clone(),
            None => loaded.insert(load(&self.source, self.host)?).clone(),
        };
        drop(loaded);
        plugin.check_config(&self.config, self.host)?;
        let instance = Instance::create(&plugin, self.host, &self.name, &self.config)?;
        Ok((Box::new(instance), identity))
    }
}
