//! The life of `callmeter run`, from the configuration to the orderly end, on one page.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::cli::WebArgs;
use crate::config::{self, Loaded};
use crate::exit::Failure;
use crate::pipeline::Pipeline;
use crate::poll::Supervisor;
use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;
use crate::status::StatusStore;
use crate::stop::{Stop, stop};
use crate::web::{self, Access, Reload, ReloadRequest, WebState};

/// What a life begins with.
#[derive(Debug)]
pub struct Startup {
    /// The configuration file.
    pub config_file: PathBuf,
    /// The flags of the web server.
    pub web: WebArgs,
    /// Where secrets are remembered for scrubbing.
    pub redactor: Arc<SecretRedactor>,
    /// Where the web server answers.
    pub listeners: Vec<TcpListener>,
}

impl Startup {
    /// Listens on the addresses that the flags name.
    ///
    /// # Errors
    /// When one of them is none, is taken, or may not be used.
    pub async fn new(
        config_file: PathBuf,
        web: WebArgs,
        redactor: Arc<SecretRedactor>,
    ) -> Result<Self, Failure> {
        let mut listeners = Vec::new();
        for address in &web.listen_address {
            listeners.push(web::bind(address).await.map_err(Failure::failed)?);
        }
        Ok(Self {
            config_file,
            web,
            redactor,
            listeners,
        })
    }

    /// The addresses listened on, ports as the system chose them.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let address = |listener: &TcpListener| listener.local_addr().ok();
        self.listeners.iter().filter_map(address).collect()
    }
}

/// How a life ended.
#[derive(Debug)]
pub struct Shutdown {
    /// Outputs whose plugins are still at work: their process must not exit in the usual way, see
    /// [`callmeter_plugin_host::exit_now`].
    pub late_outputs: Vec<String>,
}

/// Time for polls to end after a page, and for outputs to flush, when the program ends.
const POLLS_END: Duration = Duration::from_secs(10);
const OUTPUTS_END: Duration = Duration::from_secs(15);

/// Runs until SIGTERM, SIGINT or `ended`.
///
/// # Errors
/// When the program cannot start. Once it runs, what fails is shown and tried again.
pub async fn live(startup: Startup, ended: Stop) -> Result<Shutdown, Failure> {
    let Startup {
        config_file,
        web,
        redactor,
        listeners,
    } = startup;
    let status = Arc::new(StatusStore::new(&config_file));
    let metrics = SelfMetrics::new().map_err(Failure::failed)?;

    let loaded = config::load(&config_file)?;
    let access = Access::open(web.web_config_file.as_deref()).map_err(Failure::failed)?;
    info!(
        version = crate::build::VERSION,
        revision = crate::build::REVISION,
        config = %config_file.display(),
        "callmeter starts"
    );

    let mut pipeline = Pipeline::open(&loaded.config, &metrics, &status, &redactor).await?;
    let mut supervisor = Supervisor::new(pipeline.app());
    let changes = supervisor
        .plan(&loaded.config.accounts)
        .map_err(Failure::failed)?;
    pipeline
        .set_outputs(&loaded.config.outputs)
        .await
        .map_err(Failure::failed)?;
    supervisor.apply(changes).await;

    let config_page = Arc::new(ArcSwap::from_pointee(String::new()));
    let mut running = Running {
        loaded,
        config_page,
        metrics: metrics.clone(),
        status: Arc::clone(&status),
        redactor,
    };
    running.note_loaded();

    let (reload, reloads) = Reload::channel();
    let (stop_web, web_stop) = stop();
    let mut servers = JoinSet::new();
    for listener in listeners {
        if let Ok(address) = listener.local_addr() {
            info!(%address, "listening");
        }
        let state = WebState {
            meter: Arc::clone(&pipeline.app().meter),
            metrics: metrics.clone(),
            status: Arc::clone(&status),
            redactor: Arc::clone(&running.redactor),
            config_page: Arc::clone(&running.config_page),
            created_lines: running.loaded.config.metrics.created_timestamps,
            access: Arc::clone(&access),
            reload: reload.clone(),
            args: web.clone(),
        };
        servers.spawn(web::serve(listener, state, web_stop.clone()));
    }
    status.set_ready(true);

    running
        .until_ended(&mut pipeline, &mut supervisor, reloads, &mut servers, ended)
        .await?;

    info!("callmeter ends");
    status.set_ready(false);
    supervisor.stop(POLLS_END).await;
    let late_outputs = pipeline.close(OUTPUTS_END).await;
    stop_web.stop();
    let served = tokio::time::timeout(Duration::from_secs(5), async {
        while servers.join_next().await.is_some() {}
    });
    if served.await.is_err() {
        warn!("requests under way were cut off");
    }
    info!("callmeter has ended");
    Ok(Shutdown { late_outputs })
}

/// What changes by a reload.
struct Running {
    loaded: Loaded,
    config_page: Arc<ArcSwap<String>>,
    metrics: SelfMetrics,
    status: Arc<StatusStore>,
    redactor: Arc<SecretRedactor>,
}

impl Running {
    /// Reloads when asked to, and returns when it is time to end.
    async fn until_ended(
        &mut self,
        pipeline: &mut Pipeline,
        supervisor: &mut Supervisor,
        mut reloads: mpsc::Receiver<ReloadRequest>,
        servers: &mut JoinSet<std::io::Result<()>>,
        mut ended: Stop,
    ) -> Result<(), Failure> {
        let listen = |kind| signal(kind).map_err(Failure::failed);
        let mut terminate: Signal = listen(SignalKind::terminate())?;
        let mut interrupt: Signal = listen(SignalKind::interrupt())?;
        let mut hang_up: Signal = listen(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                () = ended.stopped() => return Ok(()),
                Some(result) = servers.join_next() => {
                    return Err(Failure::failed(format!("the web server ended: {result:?}")));
                }
                _ = hang_up.recv() => {
                    // The outcome is in log, status and metrics; nobody waits for an answer.
                    let _told_elsewhere = self.reload(pipeline, supervisor).await;
                }
                Some(answer) = reloads.recv() => {
                    let outcome = self.reload(pipeline, supervisor).await;
                    // Who asked may have gone away.
                    let _nobody_waits = answer.send(outcome);
                }
            }
        }
    }

    /// Takes the configuration file as it is now, or leaves everything as it is.
    async fn reload(
        &mut self,
        pipeline: &mut Pipeline,
        supervisor: &mut Supervisor,
    ) -> Result<(), String> {
        match self.try_reload(pipeline, supervisor).await {
            Ok(()) => {
                self.note_loaded();
                info!(config = %self.loaded.file.display(), "configuration reloaded");
                Ok(())
            }
            Err(reason) => {
                let reason = self.redactor.scrub(&reason);
                error!(
                    reason,
                    "configuration not reloaded; the one before stays in force"
                );
                self.metrics.config_reload_successful.set(0);
                self.status.config_refused(reason.clone());
                Err(reason)
            }
        }
    }

    async fn try_reload(
        &mut self,
        pipeline: &mut Pipeline,
        supervisor: &mut Supervisor,
    ) -> Result<(), String> {
        let file = self.loaded.file.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&file))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        let (new, old) = (&loaded.config, &self.loaded.config);
        if new.journal.path != old.journal.path {
            return Err(
                "journal.path takes effect at a start only; restart callmeter, or put it back"
                    .to_owned(),
            );
        }
        if new.metrics != old.metrics {
            return Err(
                "metrics takes effect at a start only; restart callmeter, or put it back"
                    .to_owned(),
            );
        }
        let changes = supervisor
            .plan(&new.accounts)
            .map_err(|error| error.to_string())?;
        // Outputs first: they can refuse, accounts cannot any more.
        pipeline
            .set_outputs(&new.outputs)
            .await
            .map_err(|error| error.to_string())?;
        pipeline.set_retention(new);
        supervisor.apply(changes).await;
        self.loaded = loaded;
        Ok(())
    }

    /// Shows the configuration that was taken.
    fn note_loaded(&self) {
        self.metrics.config_reload_successful.set(1);
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds since 1970 are far below 2^53"
        )]
        self.metrics
            .config_reload_timestamp
            .set(jiff::Timestamp::now().as_second() as f64);
        let warnings: Vec<String> = self
            .loaded
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect();
        for warning in &warnings {
            warn!(warning, "configuration");
        }
        self.status.config_loaded(warnings);
        let page = config::redacted(&self.loaded.text)
            .unwrap_or_else(|error| format!("# cannot be shown: {error}\n"));
        self.config_page.store(Arc::new(self.redactor.scrub(&page)));
    }
}
