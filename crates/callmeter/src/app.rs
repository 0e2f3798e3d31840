//! `callmeter run`, from the configuration to the orderly shutdown.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use crate::cli::WebArgs;
use crate::config;
use crate::control;
use crate::descriptors;
use crate::exit::Failure;
use crate::pipeline::Pipeline;
use crate::reload::Reloader;
use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;
use crate::sources::Supervisor;
use crate::stop::{Stop, StopSender, stop};
use crate::web::{self, Access, Reload, ReloadRequest, WebState};

/// What is needed to start.
#[derive(Debug)]
pub struct Startup {
    /// The configuration file.
    pub config_file: PathBuf,
    /// The flags of the web server.
    pub web: WebArgs,
    /// Removes secrets from everything that is shown.
    pub redactor: Arc<SecretRedactor>,
    /// The sockets of the web server.
    pub listeners: Vec<TcpListener>,
}

impl Startup {
    /// Listens on the addresses of the flags.
    ///
    /// # Errors
    /// If an address is invalid, in use, or not permitted.
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

    /// The addresses of the sockets, with the ports that the system chose.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let address = |listener: &TcpListener| listener.local_addr().ok();
        self.listeners.iter().filter_map(address).collect()
    }
}

/// How the program shut down.
#[derive(Debug)]
pub struct Shutdown {
    /// Outputs whose plugins are still running. Their process must not exit in the usual way, see
    /// [`callmeter_plugin_host::exit_now`].
    pub late_outputs: Vec<String>,
}

/// The interval at which the secrets of outputs are read again.
const OUTPUT_SECRETS: Duration = Duration::from_secs(10);
/// How long the shutdown waits for polls to end after a page.
const POLLS_LIMIT: Duration = Duration::from_secs(10);
/// How long the shutdown waits for outputs to flush.
const OUTPUTS_LIMIT: Duration = Duration::from_secs(15);
/// How long the shutdown waits for requests in progress.
const REQUESTS_LIMIT: Duration = Duration::from_secs(5);

/// Runs until SIGTERM, SIGINT or `ended`.
///
/// # Errors
/// If the program cannot start. Later failures are shown and retried.
pub async fn run(startup: Startup, mut signals: Signals, ended: Stop) -> Result<Shutdown, Failure> {
    let mut app = App::start(startup).await?;
    app.run_until(&mut signals, ended).await?;
    Ok(app.shut_down().await)
}

/// The signals that the program handles. Until this exists, each of them kills the process.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Handles the signals from now on.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::failed);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }
}

/// The running program.
struct App {
    pipeline: Pipeline,
    supervisor: Supervisor,
    reloader: Reloader,
    reload_requests: mpsc::Receiver<ReloadRequest>,
    servers: JoinSet<std::io::Result<()>>,
    control: JoinSet<()>,
    stop_servers: StopSender,
}

impl App {
    async fn start(startup: Startup) -> Result<Self, Failure> {
        let started = Timestamp::now();
        let Startup {
            config_file,
            web,
            redactor,
            listeners,
        } = startup;
        let metrics = SelfMetrics::new().map_err(Failure::failed)?;
        descriptors::raise_limit();
        let loaded = config::load(&config_file)?;
        descriptors::check(&loaded.config);
        let access = Access::open(web.web_config_file.as_deref()).map_err(Failure::failed)?;
        info!(
            version = crate::build::VERSION,
            revision = crate::build::REVISION,
            config = %config_file.display(),
            "callmeter is starting"
        );
        let mut pipeline = Pipeline::open(&loaded, started, &metrics, &redactor).await?;
        let app = pipeline.app();
        let mut supervisor = Supervisor::new(app.clone());
        let changes = supervisor
            .plan(&loaded.config.accounts)
            .map_err(Failure::failed)?;
        pipeline
            .start_outputs(&loaded.config.outputs)
            .await
            .map_err(Failure::failed)?;
        supervisor.apply(changes).await;
        let (stop_servers, stopped) = stop();
        let control = control::serve(app.clone(), stopped.clone());

        let created_lines = loaded.config.metrics.created_timestamps;
        let reloader = Reloader::new(loaded, &app);
        let (reload, reload_requests) = Reload::channel();
        let state = WebState {
            meter: app.meter,
            metrics,
            status: Arc::clone(&app.status),
            redactor,
            config_page: reloader.config_page(),
            created_lines,
            access,
            reload,
            args: web,
        };
        let servers = serve(listeners, &state, &stopped);
        app.status.set_ready(true);
        Ok(Self {
            pipeline,
            supervisor,
            reloader,
            reload_requests,
            servers,
            control,
            stop_servers,
        })
    }

    /// Reloads the configuration on request, and returns when it is time to shut down.
    async fn run_until(&mut self, signals: &mut Signals, mut ended: Stop) -> Result<(), Failure> {
        let mut secrets = tokio::time::interval(OUTPUT_SECRETS);
        secrets.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => return Ok(()),
                _ = signals.interrupt.recv() => return Ok(()),
                () = ended.stopped() => return Ok(()),
                Some(result) = self.servers.join_next() => {
                    return Err(Failure::failed(format!("the web server ended: {result:?}")));
                }
                _ = signals.hangup.recv() => {
                    // The result is in log, status and metrics.
                    let _shown = self.reload().await;
                }
                _ = secrets.tick() => self.pipeline.follow_output_secrets().await,
                Some(request) = self.reload_requests.recv() => {
                    let result = self.reload().await;
                    // The client may have gone away.
                    let _sent = request.send(result);
                }
            }
        }
    }

    async fn reload(&mut self) -> Result<(), String> {
        self.reloader
            .reload(&mut self.pipeline, &mut self.supervisor)
            .await
    }

    async fn shut_down(mut self) -> Shutdown {
        info!("callmeter is shutting down");
        self.pipeline.app().status.set_ready(false);
        self.supervisor.stop(POLLS_LIMIT).await;
        let late_outputs = self.pipeline.close(OUTPUTS_LIMIT).await;
        self.stop_servers.stop();
        let served = tokio::time::timeout(REQUESTS_LIMIT, async {
            while self.servers.join_next().await.is_some() {}
            while self.control.join_next().await.is_some() {}
        });
        if served.await.is_err() {
            warn!("requests in progress were aborted");
        }
        info!("callmeter has shut down");
        Shutdown { late_outputs }
    }
}

/// Starts a server for each socket.
fn serve(
    listeners: Vec<TcpListener>,
    state: &WebState,
    stopped: &Stop,
) -> JoinSet<std::io::Result<()>> {
    let mut servers = JoinSet::new();
    for listener in listeners {
        if let Ok(address) = listener.local_addr() {
            info!(%address, "listening");
        }
        servers.spawn(web::serve(listener, state.clone(), stopped.clone()));
    }
    servers
}
